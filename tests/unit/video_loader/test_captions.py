"""Closed captions inside of pictures are read, with the times in which a player shows them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from executors.video_loader.words.span_words import WordOptions, gather_span_words


def pair(first: int, second: int) -> bytes:
    """Two signs of the first field, with odd parity."""
    signs = (value | (0x80 if value.bit_count() % 2 == 0 else 0) for value in (first, second))
    return bytes([0xFC, *signs])


def caption(text: str) -> list[bytes]:
    """What sends a caption and then shows it; the last pair twice, as all commands are."""
    text += " " * (len(text) % 2)
    letters = [pair(ord(a), ord(b)) for a, b in zip(text[::2], text[1::2], strict=True)]
    return [pair(0x14, 0x20)] * 2 + [pair(0x14, 0x70)] * 2 + letters + [pair(0x14, 0x2F)] * 2


def sei(data: bytes) -> bytes:
    payload = b"\xb5\x00\x31GA94\x03" + bytes([0x40 | len(data) // 3, 0xFF]) + data + b"\xff"
    return b"\0\0\0\1\x06\x04" + bytes([len(payload)]) + payload + b"\x80"


def make_video(path: Path, captions: dict[int, list[bytes]]) -> Path:
    """10 s at 25 frames a second; `captions` are sent from some frames on, a pair with each frame."""
    sent = {frame + n: data for frame, pairs in captions.items() for n, data in enumerate(pairs)}
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=25, options={"bf": "0", "tune": "zerolatency"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        number = 0
        for n in range(251):
            frame = None
            if n < 250:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), n % 200, np.uint8), "rgb24")
                frame.pts, frame.time_base = n, Fraction(1, 25)
            for packet in track.encode(frame):
                out = av.Packet(sei(sent.get(number, pair(0, 0))) + bytes(packet))
                out.pts, out.dts, out.time_base, out.stream = packet.pts, packet.dts, packet.time_base, track
                out.is_keyframe = packet.is_keyframe
                video.mux(out)
                number += 1
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    captions = {10: caption("HELLO THERE"), 80: caption("SECOND LINE"), 150: [pair(0x14, 0x2C)] * 2}
    return make_video(tmp_path_factory.mktemp("captions") / "a.ts", captions)


def lines_of(path: Path, start: float, end: float) -> list[tuple[float, float, str]]:
    words = gather_span_words(path, "a", WordOptions(start, end, 10.0, ("subtitle",)))
    assert words.notes == []
    return [(line.start_seconds, line.end_seconds, line.text) for line in words.lines]


def test_captions_are_read_with_their_times(video):
    first, second = lines_of(video, 0, 10)
    assert first[2] == "HELLO THERE" and first[:2] == pytest.approx((0.8, 3.6), abs=0.25)
    assert second[2] == "SECOND LINE" and second[:2] == pytest.approx((3.6, 6.0), abs=0.25)


def test_a_caption_belongs_to_the_span_that_it_begins_in(video):
    assert [line[2] for line in lines_of(video, 0, 3)] == ["HELLO THERE"]
    assert [line[2] for line in lines_of(video, 3, 10)] == ["SECOND LINE"]
