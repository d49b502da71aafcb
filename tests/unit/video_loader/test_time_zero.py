"""Time 0 is what players show as 0: the file's own zero, also where its pictures begin later than its sound."""

import asyncio
import io
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from docarray import DocList
from PIL import Image

from benchmarks.synthetic import videos
from clipseek.config.settings import Settings
from clipseek.schema import Clip, Thumbnail, Video
from executors.flow.callers import Caller
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.containers.parts import VideoView
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.executor import VideoLoader
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut, SampledFrame

RATE = 48000
NAMES = ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.flv"]
FRAMES = 50


def make_late(path: Path, late: Fraction, frames: int = FRAMES, draw=videos.slate) -> Path:
    """Sound from 0 to 4 s, a tone in odd half seconds. Slate n is shown `late` + n / 25 s after the sound begins."""
    with av.open(str(path), "w") as video:
        track = video.add_stream("libx264", rate=25, options={"qp": "4", "bf": "0"})
        track.width, track.height, track.pix_fmt, track.gop_size = 64, 48, "yuv420p", 10
        track.codec_context.time_base = Fraction(1, 90000)
        tone = video.add_stream("libmp3lame" if path.suffix == ".flv" else "aac", rate=RATE, layout="mono")
        if path.suffix == ".flv":
            tone.codec_context.sample_rate = 44100
        rate = tone.rate
        packets = []
        for n in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(n), "rgb24")
            frame.pts, frame.time_base = round((late + Fraction(n, 25)) * 90000), Fraction(1, 90000)
            packets += track.encode(frame)
        packets += track.encode(None)
        step = 1152 if path.suffix == ".flv" else 1024
        for begin in range(0, 4 * rate, step):
            index = np.arange(begin, begin + step)
            wave = 0.5 * np.sin(2 * np.pi * 440 * index / rate) * (index * 2 // rate % 2 == 1)
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            packets += tone.encode(frame)
        packets += tone.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            video.mux(packet)
    return path


def samples_of(path, start: float = 0, rate: float = 2.0) -> tuple[list[tuple[float, bool]], list[float]]:
    with VideoReader(path, rate, PictureShape(16, 16)) as reader:
        items = list(reader.read(start, 8))
    samples = [(round(i.pts_seconds, 2), i.is_blank) for i in items if isinstance(i, SampledFrame)]
    return samples, [round(i.pts_seconds, 2) for i in items if isinstance(i, Cut)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("late", [Fraction(83, 100), Fraction(9, 5)])
@pytest.mark.shows("Pictures that begin after the sound", "times are those of players, sound in sync")
def test_pictures_that_begin_later_have_the_times_of_players(tmp_path: Path, name: str, late: Fraction) -> None:
    path = make_late(tmp_path / name, late)
    with av.open(str(path)) as video:
        zero = video.start_time / av.time_base
        first = next(video.decode(video=0)).time - zero
    info = probe_video(path)
    assert first == pytest.approx(late, abs=0.06)
    assert info.first_seconds == pytest.approx(first, abs=0.001)
    assert info.duration_seconds == pytest.approx(first + 2, abs=0.005)
    for at in (first + 0.02, first + 1.02):
        made = make_thumbnail(path, at, 64)
        assert videos.read_slate(np.asarray(Image.open(io.BytesIO(made.jpeg)))) == round((at - first - 0.02) * 25) % 27
    early = make_thumbnail(path, 0.1, 64)  # the first picture, as posters are
    assert early.pts_seconds == pytest.approx(first, abs=0.001)
    clip = cut_clip(path, first + 0.4, first + 1.2, "exact", tmp_path / "clip")
    assert [slate for _, slate in videos.read(clip.path)] == [*range(10, 27), 0, 1, 2]
    copy = cut_clip(path, first + 0.5, first + 1.2, "copy", tmp_path / "copy")
    assert copy.start_seconds == pytest.approx(first + 0.44, abs=0.061)  # at a keyframe


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.shows("Pictures that begin after the sound", "times are those of players, sound in sync")
def test_sound_and_pictures_of_a_clip_stay_together(tmp_path: Path, name: str) -> None:
    path = make_late(tmp_path / name, Fraction(9, 5))
    for start, end in ((0.2, 3.4), (2.2, 3.4)):
        clip = cut_clip(path, start, end, "exact", tmp_path / "clip")
        with av.open(str(clip.path)) as made:
            assert made.duration / av.time_base == pytest.approx(end - start, abs=0.03)
            wave = np.concatenate([frame.to_ndarray()[0] for frame in made.decode(audio=0)])
            loud = np.flatnonzero(np.abs(wave) > 0.3) / made.streams.audio[0].rate
        edges = [loud[0], *[late for early, late in pairwise(loud) if late - early > 0.3]]
        wanted = [edge - start for edge in (0.5, 1.5, 2.5) if edge > start]
        assert edges == pytest.approx(wanted, abs=0.06)
        shown = videos.read(clip.path)
        last = shown[-1]
        info = probe_video(path)
        assert last[1] == int((start + last[0] - info.first_seconds + 0.001) * 25) % 27


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
@pytest.mark.shows("Pictures that begin after the sound", "times are those of players, sound in sync")
def test_nothing_is_seen_before_the_first_picture(tmp_path: Path, name: str) -> None:
    samples, cuts = samples_of(make_late(tmp_path / name, Fraction(9, 5)))
    assert samples[0] == (0.0, True)
    assert samples[1][0] == pytest.approx(1.8, abs=0.05)
    assert cuts[0] == pytest.approx(1.8, abs=0.05)  # another lies where the slates begin anew
    assert samples_of(tmp_path / name, start=2) == ([s for s in samples if s[0] >= 2], cuts[1:])


def test_a_first_picture_that_stays_is_sampled(tmp_path: Path) -> None:
    for late in (Fraction(1, 5), Fraction(9, 5)):
        samples, _ = samples_of(make_late(tmp_path / "a.mp4", late, frames=1), rate=1.0)
        assert samples[-1][0] == pytest.approx(late, abs=0.06)
        assert len(samples) == (1 if late < 0.5 else 2)


@pytest.mark.parametrize("name", NAMES)
def test_small_delays_of_encoders_do_not_count(tmp_path: Path, name: str) -> None:
    assert probe_video(make_late(tmp_path / name, Fraction(0))).first_seconds == 0


@pytest.mark.shows("Videos of an old store", "get the times of players; a copy stays")
def test_a_video_of_an_old_store_gets_the_times_of_players(tmp_path: Path) -> None:
    """It counts from its first picture until it is probed again."""
    path = make_late(tmp_path / "a.mp4", Fraction(9, 5))
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    loader, caller = VideoLoader(settings, runtime_args={"name": "video_loader"}), Caller("anyone")
    try:
        store = loader.store(caller.library)
        video_id = store.add_file(path).video_id
        (record_file,) = store.root.glob(f"{video_id}.json")
        record = json.loads(record_file.read_text())
        del record["untried"]
        record_file.write_text(json.dumps(record))  # as 0.1 left it

        def thumbnail(at: float) -> float:
            ask = DocList[Thumbnail]([Thumbnail(video_id=video_id, at_seconds=at)])
            return asyncio.run(loader.thumbnail(ask, caller=caller))[0].pts_seconds

        def clip() -> bytes:
            ask = DocList[Clip]([Clip(video_id=video_id, start_seconds=1.0, end_seconds=1.5)])
            return asyncio.run(loader.clip(ask, caller=caller))[0].data

        assert thumbnail(1.0) == pytest.approx(1.0, abs=0.041)
        old_clip = clip()
        for _ in range(2):
            found = asyncio.run(loader.probe(DocList[Video]([Video(video_id=video_id)]), caller=caller))[0]
            assert (found.duration_seconds, found.first_seconds) == pytest.approx((3.8, 1.8), abs=0.06)
            assert found.notes == []
            assert json.loads(record_file.read_text())["own_zero"] is True
            assert thumbnail(1.0) == pytest.approx(1.8, abs=0.06)
            assert thumbnail(3.0) == pytest.approx(3.0, abs=0.041)
            assert clip() != old_clip
            loader._info.cache_clear()
    finally:
        loader.close()


def test_a_view_from_the_first_picture(tmp_path: Path) -> None:
    path = make_late(tmp_path / "a.mkv", Fraction(9, 5))
    view = VideoView(path, from_first_picture=True)
    assert probe_video(view).duration_seconds == pytest.approx(2.0, abs=0.005)
    assert samples_of(view)[0][0] == (0.0, True)  # a slate has one colour
    clip = cut_clip(view, 0.4, 1.2, "exact", tmp_path / "clip")
    assert [slate for _, slate in videos.read(clip.path)] == [*range(10, 27), 0, 1, 2]
