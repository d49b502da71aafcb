"""Videos are read in pieces, from a path or from an open file, and hashed on the way."""

import hashlib
import io

import pytest

from clipseek.api.errors import EmptyFile, UploadCorrupted
from clipseek.client import upload_source
from clipseek.client.upload_source import sha256

DATA = bytes(range(250))


@pytest.fixture
def named(monkeypatch):
    monkeypatch.setattr(upload_source, "CHUNK_BYTES", 100)
    file = io.BytesIO(DATA)
    file.name = "a; rm -rf.mp4"
    return file


def test_an_open_file_is_read_like_a_path(named, tmp_path):
    path = tmp_path / "a; rm -rf.mp4"
    path.write_bytes(DATA)
    for video in (named, path, str(path)):
        source = upload_source.upload_source(video)
        assert (source.name, source.size_bytes) == ("a; rm -rf.mp4", 250)
        assert [source.read(offset) for offset in (200, 0, 250)] == [DATA[200:], DATA[:100], b""]
        steps = []
        assert sha256(source, steps.append) == hashlib.sha256(DATA).hexdigest()
        assert steps == [100, 200, 250]


def test_an_open_file_without_content_is_refused():
    with pytest.raises(EmptyFile, match="'untitled' is empty"):
        upload_source.upload_source(io.BytesIO())


def test_a_file_that_grows_while_it_is_read_is_named_so(named, tmp_path):
    path = tmp_path / "grows.mp4"
    path.write_bytes(DATA)

    def write_more(_done: int) -> None:
        with path.open("ab") as file:
            file.write(b"more")
        named.seek(0, io.SEEK_END)
        named.write(b"more")

    sources = [upload_source.upload_source(video) for video in (path, named)]
    for source in sources:
        with pytest.raises(UploadCorrupted, match=r"is still being written: it grew from 250 B to 25. B"):
            sha256(source, write_more)


def test_a_file_that_shrinks_while_it_is_read_is_named_so(named, tmp_path):
    path = tmp_path / "shrinks.mp4"
    path.write_bytes(DATA)
    source = upload_source.upload_source(path)
    path.write_bytes(DATA[:150])
    with pytest.raises(UploadCorrupted, match="was changed while it was read: it shrank from 250 B to 150 B"):
        source.read(100)
