"""A picture lasts until the next one, and the last one to the end that the file states."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from clipseek.api.errors import InvalidTimeRange
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut, SampledFrame
from tests.slides import GREYS, write_slides

BURST = [n / 10 for n in range(10)]


def grey_at(jpeg: bytes) -> int:
    return int(np.asarray(Image.open(io.BytesIO(jpeg)))[-8:, -8:].mean())


def sound_seconds(path: Path) -> float:
    with av.open(str(path)) as clip:
        return sum(frame.samples for frame in clip.decode(audio=0)) / 48000


def cuts_of(path: Path, end: float, start: float = 0.0) -> list[float]:
    with VideoReader(path, 1.0, PictureShape(16, 16)) as reader:
        return [item.pts_seconds for item in reader.read(start, end) if isinstance(item, Cut)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.shows("Pictures that stay", "each lasts until the next one, the last to the end")
def test_the_last_picture_lasts_to_the_end_for_probe_thumbnail_and_clip(tmp_path: Path, name: str) -> None:
    path = write_slides(tmp_path / name, [*BURST, 1.0], 61.0, [*[0] * 10, 1])
    assert probe_video(path).duration_seconds == pytest.approx(61.0, abs=0.002)
    for at in (1.0, 30.0, 60.9, 61.0):
        thumbnail = make_thumbnail(path, at, 64)
        assert (thumbnail.pts_seconds, grey_at(thumbnail.jpeg)) == (1.0, pytest.approx(GREYS[1], abs=3))
    with pytest.raises(InvalidTimeRange, match=r"which ends at 61\.00"):
        make_thumbnail(path, 62.0, 64)
    clip = cut_clip(path, 30.0, 40.0, "exact", tmp_path / "exact")
    assert probe_video(clip.path).duration_seconds == pytest.approx(10.0, abs=0.001)
    clip = cut_clip(path, 30.0, 40.0, "copy", tmp_path / "copy")
    assert (clip.start_seconds, clip.end_seconds) == (1.0, 40.0)  # a keyframe lies there
    assert probe_video(clip.path).duration_seconds == pytest.approx(39.0, abs=0.001)


@pytest.mark.parametrize("step", [3600.0, 60.0, 10.0, 2.5])
@pytest.mark.shows("Pictures that stay", "each lasts until the next one, the last to the end")
def test_cuts_are_found_however_far_apart_pictures_are(tmp_path: Path, step: float) -> None:
    path = write_slides(tmp_path / "a.mp4", [0, step, 2 * step, 3 * step], 4 * step, [0, 1, 1, 2])
    assert cuts_of(path, 4 * step) == [step, 3 * step]
    assert cuts_of(path, step + 1, start=step) == [step]  # a span by itself
    assert cuts_of(path, step, start=step / 2) == []


def test_a_time_lapse_of_one_scene_has_no_cuts(tmp_path: Path) -> None:
    path = write_slides(tmp_path / "a.mp4", [n * 10 for n in range(8)], 80, [0] * 8)
    assert cuts_of(path, 80) == []


@pytest.mark.parametrize("mode", ["exact", "copy"])
@pytest.mark.parametrize(("start", "end"), [(1.0, 12.0), (7.0, 12.0), (4.0, 20.0)])
@pytest.mark.shows("Sound that outlasts the pictures", "a clip may reach to its end")
def test_a_clip_may_reach_to_the_end_of_the_sound(tmp_path: Path, mode: str, start: float, end: float) -> None:
    path = write_slides(tmp_path / "talk.mp4", [n / 10 for n in range(50)], 5.0, [0] * 49 + [1], sound_end=20.0)
    assert probe_video(path).duration_seconds == pytest.approx(5.0)
    clip = cut_clip(path, start, end, mode, tmp_path / "clip")
    assert clip.end_seconds == pytest.approx(end, abs=0.03)
    assert sound_seconds(clip.path) == pytest.approx(end - clip.start_seconds, abs=0.05)
    with av.open(str(clip.path)) as video:
        last = [*video.decode(video=0)][-1].to_ndarray(format="rgb24")
    assert last[-8:, -8:].mean() == pytest.approx(GREYS[1], abs=3)
    assert grey_at(make_thumbnail(path, end - 0.5, 64).jpeg) == pytest.approx(GREYS[1], abs=3)
    with pytest.raises(InvalidTimeRange, match=r"is 20\.0\d\d s long"):
        cut_clip(path, start, 21.0, mode, tmp_path / "long")


def test_every_picture_of_a_slide_show_is_a_sample(tmp_path: Path) -> None:
    path = write_slides(tmp_path / "a.mp4", [0, 7.5, 30, 31], 90, [0, 1, 2, 3])
    with VideoReader(path, 1.0, PictureShape(16, 16)) as reader:
        items = [item for item in reader.read(0, 90) if isinstance(item, SampledFrame)]
    assert [item.pts_seconds for item in items] == [0, 7.5, 30, 31]
