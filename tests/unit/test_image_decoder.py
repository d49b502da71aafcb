"""Images of queries are decoded in a process of their own, which ends with an image that takes too long."""

import io
import os
import signal
import time

import numpy as np
import psutil
import pytest
from PIL import Image

from clipseek.api.errors import UnreadableImage
from clipseek.api.limits import MAX_IMAGE_BYTES
from clipseek.config.settings import Settings
from executors.query_images import image_decoder, image_file
from executors.query_images.image_decoder import ImageDecoder


@pytest.fixture
def decoder():
    made = ImageDecoder(Settings.from_env({}))
    yield made
    made.close()


def png() -> bytes:
    Image.new("RGB", (4, 3), (255, 0, 0)).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def slow_jpeg() -> bytes:
    """A JPEG of 49 megapixels in a hundred scans, each of which goes over all of them: some 10 s of work."""
    Image.new("L", (7000, 7000)).save(file := io.BytesIO(), "JPEG", progressive=True)
    data = file.getvalue()
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + (image_file.MAX_SCANS - data.count(b"\xff\xda")) * last_scan + data[-2:]


def decode_and_hang(_seconds: float, _data: bytes, _title: str) -> None:
    time.sleep(3600)


def decode_and_crash(_seconds: float, _data: bytes, _title: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def decode_and_fill_memory(_seconds: float, _data: bytes, _title: str) -> bytes:
    return bytes(2_000_000_000)


def decode_and_fail(_seconds: float, _data: bytes, _title: str) -> None:
    raise ZeroDivisionError("by zero")


def helpers() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_the_process_starts_with_the_first_image_and_stays(decoder):
    before = helpers()
    decoder.close()
    assert helpers() == before
    for _ in range(2):
        picture = decoder.read(png(), "red.png")
        assert (picture.dtype, picture.shape, picture[0, 0, 0].tolist()) == (np.uint8, (1, 3, 4, 3), [255, 0, 0])
    [child] = [psutil.Process(pid) for pid in helpers() - before if "spawn_main" in str(psutil.Process(pid).cmdline())]
    assert not [file.path for file in child.memory_maps() if "torch" in file.path]
    assert child.memory_full_info().uss < 60e6
    decoder.close()
    assert not child.is_running()


def test_an_image_that_decodes_slowly_is_refused_in_time(decoder, monkeypatch):
    monkeypatch.setattr(image_decoder, "MOST_SECONDS", 0.5)
    decoder.read(png())
    with pytest.raises(UnreadableImage, match=r"'slow\.jpg' takes more than 0\.5 s to decode\. Save it smaller"):
        decoder.read(slow_jpeg(), "slow.jpg")
    assert decoder.read(png()).shape == (1, 3, 4, 3)


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (decode_and_hang, r"^'cat\.jpg' takes more than 30 s to decode"),
        (decode_and_crash, r"^'cat\.jpg' crashed its decoder"),
        (decode_and_fill_memory, r"^'cat\.jpg' takes more than 1 GB of memory"),
        (decode_and_fail, r"^'cat\.jpg' cannot be read \(ZeroDivisionError: by zero\)"),
    ],
)
def test_whatever_happens_to_the_process_only_this_image_fails(decoder, monkeypatch, decode, message):
    monkeypatch.setattr(image_decoder, "PATIENCE_SECONDS", 5.0)
    with monkeypatch.context() as patch:
        patch.setattr(image_decoder, "read_in_time", decode)
        with pytest.raises(UnreadableImage, match=message):
            decoder.read(png(), "cat.jpg")
    assert decoder.read(png()).shape == (1, 3, 4, 3)


def test_files_of_more_bytes_than_may_be_sent_are_refused(decoder):
    for size, message in ((MAX_IMAGE_BYTES, "is not a readable image"), (MAX_IMAGE_BYTES + 1, "the limit is 33554432")):
        with pytest.raises(UnreadableImage, match=message):
            decoder.read(bytes(size))


def test_the_time_of_one_image_is_not_that_of_the_next():
    image_decoder.read_in_time(60.0, png(), "red.png")
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
