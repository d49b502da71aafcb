"""Where the shards of a library are kept, and which video lives on which of them."""

import pytest

from clipseek.api.errors import StoreError
from clipseek.config.shards import check_division, divisions, shard_folder, shard_folders, shard_of, store_folders


def test_a_video_stays_on_its_shard_for_ever():
    assert [shard_of("a" * 64, shards) for shards in (1, 2, 3, 7)] == [0, 1, 2, 6]
    assert [shard_of(f"{number:064x}", 3) for number in range(6)] == [0, 2, 2, 0, 0, 2]
    for shards in (2, 3, 5):
        counts = [0] * shards
        for number in range(3000):
            counts[shard_of(f"{number * 7919:064x}", shards)] += 1
        assert min(counts) > 0.9 * 3000 / shards


def test_one_shard_is_the_folder_itself(tmp_path):
    assert shard_folder(tmp_path, 0, 1) == tmp_path
    assert shard_folders(tmp_path, 2) == [tmp_path / "shards-2" / "0", tmp_path / "shards-2" / "1"]


def test_the_count_is_known_from_what_is_there(tmp_path):
    assert divisions(tmp_path) == [] and store_folders(tmp_path) == []
    (tmp_path / "shards-3.making").mkdir()
    check_division(tmp_path, 7)  # nothing yet
    (tmp_path / "shards-2").mkdir()
    assert divisions(tmp_path) == [2] and store_folders(tmp_path) == shard_folders(tmp_path, 2)
    check_division(tmp_path, 2)
    with pytest.raises(StoreError, match=r"CLIPSEEK_SHARDS=2, but the setting is 3, .* clipseek reshard 3"):
        check_division(tmp_path, 3)
    (tmp_path / "index.db").touch()  # what SQLite leaves where somebody looked for a store that is not there
    check_division(tmp_path, 2)
    (tmp_path / "index.db").write_bytes(b"SQLite")
    with pytest.raises(StoreError, match="was interrupted"):
        check_division(tmp_path, 2)


def test_every_library_is_looked_at(tmp_path):
    (tmp_path / "libraries" / "press" / "shards-2").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"libraries/press was made with CLIPSEEK_SHARDS=2"):
        check_division(tmp_path, 1)
