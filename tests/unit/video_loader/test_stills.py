"""Stills show each text once: one where text comes or goes, none for noise or slow motion, and never too many."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic import videos
from benchmarks.synthetic.ffmpeg import run_ffmpeg
from executors.video_loader.words.stills import take_stills

FONT = "fontfile=/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
needs_font = pytest.mark.skipif(not Path(FONT.partition("=")[2]).exists(), reason="needs a font")


def make_video(path: Path, source: str, filters: str = "null", *options: str) -> Path:
    encoding = ("-c:v", "libx264", *options, "-pix_fmt", "yuv420p")
    run_ffmpeg("-f", "lavfi", "-i", source, "-vf", filters, *encoding, path)
    return path


def text(words: str, start: float, end: float, size: int = 36) -> str:
    return (
        f"drawtext={FONT}:text='{words}':fontsize={size}:fontcolor=white:x=80:y=h-80:enable='between(t,{start},{end})'"
    )


def times_of(path: Path, start: float = 0, end: float = 12) -> list[tuple[float, float]]:
    stills = take_stills(path, path.name, Fraction(start), Fraction(end))
    return [(still.start_seconds, still.end_seconds) for still in stills]


@needs_font
def test_a_line_is_seen_where_it_comes_and_goes(tmp_path):
    """A line of 5 % of the picture's height, on a plain picture: without text there is nothing to read."""
    lines = ",".join([text("Hello there", 2, 4.45), text("Another line", 6, 8.95)])
    path = make_video(tmp_path / "a.mp4", "color=0x305080:s=1280x720:r=25:d=12", lines)
    assert times_of(path) == [pytest.approx((2.0, 4.5), abs=0.3), pytest.approx((6.0, 9.0), abs=0.3)]


@needs_font
def test_a_line_over_moving_pictures_is_seen(tmp_path):
    path = make_video(
        tmp_path / "a.mp4", "mandelbrot=s=640x360:r=25:start_scale=0.3", text("Hello there", 3, 8, 24), "-t", "12"
    )
    times = times_of(path)
    assert any(start == pytest.approx(3, abs=0.6) for start, _ in times)
    assert any(start == pytest.approx(8, abs=0.6) for start, _ in times)


@needs_font
def test_slides_have_one_still_each(tmp_path):
    slides = ",".join(text(f"Slide number {n}", 10 * n, 10 * n + 9.99, 48) for n in range(6))
    path = make_video(tmp_path / "a.mp4", "color=white:s=1280x720:r=10:d=60", f"drawbox=t=fill:c=navy:y=600,{slides}")
    assert [pytest.approx(time, abs=0.3) for time, _ in times_of(path, 0, 60)] == [0, 10, 20, 30, 40, 50]


@needs_font
def test_keyframes_that_come_often_are_enough(tmp_path):
    slides = ",".join(text(f"Slide number {n}", 4 * n, 4 * n + 3.99, 48) for n in range(3))
    path = make_video(tmp_path / "a.mp4", "color=navy:s=640x360:r=25:d=12", slides, "-g", "25", "-keyint_min", "25")
    assert [start for start, _ in times_of(path)] == pytest.approx([0, 4, 8], abs=1.0)


@pytest.mark.parametrize(
    "source",
    [
        "color=gray:s=640x360:r=25:d=30,noise=alls=30:allf=t",
        "gradients=s=640x360:r=25:d=30:speed=0.01",
        "color=black:s=640x360:r=25:d=30",
    ],
)
def test_noise_and_slow_changes_need_few_stills(tmp_path, source):
    assert len(times_of(make_video(tmp_path / "a.mp4", source), 0, 30)) <= 4


def test_there_are_never_too_many(tmp_path):
    path = make_video(tmp_path / "a.mp4", "testsrc2=s=320x240:r=25:d=120", "null", "-preset", "ultrafast")
    assert 1 <= len(times_of(path, 0, 120)) <= 40


def test_they_are_upright_and_no_larger_than_needed(tmp_path):
    pictures = [np.tile(np.arange(1920) // 40 % 2 * 255, (1080, 3, 1)).transpose(0, 2, 1).astype(np.uint8)] * 4
    sizes = []
    for degrees in (0, 90):
        path = videos.make(tmp_path / f"{degrees}.mp4", pictures=pictures, rotation_degrees=degrees, size=(1920, 1080))
        [still, *_] = take_stills(path.path, "a", Fraction(0), Fraction(2))
        sizes.append(Image.open(BytesIO(still.jpeg)).size)
    assert sizes == [(1280, 720), (720, 1280)]


@needs_font
def test_a_span_in_the_middle_begins_with_what_is_shown(tmp_path):
    path = make_video(tmp_path / "a.mp4", "color=navy:s=640x360:r=25:d=12", text("Hello there", 0, 99, 40))
    [still] = take_stills(path, "a", Fraction(5), Fraction(9))
    assert (still.start_seconds, still.end_seconds) == (5.0, 9.0)
    picture = np.asarray(Image.open(BytesIO(still.jpeg)).convert("L"))
    assert (picture[270:320, 80:300] > 200).sum() > 500  # the text is in it
