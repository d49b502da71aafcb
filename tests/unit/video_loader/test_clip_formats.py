"""The suffix decides what a clip is written as; what cannot be is refused in words."""

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest, LimitExceeded
from executors.video_loader.clips.animation import MOST_SECONDS
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.decode.probe import probe_video
from tests.slides import write_slides

START, END = 1.2, 2.6


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.make(tmp_path_factory.mktemp("formats") / "a.mp4", frames=100, audio=True).path


def sound_of(path: Path) -> np.ndarray:
    """float [samples], of the first channel."""
    with av.open(str(path)) as clip:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=videos.AUDIO_RATE)
        frames = [out for frame in clip.decode(audio=0) for out in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.mark.parametrize(
    ("suffix", "pictures", "sound"),
    [
        (".mp4", "h264", "aac"),
        (".MP4", "h264", "aac"),
        (".mov", "h264", "aac"),
        (".mkv", "h264", "aac"),
        (".webm", "vp9", "opus"),
    ],
)
@pytest.mark.shows("Formats of clips", "the suffix decides; the rest is refused in words")
def test_a_clip_is_written_as_its_suffix_says(video: Path, tmp_path: Path, suffix, pictures, sound) -> None:
    clip = cut_clip(video, START, END, "exact", tmp_path / "clip", suffix=suffix)
    assert (clip.start_seconds, clip.end_seconds, clip.path.suffix) == (START, END, suffix.lower())
    with av.open(str(clip.path)) as made:
        assert made.streams.video[0].codec_context.codec.canonical_name == pictures
        assert made.streams.audio[0].codec_context.codec.canonical_name == sound
        assert made.duration / av.time_base == pytest.approx(END - START, abs=0.03)
    shown = videos.read(clip.path)
    assert [slate for _, slate in shown] == [n % videos.SLATES for n in range(30, 65)]
    assert [seconds for seconds, _ in shown] == pytest.approx([n / 25 for n in range(35)], abs=0.002)
    assert_beats(sound_of(clip.path))


def assert_beats(wave: np.ndarray) -> None:
    """The tone is silent in odd seconds of the video: in the clip up to .8 s, then it sounds for .6 s."""
    loud = np.flatnonzero(np.abs(wave) > 0.2) / videos.AUDIO_RATE
    assert loud[0] == pytest.approx(2.0 - START, abs=0.01)
    assert loud[-1] == pytest.approx(END - START, abs=0.01)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp3", "mp3"), (".wav", "pcm_s16le")])
@pytest.mark.shows("Formats of clips", "the suffix decides; the rest is refused in words")
def test_the_sound_alone(video: Path, tmp_path: Path, suffix: str, codec: str) -> None:
    clip = cut_clip(video, START, END, "exact", tmp_path / "clip", suffix=suffix, extras=True)
    with av.open(str(clip.path)) as made:
        (stream,) = made.streams
        assert stream.codec_context.codec.canonical_name == codec
    wave = sound_of(clip.path)
    assert len(wave) / videos.AUDIO_RATE == pytest.approx(END - START, abs=0.06 if suffix == ".mp3" else 0.0001)
    assert_beats(wave[: round((END - START) * videos.AUDIO_RATE)])


@pytest.mark.shows("Formats of clips", "the suffix decides; the rest is refused in words")
def test_a_gif_shows_what_the_video_shows(video: Path, tmp_path: Path) -> None:
    clip = cut_clip(video, START, END, "exact", tmp_path / "clip", suffix=".gif")
    with av.open(str(clip.path)) as made:
        (stream,) = made.streams
        frames = list(made.decode(stream))
        slates = [videos.read_slate(frame.to_ndarray(format="rgb24")) for frame in frames]
        ends = float(frames[-1].time) + float(frames[-1].duration * frames[-1].time_base)
    assert slates == [int((START + frame.time + 1e-6) * 25) % videos.SLATES for frame in frames]
    assert len(frames) == 18
    assert ends == pytest.approx(END - START, abs=0.011)


def test_a_gif_is_small_and_upright(tmp_path: Path) -> None:
    path = videos.make(tmp_path / "a.mp4", frames=10, size=(1280, 720), rotation_degrees=90).path
    clip = cut_clip(path, 0.0, 0.4, "exact", tmp_path / "clip", suffix=".gif")
    info = probe_video(clip.path)
    assert (info.width, info.height) == (480, 853)


def test_a_gif_of_slides_keeps_their_times(tmp_path: Path) -> None:
    path = write_slides(tmp_path / "a.mp4", [0, 3], 6, [0, 1])
    clip = cut_clip(path, 2.0, 5.0, "exact", tmp_path / "clip", suffix=".gif")
    assert probe_video(clip.path).duration_seconds == pytest.approx(3.0, abs=0.02)


@pytest.mark.parametrize(
    ("suffix", "mode", "words"),
    [
        (".avi", "exact", r"cannot be written as '\.avi'. Choose a name that ends in \.mp4, .* or \.wav"),
        (".txt", "copy", r"cannot be written as '\.txt'"),
        (".gif", "copy", r"A '\.gif' clip cannot be copied.*Leave out --copy"),
        (".wav", "copy", r"A '\.wav' clip cannot be copied"),
        (".webm", "copy", r"'a\.mp4' has h264, which cannot be copied into a '\.webm' file.*or choose \.mkv"),
    ],
)
@pytest.mark.shows("Formats of clips", "the suffix decides; the rest is refused in words")
def test_what_cannot_be_is_refused(video: Path, tmp_path: Path, suffix: str, mode: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        cut_clip(video, START, END, mode, tmp_path / "clip", suffix=suffix)
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_sound_has_none_to_write(tmp_path: Path) -> None:
    path = videos.make(tmp_path / "a.mp4").path
    with pytest.raises(InvalidRequest, match=r"'a\.mp4' has no sound: a '\.mp3' clip would be empty"):
        cut_clip(path, 0.0, 1.0, "exact", tmp_path / "clip", suffix=".mp3")


def test_a_long_gif_is_refused(tmp_path: Path) -> None:
    path = write_slides(tmp_path / "a.mp4", [0, 50], 100, [0, 1])
    with pytest.raises(LimitExceeded, match=f"A GIF of 61 s is above the limit of {MOST_SECONDS} s"):
        cut_clip(path, 0.0, 61.0, "exact", tmp_path / "clip", suffix=".gif")


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
@pytest.mark.shows("Formats of clips", "the suffix decides; the rest is refused in words")
def test_packets_are_copied_into_the_wanted_format(video: Path, tmp_path: Path, suffix: str) -> None:
    clip = cut_clip(video, START, END, "copy", tmp_path / "clip", suffix=suffix)
    assert clip.path.suffix == suffix
    first = round(clip.start_seconds * 25)
    assert [slate for _, slate in videos.read(clip.path)][:5] == [n % videos.SLATES for n in range(first, first + 5)]
