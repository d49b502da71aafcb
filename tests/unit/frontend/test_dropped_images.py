"""Images to search with are kept under their hash, so many at most."""

import os

from frontend.media.query_images import KEY, QueryImage, QueryImages


def test_an_image_is_found_by_its_key_in_another_process(tmp_path):
    key = QueryImages(tmp_path).keep("猫.png", b"cat")
    assert KEY.fullmatch(key) and QueryImages(tmp_path).get(key) == QueryImage("猫.png", b"cat")
    assert QueryImages(tmp_path).get("0" * 16) is None and QueryImages(tmp_path).get("../x") is None


def test_what_was_used_longest_ago_goes_first(tmp_path):
    images = QueryImages(tmp_path, most=2)
    keys = [images.keep(name, name.encode()) for name in ("first", "second")]
    for age, key in enumerate(keys):
        os.utime(tmp_path / f"{key}.image", (age, age))
    images.get(keys[0])
    third = images.keep("third", b"third")
    assert [images.get(key) is not None for key in (*keys, third)] == [True, False, True]
    assert len(list(tmp_path.iterdir())) == 4
