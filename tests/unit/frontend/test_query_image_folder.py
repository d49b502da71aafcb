"""Images to search with are stored under their hash, up to a number of them."""

import os

from frontend.media.page_folder import KEY, QueryImage, QueryImageFolder


def test_an_image_is_found_by_its_key_in_another_process(tmp_path):
    key = QueryImageFolder(tmp_path).save("猫.png", b"cat")
    assert KEY.fullmatch(key) and QueryImageFolder(tmp_path).get(key) == QueryImage("猫.png", b"cat")
    assert QueryImageFolder(tmp_path).get("0" * 16) is None and QueryImageFolder(tmp_path).get("../x") is None


def test_the_least_recently_used_image_is_deleted_first(tmp_path):
    images = QueryImageFolder(tmp_path, max_images=2)
    keys = [images.save(name, name.encode()) for name in ("first", "second")]
    for age, key in enumerate(keys):
        os.utime(tmp_path / f"{key}.image", (age, age))
    images.get(keys[0])
    third = images.save("third", b"third")
    assert [images.get(key) is not None for key in (*keys, third)] == [True, False, True]
    assert len(list(tmp_path.iterdir())) == 4
