"""Recordings joined in one file, and gaps in their clocks: one timeline, and nothing is left out without a word."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest, UnreadableVideo
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.join import ReelPiece, cut_and_join
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.containers import parts
from executors.video_loader.containers.restarts import find_part_starts, find_restarts
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.decode.source import open_video
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut, SampledFrame

FRAMES = 50  # of each recording: 2 s
STEP = 7  # between the first slates of two recordings
# Suffix, codec.
KINDS = [("ts", "h264_b"), ("ts", "hevc"), ("m2ts", "h264"), ("mpg", "mpeg2_b"), ("flv", "h264"), ("mkv", "vp9")]
KINDS += [("mp4", "h264_b"), ("mov", "mpeg4"), ("webm", "vp8")]


def make_recording(path: Path, number: int, codec: str, frames: int = FRAMES, **options) -> bytes:
    pictures = [videos.slate(n + STEP * number, *options.get("size", (64, 48))) for n in range(frames)]
    return videos.make(path, pictures=pictures, codec=codec, **{"audio": True, **options}).path.read_bytes()


def join_bytes(folder: Path, suffix: str, codec: str, count: int = 2) -> Path:
    path = folder / f"joined.{suffix}"
    path.write_bytes(b"".join(make_recording(folder / f"{n}.{suffix}", n, codec) for n in range(count)))
    return path


def expected_slates(count: int) -> list[int]:
    return [(n + STEP * number) % videos.SLATES for number in range(count) for n in range(FRAMES)]


def slates_in(path: Path) -> list[int]:
    return [slate for _, slate in videos.read(path)]


def slate_at(path: Path, seconds: float) -> int:
    return videos.read_slate(np.asarray(Image.open(io.BytesIO(make_thumbnail(path, seconds, 64).jpeg))))


@pytest.mark.parametrize(("suffix", "codec"), KINDS)
@pytest.mark.shows("Recordings joined as bytes", "one timeline for samples, thumbnails and clips")
def test_recordings_joined_as_bytes_are_one_video(tmp_path: Path, suffix: str, codec: str) -> None:
    path = join_bytes(tmp_path, suffix, codec)
    info = probe_video(path)
    assert info.duration_seconds == pytest.approx(4.0, abs=0.005)
    assert info.notes == ["The file holds 2 recordings one after another. They are shown as one video."]
    with open_video(path) as source:
        frames = list(source.frames())
        assert [timed.time for timed in source.frames(Fraction(3))][-1] == frames[-1].time
    assert [float(timed.time) for timed in frames] == pytest.approx([n / 25 for n in range(100)], abs=0.002)
    pictures = [timed.frame.to_ndarray(format="rgb24") for timed in frames]
    assert [videos.read_slate(picture) for picture in pictures] == expected_slates(2)
    for at in (0.02, 1.98, 2.02, 3.98):
        assert slate_at(path, at) == expected_slates(2)[int(at * 25)]


@pytest.mark.parametrize(("suffix", "codec"), KINDS)
@pytest.mark.shows("Recordings joined as bytes", "one timeline for samples, thumbnails and clips")
def test_clips_of_joined_recordings_are_right_on_both_sides_and_across(tmp_path, suffix: str, codec: str) -> None:
    path = join_bytes(tmp_path, suffix, codec)
    for start, end in ((0.4, 1.2), (2.4, 3.2), (1.6, 2.8)):
        clip = cut_clip(path, start, end, "exact", tmp_path / "exact")
        assert (clip.start_seconds, clip.end_seconds) == pytest.approx((start, end))
        assert slates_in(clip.path) == expected_slates(2)[round(start * 25) : round(end * 25)]
        with av.open(str(clip.path)) as made:
            samples = sum(frame.samples for frame in made.decode(audio=0))
        assert samples / 48000 == pytest.approx(end - start, abs=0.05)
        clip = cut_clip(path, start, end, "copy", tmp_path / "copy")
        shown = slates_in(clip.path)
        first, last = round(clip.start_seconds * 25), round(clip.end_seconds * 25)
        assert first <= round(start * 25) < round(end * 25) <= last
        wanted = iter(expected_slates(2)[first:last])
        assert len(shown) >= last - first - 3  # at the end of a recording a copy may lack B-frames
        assert all(slate in wanted for slate in shown)  # in this order


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".mkv", "exact"), (".mkv", "copy"), (".mov", "exact"), (".mov", "copy"), (".webm", "exact")]
)
@pytest.mark.shows("Recordings joined as bytes", "one timeline for samples, thumbnails and clips")
def test_a_clip_across_two_recordings_may_have_other_formats(tmp_path: Path, suffix: str, mode: str) -> None:
    path = join_bytes(tmp_path, "ts", "h264")
    clip = cut_clip(path, 1.6, 2.8, mode, tmp_path / "clip", suffix=suffix)
    assert clip.path.suffix == suffix and clip.end_seconds == pytest.approx(2.8, abs=0.1)
    with av.open(str(clip.path)) as made:
        assert suffix[1:].replace("mkv", "matroska") in made.format.name
        samples = sum(frame.samples for frame in made.decode(audio=0))
    length = clip.end_seconds - clip.start_seconds
    assert samples / 48000 == pytest.approx(length, abs=0.1)
    if mode == "exact":
        assert slates_in(clip.path) == expected_slates(2)[40:70]
    assert [file.name for file in tmp_path.glob("*joining*")] == []


def test_a_copy_across_two_recordings_goes_only_where_its_codecs_fit(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"has h264, which cannot be copied into a '\.webm' file"):
        cut_clip(join_bytes(tmp_path, "ts", "h264"), 1.6, 2.8, "copy", tmp_path / "clip", suffix=".webm")


@pytest.mark.parametrize("suffix", [".gif", ".mp3", ".wav"])
def test_pictures_or_sound_alone_of_two_recordings(tmp_path: Path, suffix: str) -> None:
    clip = cut_clip(join_bytes(tmp_path, "ts", "h264"), 1.6, 2.8, "exact", tmp_path / "clip", suffix=suffix)
    with av.open(str(clip.path)) as made:
        assert (len(made.streams.video), len(made.streams.audio)) == ((1, 0) if suffix == ".gif" else (0, 1))
        assert made.duration / 1e6 == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize("sampling", ["even", "adaptive", "keyframes"])
@pytest.mark.shows("Recordings joined as bytes", "one timeline for samples, thumbnails and clips")
def test_every_recording_is_sampled_and_a_cut_lies_between(tmp_path: Path, sampling: str) -> None:
    path = tmp_path / "joined.ts"
    grey = [np.full((48, 64, 3), level, np.uint8) for level in (40, 200, 90)]
    made = [videos.make(tmp_path / f"{n}.ts", pictures=[grey[n]] * FRAMES).path.read_bytes() for n in range(3)]
    path.write_bytes(b"".join(made))
    with VideoReader(path, 2.0, PictureShape(16, 16), sampling=sampling) as reader:
        items = [item for start in (0, 3) for item in reader.read(start, start + 3)]
        again = list(reader.read(2, 4))
    samples = {item.pts_seconds: item.picture.mean() for item in items if isinstance(item, SampledFrame)}
    assert list(samples) == pytest.approx([n / 2 for n in range(12)], abs=0.35)
    assert list(samples.values()) == pytest.approx([40] * 4 + [200] * 4 + [90] * 4, abs=3)
    if sampling != "keyframes":
        assert [item.pts_seconds for item in items if isinstance(item, Cut)] == [2, 4]
    assert [i.pts_seconds for i in again] == [i.pts_seconds for i in items if 2 <= i.pts_seconds < 4]


@pytest.mark.shows("Recordings joined as bytes", "one timeline for samples, thumbnails and clips")
def test_recordings_may_differ_in_size_codec_and_identifiers(tmp_path: Path) -> None:
    first = make_recording(tmp_path / "0.ts", 0, "h264", size=(96, 48))
    with av.open(str(tmp_path / "1.ts"), "w", options={"mpegts_start_pid": "400"}) as video:
        track = video.add_stream("mpeg2video", rate=25, options={"q": "2"})
        track.width, track.height = 64, 48
        for n in range(FRAMES):
            video.mux(track.encode(av.VideoFrame.from_ndarray(videos.slate(n + STEP), "rgb24")))
        video.mux(track.encode(None))
    path = tmp_path / "joined.ts"
    path.write_bytes(first + (tmp_path / "1.ts").read_bytes())
    assert probe_video(path).duration_seconds == pytest.approx(4.0, abs=0.005)
    assert slate_at(path, 3.5) == expected_slates(2)[87]
    clip = cut_clip(path, 1.0, 3.0, "exact", tmp_path / "clip")
    assert slates_in(clip.path) == expected_slates(2)[25:75]


def test_moments_of_joined_recordings_join(tmp_path: Path) -> None:
    path = join_bytes(tmp_path, "ts", "h264")
    made = cut_and_join([ReelPiece(path, 2.4, 3.2, "a"), ReelPiece(path, 1.6, 2.4, "a")], tmp_path / "reel")
    slates = expected_slates(2)
    assert slates_in(made.path) == slates[60:80] + slates[40:60]


@pytest.mark.shows("A recording that cannot be read", "the others are read, and this one is told of")
def test_a_recording_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "joined.mp4"
    good = make_recording(tmp_path / "0.mp4", 0, "h264")
    path.write_bytes(good + good[:6000])
    assert probe_video(path).duration_seconds == pytest.approx(2.0, abs=0.005)
    (note,) = probe_video(path).notes
    assert note.startswith("Recording 2 of 2 (6.0 kB) was left out: 'joined.mp4' is not a video that can be read")
    path.write_bytes(good[:6000] + good[:6000])
    with pytest.raises(UnreadableVideo):
        probe_video(path)


def test_a_part_of_a_packet_between_recordings_is_harmless(tmp_path: Path) -> None:
    first = make_recording(tmp_path / "0.ts", 0, "h264", audio=False)
    path = tmp_path / "joined.ts"
    path.write_bytes(first[:-100] + make_recording(tmp_path / "1.ts", 1, "h264", audio=False))
    _, start = find_part_starts(path)
    assert len(first) - 100 <= start <= len(first) + 188
    assert probe_video(path).duration_seconds == pytest.approx(4.0, abs=0.05)


def test_packets_with_a_time_stamp_before_each(tmp_path: Path) -> None:
    data = make_recording(tmp_path / "0.ts", 0, "h264") + make_recording(tmp_path / "1.ts", 1, "h264")
    path = tmp_path / "joined.mts"
    path.write_bytes(b"".join(bytes(4) + data[place : place + 188] for place in range(0, len(data), 188)))
    assert probe_video(path).duration_seconds == pytest.approx(4.0, abs=0.005)


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.mkv", "a.mp4", "a.flv", "a.avi", "a.webm"])
def test_one_recording_is_one_part(tmp_path: Path, name: str) -> None:
    codec = {"a.mpg": "mpeg2_b", "a.avi": "mpeg4", "a.webm": "vp8"}.get(name, "h264")
    path = videos.make(tmp_path / name, codec=codec, audio=True).path
    assert find_part_starts(path) == [0]
    assert probe_video(path).notes == []


SECOND, OVER = 90_000, 1 << 33


@pytest.mark.parametrize(
    ("seconds", "restarts"),
    [
        ([0, 1, 2, 0, 1, 2], [3]),
        ([5, 6, 7, 1, 2, 9, 10, 3], [3, 7]),
        ([0, 1, 2, 99, 3, 4], []),  # one damaged reading
        ([10, 11, 12, 1, 13, 14], []),
        ([0, 1, 0.9, 2], []),  # jitter
        ([OVER / SECOND - 1, OVER / SECOND - 0.5, 0.2, 1], []),  # a clock that ran over
        ([OVER / SECOND - 1, OVER / SECOND - 0.5, 100, 101], [2]),
        ([0, 1, 40000, 40001], []),
        ([7], []),
        ([], []),
    ],
)
def test_a_clock_that_starts_again(seconds: list[float], restarts: list[int]) -> None:
    assert find_restarts(np.array([round(s * SECOND) for s in seconds], np.int64)).tolist() == restarts


@pytest.mark.parametrize("suffix", ["ts", "m2ts", "flv"])
@pytest.mark.parametrize("sampling", ["even", "keyframes"])
@pytest.mark.parametrize("level", [0, 120])
@pytest.mark.shows("A clock that jumps ahead", "nothing is found in the gap")
def test_a_gap_in_the_clock_shows_nothing(tmp_path: Path, suffix: str, sampling: str, level: int) -> None:
    """The recording stopped at 2 s, and went on at 4000 s."""
    times = [Fraction(n, 25) + (4000 if n >= 50 else 0) for n in range(100)]
    pictures = [np.full((48, 64, 3), level if n < 50 else 220, np.uint8) for n in range(100)]
    path = videos.make(tmp_path / f"a.{suffix}", pictures=pictures, times=times).path
    assert probe_video(path).duration_seconds == pytest.approx(4004, abs=0.1)
    with VideoReader(path, 1.0, PictureShape(16, 16), sampling=sampling) as reader:
        items = [item for start in (0, 30, 4000) for item in reader.read(start, start + 30)]
    samples = [(round(item.pts_seconds), item.is_blank) for item in items if isinstance(item, SampledFrame)]
    shown = [seconds for seconds, _ in samples]
    assert shown == sorted(shown)
    before, after = [s for s in shown if s < 30], [s for s in shown if s >= 30]
    assert before[:2] == [0, 1]
    assert before[-1] == 2  # where nothing begins
    assert after[0] in (4002, 4003)
    assert (2, True) in samples


def add_silence(path: Path, seconds: int) -> Path:
    whole = path.with_stem("sound")
    with av.open(str(path)) as silent, av.open(str(whole), "w") as out:
        copy = out.add_stream_from_template(silent.streams.video[0])
        sound = out.add_stream("mp2", rate=48000)
        packets = [packet for packet in silent.demux(video=0) if packet.dts is not None]
        for second in range(seconds):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 96000), np.int16), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, second * 48000, Fraction(1, 48000)
            out.mux(sound.encode(frame))
            while packets and packets[0].dts * packets[0].time_base < second + 2:
                packet = packets.pop(0)
                packet.stream = copy
                out.mux(packet)
        out.mux(sound.encode(None))
    return whole


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
@pytest.mark.shows("A clock that jumps ahead", "nothing is found in the gap")
def test_a_picture_that_stays_under_sound_is_no_gap(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(0), Fraction(1), Fraction(100), Fraction(101)]
    path = videos.make(tmp_path / f"a.{suffix}", pictures=videos.scenes(4), times=times, size=(32, 32)).path
    if suffix == "ts":
        path = add_silence(path, 102)
    with VideoReader(path, 1.0, PictureShape(16, 16)) as reader:
        items = list(reader.read(0, 102))
    assert [item.is_blank for item in items if isinstance(item, SampledFrame)] == [False] * 4


@pytest.mark.shows("A rotation that changes in mid-video", "every picture upright")
def test_recordings_may_be_turned_differently(tmp_path: Path) -> None:
    """Both show a white upper half, one is stored turned by 90 degrees."""
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:24] = 255
    turned = np.ascontiguousarray(np.rot90(np.concatenate([upright, upright], axis=1)[:, :36]))  # stored lying
    data = b""
    for number, (pictures, degrees) in enumerate((([upright] * 25, 0), ([turned] * 25, 90), ([upright] * 25, 0))):
        size = pictures[0].shape[1::-1]
        part = videos.make(tmp_path / f"{number}.mp4", pictures=pictures, rotation_degrees=degrees, size=size)
        data += part.path.read_bytes()
    path = tmp_path / "joined.mp4"
    path.write_bytes(data)

    def is_upright(picture: np.ndarray) -> bool:
        rows = picture.reshape(len(picture), -1).mean(axis=1)
        return bool(rows[: len(rows) // 3].min() > 200 and rows[-len(rows) // 3 :].max() < 50)

    for at in (0.5, 1.5, 2.5):
        picture = np.asarray(Image.open(io.BytesIO(make_thumbnail(path, at, 64).jpeg)))
        assert is_upright(picture), at
        assert (picture.shape[0] > picture.shape[1]) == (at == 1.5)
    with VideoReader(path, 2.0, PictureShape(32, 32)) as reader:
        samples = [item.picture for item in reader.read(0, 3) if isinstance(item, SampledFrame)]
    assert len(samples) == 6 and all(map(is_upright, samples))
    with av.open(str(cut_clip(path, 0.5, 2.5, "exact", tmp_path / "clip").path)) as clip:
        middle = [frame.to_ndarray(format="rgb24")[:, 28:36] for frame in clip.decode(video=0)]
    assert len(middle) == 51 and all(map(is_upright, middle))  # 0.5 s lies within a frame


def test_many_recordings_that_cannot_be_read_are_told_of_in_two_sentences(tmp_path: Path) -> None:
    path = tmp_path / "joined.mp4"
    good = make_recording(tmp_path / "0.mp4", 0, "h264")
    path.write_bytes(good + 10 * good[:40])
    first, last = probe_video(path).notes
    assert first.startswith("Recording 2 of 11 (40 B) was left out")
    assert last == "9 more recordings were left out."


def test_a_clock_that_starts_again_all_the_time_is_damaged(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(parts, "MOST_PARTS", 2)
    path = join_bytes(tmp_path, "mkv", "vp8", count=3)
    assert len(parts.list_parts(path)) == 1
    assert "has 3 recordings, more than 2: it is read as one" in caplog.text
