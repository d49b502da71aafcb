"""How people write the parts of a query."""

import pytest

from clipseek.api.documents import QueryPart
from clipseek.api.errors import FileMissing, InvalidRequest, UnreadableImage
from clipseek.api.formats import sendable
from clipseek.api.limits import MAX_IMAGE_BYTES
from clipseek.client.queries import image_part, list_frames, list_images, query_parts, split_weight


def test_frames_are_written_with_an_at_or_as_a_pair_one_or_several():
    assert list_frames(None) == []
    assert list_frames("holiday.mp4@75.2") == [("holiday.mp4", 75.2)]
    assert list_frames("me@home.mp4@01:15.5") == [("me@home.mp4", 75.5)]
    assert list_frames(("abcd", 3)) == [("abcd", 3.0)]
    assert list_frames(["a.mp4@1", ("b.mp4", 2.5)]) == [("a.mp4", 1.0), ("b.mp4", 2.5)]


@pytest.mark.parametrize("wrong", ["holiday.mp4", "holiday.mp4@", "@3", "holiday.mp4@soon", "holiday.mp4@nan", ""])
def test_what_is_no_frame_is_named(wrong):
    with pytest.raises(InvalidRequest, match=f"'{wrong}' is not a frame of a video"):
        list_frames(wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a dog", ("a dog", 1.0)),
        ("a dog^2", ("a dog", 2.0)),
        ("a dog ^0.5", ("a dog", 0.5)),
        ("a dog^-1", ("a dog", -1.0)),
        ("2^3^4", ("2^3", 4.0)),
        ("a ^ b", ("a ^ b", 1.0)),
        ("^2", ("", 2.0)),
    ],
)
def test_a_weight_is_written_behind_a_caret(written, meant):
    assert split_weight(written) == meant


def test_bytes_that_are_no_text_travel_as_question_marks():
    assert sendable("x\udce9.mp4") == "x?.mp4"


def test_images_are_files_or_their_content(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(b"png")
    assert list_images(None) == [] and list_images(path) == [path] and list_images([path, b"x"]) == [path, b"x"]
    part = image_part(path, 2.0)
    assert (part.image, part.title, part.weight) == (b"png", str(path), 2.0)
    assert image_part(b"x").title == "the image"
    with pytest.raises(FileMissing, match=r"image '.*dog\.png' cannot be read"):
        image_part(tmp_path / "dog.png")
    with pytest.raises(FileMissing, match="Is a directory"):
        image_part(tmp_path)
    with pytest.raises(UnreadableImage, match="is empty"):
        image_part(b"")
    with pytest.raises(UnreadableImage, match="'the image' is larger than 32 MiB"):
        image_part(bytes(MAX_IMAGE_BYTES + 1))


def test_the_client_makes_one_part_of_each_in_order():
    video = "a" * 64
    parts = query_parts(
        {
            "also": ["a lake"],
            "without": ["snow"],
            "image": b"png",
            "like": (video, 3.0),
            "parts": [QueryPart(text="dusk", weight=0.5)],
        },
        str,
    )
    made = [(part.text, part.image, part.video_id, part.at_seconds, part.weight) for part in parts]
    assert made == [
        ("a lake", b"", "", 0.0, 1.0),
        ("snow", b"", "", 0.0, -1.0),
        ("", b"png", "", 0.0, 1.0),
        ("", b"", video, 3.0, 1.0),
        ("dusk", b"", "", 0.0, 0.5),
    ]
