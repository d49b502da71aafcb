"""Source timecode: what cameras and recorders call the frames of a video, from its file to the lists of editors."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path, PurePosixPath

import av
import numpy as np
import pytest

from clipseek.exports.edit_list import make_edit_list
from clipseek.exports.edl import write_edl
from clipseek.exports.moments import Moment
from clipseek.schema import Video
from clipseek.timecode import Timecode, exact_rate
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.decode.probe import probe_video

NTSC = Fraction(30000, 1001)
RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": NTSC,
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
}
Change = Callable[[av.Packet], bytes]


def make_video(
    path: Path,
    rate: Fraction,
    timecode: str = "",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    change: Change = bytes,
    frames: int = 60,
    size: tuple[int, int] = (64, 48),
    where: str = "track",
    step: int = 2,
) -> Path:
    """A video whose frames get lighter by `step`; `change` gets each packet and returns its bytes."""
    with av.open(str(path), "w") as video:
        track = video.add_stream(codec, rate=rate, options=options or {})
        track.width, track.height, track.pix_fmt = *size, "yuv411p" if codec == "dvvideo" else "yuv420p"
        if timecode:
            (track if where == "track" else video).metadata["timecode"] = timecode
        for n in [*range(frames), None]:
            picture = None
            if n is not None:
                picture = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), step * n + 60, np.uint8), "rgb24")
                picture.pts, picture.time_base = n, 1 / rate
            for packet in track.encode(picture):
                changed = av.Packet(change(packet))
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.duration, changed.stream, changed.is_keyframe = packet.duration, track, packet.is_keyframe
                video.mux(changed)
    return path


def labels(first: str, rate: Fraction, count: int) -> Iterator[str]:
    """Timecodes one after another, as SMPTE ST 12 counts them: no minute but each tenth has the first ones."""
    nominal, mark = round(rate), first[-3]
    hours, minutes, seconds, frame = map(int, re.split("[:;]", first))
    while count:
        if mark == ":" or minutes % 10 == 0 or seconds or frame >= nominal // 15:
            yield f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{frame:02d}"
            count -= 1
        frame += 1
        seconds, frame = seconds + frame // nominal, frame % nominal
        minutes, seconds = minutes + seconds // 60, seconds % 60
        hours, minutes = (hours + minutes // 60) % 24, minutes % 60


def video_of(path: Path) -> Video:
    info = asdict(probe_video(path))
    return Video(video_id="a" * 64, **{name: info[name] for name in info.keys() & Video.model_fields.keys()})


def edl_of(moments: list[Moment], videos: dict[str, Video]) -> str:
    return write_edl(make_edit_list(moments, videos, {video_id: PurePosixPath("/a.mov") for video_id in videos}))


def source_times(edl: str) -> list[tuple[str, str]]:
    return re.findall(r"^\d{3} .* C +([\d:;]+) ([\d:;]+) ", edl, re.MULTILINE)


def frame_times(path: Path) -> list[float]:
    with av.open(str(path)) as video:
        return [float(frame.pts * frame.time_base) for frame in video.decode(video=0)]


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("rate", "first"),
    [(rate, "10:00:59:10") for rate in RATES] + [(rate, "00:09:59;10") for rate in ("29.97", "59.94")],
)
@pytest.mark.shows("Source timecode", "clips and lists for editors keep it")
def test_lists_for_editors_name_the_frames_of_the_source(tmp_path: Path, suffix: str, rate: str, first: str) -> None:
    path = make_video(tmp_path / f"a{suffix}", RATES[rate], first)
    video, times = video_of(path), frame_times(path)
    assert (video.timecode, Fraction(video.timecode_rate)) == (first, RATES[rate])
    right = list(labels(first, RATES[rate], 60))
    begin = times[0] - video.first_seconds
    items = [
        Moment(video.video_id, "a", round(times[start] - begin, 3), round(times[end] - begin, 3))
        for start, end in ((0, 1), (3, 40), (25, 59))
    ]
    edl = edl_of(items, {video.video_id: video})
    assert source_times(edl) == [(right[0], right[1]), (right[3], right[40]), (right[25], right[59])]
    assert edl.splitlines()[1] == ("FCM: DROP FRAME" if ";" in first else "FCM: NON-DROP FRAME")
    records = re.findall(r"([\d:;]+) ([\d:;]+)$", edl, re.MULTILINE)
    zero = Timecode(0, RATES[rate], ";" in first)
    assert records == [(str(zero.add(a)), str(zero.add(b))) for a, b in ((0, 1), (1, 38), (38, 72))]


def frames_of(clip: Path, step: int) -> list[int]:
    """Which of the frames of `make_video` a clip shows, by how light they are."""
    with av.open(str(clip)) as video:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in video.decode(video=0)]
    return [round((mean - 60) / step) for mean in means]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rate", RATES)
def test_lists_for_editors_name_the_frames_that_clips_show(tmp_path: Path, suffix: str, rate: str) -> None:
    path = make_video(tmp_path / f"a{suffix}", RATES[rate], "10:00:00:00", frames=18, step=10)
    video, times = video_of(path), [round(time - frame_times(path)[0], 3) for time in frame_times(path)]
    length = 1 / float(RATES[rate])
    # From frame to frame, by times that are rounded; between two frames; a little outside and inside.
    for start, end, early, late in [(0, 1, 0, 0), (3, 7, 0, 0), (11, 17, 0, 0), (5, 9, 0.3, 0.7), (5, 9, -0.2, 0.2)]:
        edges = times[start] + early * length, times[end] + late * length
        moments = [Moment(video.video_id, "a", *edges)]
        [edit] = make_edit_list(moments, {video.video_id: video}, {video.video_id: PurePosixPath("/a")}).edits
        clip = cut_clip(path, *edges, "exact", tmp_path / f"{start}{early}")
        assert frames_of(clip.path, 10) == list(range(edit.start, edit.end)), edges


@pytest.mark.parametrize(
    ("rate", "first"),
    [
        *((rate, first) for rate in RATES for first in ("", "10:00:00:00")),
        *((rate, "10:00:00;00") for rate in ("29.97", "59.94")),
    ],
)
def test_an_hour_later_the_frame_is_right(rate: str, first: str) -> None:
    """A rounded rate is 3.6 s off there, at 29.97."""
    fps = RATES[rate]
    number = round(3600 * fps)
    seconds = [float((number + n) / fps) for n in (0, 7)]
    clock = {"timecode": first, "timecode_rate": str(fps)} if first else {}
    video = Video(fps=float(f"{float(fps):.5g}"), duration_seconds=4000.0, **clock)
    edl = edl_of([Moment("a" * 64, "a", *seconds)], {"a" * 64: video})
    *_, start = labels(first or "00:00:00:00", fps, number + 1)
    *_, end = labels(first or "00:00:00:00", fps, number + 8)
    assert source_times(edl) == [(start, end)]


def test_frames_count_from_the_first_picture_where_it_comes_late() -> None:
    video = Video(fps=25.0, first_seconds=0.8, timecode="01:00:00:00", timecode_rate="25", duration_seconds=9.0)
    items = [Moment("a" * 64, "a", 0.2, 1.8), Moment("a" * 64, "a", 2.8, 2.81)]
    edl = edl_of(items, {"a" * 64: video})
    assert source_times(edl) == [("01:00:00:00", "01:00:01:00"), ("01:00:02:00", "01:00:02:01")]


def test_a_list_of_videos_of_two_rates_is_in_that_of_the_first() -> None:
    clocks = [("10:00:00;00", "30000/1001", 29.97), ("20:00:00:00", "25", 25.0)]
    videos = {
        name * 64: Video(video_id=name * 64, timecode=timecode, timecode_rate=rate, fps=fps)
        for name, (timecode, rate, fps) in zip("ab", clocks, strict=True)
    }
    lines = edl_of([Moment(name, "x", 60.06, 62.062) for name in videos], videos).splitlines()
    assert lines[1] == "FCM: DROP FRAME"
    assert lines[3].split()[4:] == ["10:01:00;02", "10:01:02;02", "00:00:00;00", "00:00:02;00"]
    assert lines[7].split()[4:] == ["20:00:59;29", "20:01:02;02", "00:00:02;00", "00:00:04;01"]
    assert lines[10:12] == ["* SOURCE RATE: 25", "* SOURCE TIMECODE: 20:01:00:01 20:01:02:02"]


# Where FFmpeg has it


@pytest.mark.parametrize(
    ("name", "codec", "where", "size"),
    [
        ("a.mkv", "libx264", "file", (64, 48)),
        ("a.webm", "libvpx-vp9", "track", (64, 48)),
        ("a.mxf", "mpeg2video", "track", (64, 48)),
        ("a.avi", "mpeg4", "file", (64, 48)),
        ("a.nut", "mpeg4", "track", (64, 48)),
        ("a.flv", "flv1", "file", (64, 48)),
        ("a.wtv", "mpeg2video", "file", (64, 48)),
        ("a.dv", "dvvideo", "track", (720, 480)),
    ],
)
@pytest.mark.shows("Source timecode", "clips and lists for editors keep it")
def test_tags_of_many_containers_are_read(tmp_path: Path, name: str, codec: str, where: str, size) -> None:
    first = "01:02:03:04" if name == "a.dv" else "01:02:03;04"
    info = probe_video(make_video(tmp_path / name, NTSC, first, codec, where=where, size=size))
    assert (info.timecode.replace(";", ":"), info.timecode_rate) == ("01:02:03:04", "30000/1001")


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.mkv", "a.m2v"])
@pytest.mark.parametrize(("group", "shown_before"), [("1", "0"), ("12", "0"), ("12", "2")])
@pytest.mark.shows("Timecode inside the pictures", "read where FFmpeg gives it")
def test_mpeg2_has_one_in_front_of_its_groups(tmp_path: Path, name: str, group: str, shown_before: str) -> None:
    options = {"gop_timecode": "10:00:00;28", "g": group, "bf": shown_before, "sc_threshold": "1000000000"}
    path = make_video(tmp_path / name, NTSC, codec="mpeg2video", options=options)
    info = probe_video(path)
    assert (info.timecode, info.timecode_rate) == ("10:00:00;28", "30000/1001")


def test_a_recording_that_begins_within_an_open_group_is_right(tmp_path: Path) -> None:
    """Pictures that are shown before the first one that decodes by itself are lost, but they count."""
    options = {"gop_timecode": "10:00:00:00", "g": "12", "bf": "2", "sc_threshold": "1000000000"}
    path = make_video(tmp_path / "a.m2v", Fraction(25), codec="mpeg2video", options=options)
    data = path.read_bytes()
    groups = [match.start() for match in re.finditer(b"\x00\x00\x01\xb3", data)]
    path.write_bytes(data[groups[2] :])
    with av.open(str(path), format="mpegvideo") as video:
        number = round((next(video.decode(video=0)).to_ndarray(format="rgb24").mean() - 60) / 2)
    assert number > 20
    assert probe_video(path).timecode == str(Timecode.parse("10:00:00:00", Fraction(25)).add(number))


def test_groups_of_pictures_that_begin_at_0_say_nothing(tmp_path: Path) -> None:
    assert probe_video(make_video(tmp_path / "a.ts", NTSC, codec="mpeg2video")).timecode == ""


def pack(*fields: tuple[int, int]) -> bytes:
    """Values, each in so many bits, then a bit that ends them."""
    bits = "".join(f"{value:0{width}b}" for value, width in fields) + "1"
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))


def escape(data: bytes) -> bytes:
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", lambda _: b"\0\0\3", data)


def with_h264_timing(packet: av.Packet, frame: int, drops: bool) -> bytes:
    """The packet with 10:20:30 in its picture timing, which x264 writes without a clock (ITU-T H.264, D.1.3)."""
    clock = [(0, 4), (1, 1), (0, 2), (0, 1), (4 if drops else 0, 5), (1, 1), (0, 1), (drops, 1), (frame, 8)]
    payload = pack(*clock, (30, 6), (20, 6), (10, 5), (0, 24))
    timing = b"\x06\x01" + bytes([len(payload)]) + escape(payload) + b"\x80"
    data, count = re.subn(
        rb"(?<=\x00\x00\x01)\x06\x01.+?(?=\x00?\x00\x00\x01)", lambda _: timing, bytes(packet), count=1, flags=re.DOTALL
    )
    assert count
    return data


def with_hevc_timing(packet: av.Packet, frame: int, drops: bool) -> bytes:
    """The packet with 10:20:30 in a time code message in front of its first slice (ITU-T H.265, D.2.27)."""
    clock = [(1, 2), (1, 1), (0, 1), (4 if drops else 0, 5), (1, 1), (0, 1), (drops, 1), (frame, 9)]
    payload = pack(*clock, (30, 6), (20, 6), (10, 5), (0, 5))
    message = b"\0\0\1\x4e\x01\x88" + bytes([len(payload)]) + escape(payload) + b"\x80"
    data = bytes(packet)
    slices = re.search(rb"\x00?\x00\x00\x01[\x00-\x3f]\x01", data)
    assert slices
    return data[: slices.start()] + message + data[slices.start() :]


@pytest.mark.parametrize("suffix", [".ts", ".m2ts"])
@pytest.mark.parametrize(
    ("codec", "options", "write"),
    [
        ("libx264", {"x264-params": "pic-struct=1:bframes=0"}, with_h264_timing),
        ("libx265", {"x265-params": "log-level=none:bframes=0"}, with_hevc_timing),
    ],
)
@pytest.mark.parametrize(
    ("rate", "frame", "first"),
    [
        ("25", 12, "10:20:30:12"),
        ("29.97", 29, "10:20:30;29"),
        ("29.97", 5, "10:20:30:05"),
        ("50", 49, "10:20:30:49"),
        ("59.94", 57, "10:20:30;57"),
    ],
)
@pytest.mark.shows("Timecode inside the pictures", "read where FFmpeg gives it")
def test_h264_and_hevc_carry_one_in_broadcasts(
    tmp_path: Path, codec: str, options, write, suffix: str, rate: str, frame: int, first: str
) -> None:
    path = make_video(
        tmp_path / f"a{suffix}",
        RATES[rate],
        codec=codec,
        options=options,
        change=lambda packet: write(packet, frame, ";" in first),
        frames=5,
    )
    info = probe_video(path)
    assert (info.timecode, Fraction(info.timecode_rate)) == (first, RATES[rate])


@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_clips_of_matroska_keep_it_to_the_frame(tmp_path: Path, mode: str) -> None:
    """Its times are in milliseconds, a little early or late."""
    path = make_video(tmp_path / "a.mkv", NTSC, "10:00:00;00", options={"g": "1"})
    right, times = list(labels("10:00:00;00", NTSC, 60)), frame_times(path)
    for number in (1, 2, 31, 32):
        clip = cut_clip(path, times[number], 1.9, mode, tmp_path / f"{number}", suffix=".mov", extras=True)
        with av.open(str(clip.path)) as made:
            assert made.streams.video[0].metadata["timecode"] == right[number]


@pytest.mark.parametrize("text", ["nine o'clock", "10:00:00:30", "25:00:00:00", "10:61:00:00", "10:00", ""])
def test_what_is_no_timecode_is_none(tmp_path: Path, text: str) -> None:
    path = make_video(tmp_path / "a.mkv", NTSC, text, frames=5)
    assert (probe_video(path).timecode, probe_video(path).timecode_rate) == ("", "")
    with pytest.raises(ValueError, match=r"is no timecode at 29\.97 frames a second: write 10:00:00:00"):
        Timecode.parse(text, NTSC)


# Counting


@pytest.mark.parametrize("rate", [NTSC, Fraction(60000, 1001), Fraction(120000, 1001)])
def test_numbers_that_are_dropped(rate: Fraction) -> None:
    count = 22 * 60 * round(rate)
    for number, label in enumerate(labels("00:00:00;00", rate, count)):
        assert str(Timecode(number, rate, drops=True)) == label
        assert Timecode.parse(label, rate).frame == number


@pytest.mark.parametrize(
    ("first", "rate", "seconds", "later"),
    [
        ("01:00:00:00", Fraction(25), 2, "01:00:02:00"),
        ("10:59:59:24", Fraction(25), 0.04, "11:00:00:00"),
        ("23:59:59:29", Fraction(30), 1 / 30, "00:00:00:00"),
        ("23:59:59;29", NTSC, Fraction(1001, 30000), "00:00:00;00"),
        ("00:00:00:00", Fraction(24), -1 / 24, "23:59:59:23"),
        ("00:00:59;29", NTSC, Fraction(1001, 30000), "00:01:00;02"),
        ("00:09:59;29", NTSC, Fraction(1001, 30000), "00:10:00;00"),
        ("01:00:00;00", NTSC, 3600, "02:00:00;00"),
        ("01:00:00:00", NTSC, 3600, "01:59:56:12"),
        ("00:00:59:23", RATES["23.976"], Fraction(1001, 24000), "00:01:00:00"),
        ("00:00:59;24", Fraction(25), 0, "00:00:59:24"),  # 25 frames a second drop none
    ],
)
def test_a_timecode_goes_on(first: str, rate: Fraction, seconds: float, later: str) -> None:
    assert str(Timecode.parse(first, rate).add(round(Fraction(seconds) * rate))) == later


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        *[(29.97, NTSC), (989 / 33, NTSC), (23.976, RATES["23.976"]), (59.94, RATES["59.94"]), (25.0, 25), (24.97, 25)],
        *[(30.0, 30), (119.88, Fraction(120000, 1001)), (0.1, 1), (24.0, 24), (14.985, Fraction(15000, 1001))],
    ],
)
def test_the_exact_rate_of_a_rounded_one(fps: float, rate: Fraction) -> None:
    assert exact_rate(fps) == rate
