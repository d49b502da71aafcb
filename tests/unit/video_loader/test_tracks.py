"""Which tracks a video is made of, and which a clip keeps: pictures, sounds, subtitles, chapters."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from clipseek.api.errors import InvalidRequest
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.extras import shift_timecode
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.containers.parts import VideoView
from executors.video_loader.containers.programmes import read_programmes
from executors.video_loader.decode.probe import probe_video

RATE = 48000
GREEN, RED = (30, 160, 30), (200, 30, 30)
LINES = [(0.2, 0.8, "first"), (1.0, 3.0, "second, with a comma"), (3.2, 3.6, "third")]


def add_pictures(video, codec: str, colour, frames: int, size=(96, 64), rate: int = 25):
    track = video.add_stream(codec, rate=rate, options={"q": "2"} if codec == "mjpeg" else {"qp": "10"})
    track.width, track.height = size
    track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    track.gop_size = 25
    picture = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), colour, np.uint8), "rgb24")

    def encode():
        for n in range(frames):
            picture.pts, picture.time_base = n, Fraction(1, rate)
            yield from track.encode(picture)
        yield from track.encode(None)

    return encode


def add_tone(video, hertz: int, seconds: float, language: str = "", codec: str = "aac"):
    track = video.add_stream(codec, rate=RATE, layout="mono")
    if language:
        track.metadata["language"] = language

    def encode():
        wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
        for begin in range(0, len(wave), 1024):
            samples = wave[begin : begin + 1024].astype(np.float32)[None]
            if codec == "mp2":
                frame = av.AudioFrame.from_ndarray((samples * 32000).astype(np.int16), "s16", "mono")
            else:
                frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
            yield from track.encode(frame)
        yield from track.encode(None)

    return track, encode


def add_lines(video, codec: str, language: str, lines=LINES):
    track = video.add_mux_stream(codec)
    track.time_base = Fraction(1, 1000)
    track.metadata["language"] = language

    def encode():
        for number, (start, end, text) in enumerate(lines):
            data = f"{number},0,Default,,0,0,0,,{{\\b1}}{text}" if codec == "ass" else text
            data = data.encode()
            packet = av.Packet(len(data).to_bytes(2) + data if codec == "mov_text" else data)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration, packet.time_base = round((end - start) * 1000), Fraction(1, 1000)
            packet.stream, packet.is_keyframe = track, True
            yield packet

    return encode


def mux(video, *encoders) -> None:
    packets = [packet for encode in encoders for packet in encode()]
    for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
        video.mux(packet)


def colour_of(frame: np.ndarray) -> str:
    red, green, _ = frame.reshape(-1, 3).mean(axis=0)
    return "red" if red > green else "green"


def thumbnail_colour(file) -> str:
    with av.open(io.BytesIO(make_thumbnail(file, 0.5, 96).jpeg), format="jpeg_pipe") as jpeg:
        return colour_of(next(jpeg.decode(video=0)).to_ndarray(format="rgb24"))


def hertz_of(clip, index: int) -> int:
    """The tone of a sound in the middle of a clip."""
    frames = [frame.to_ndarray()[0] for frame in clip.decode(audio=index)]
    clip.seek(0)
    wave = np.concatenate(frames)[RATE // 4 :][: RATE // 2].astype(float)
    return int(np.abs(np.fft.rfft(wave)).argmax()) * 2


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
@pytest.mark.shows("Several video tracks", "told of, and can be chosen")
def test_several_video_tracks_are_told_of_and_can_be_chosen(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as video:
        mux(video, add_pictures(video, "libx264", GREEN, 50), add_pictures(video, "libx264", RED, 75))
    info = probe_video(path)
    assert info.notes == [
        "The file has 2 video tracks (1: 96x64, 2: 96x64). Track 1 is used: --stream chooses another."
    ]
    assert (info.duration_seconds, thumbnail_colour(path)) == (pytest.approx(2.0, abs=0.001), "green")
    second = VideoView(path, 2)
    assert probe_video(second).duration_seconds == pytest.approx(3.0, abs=0.001)
    assert "Track 2 is used" in probe_video(second).notes[0]
    assert thumbnail_colour(second) == "red"
    for mode in ("exact", "copy"):
        clip = cut_clip(second, 1.0, 2.6, mode, tmp_path / mode)
        with av.open(str(clip.path)) as made:
            assert colour_of(next(made.decode(video=0)).to_ndarray(format="rgb24")) == "red"
    with pytest.raises(InvalidRequest, match=r"has no video track 3, but 2 video tracks \(1: 96x64, 2: 96x64\)"):
        probe_video(VideoView(path, 3))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.shows("A preview of one picture", "never taken for the video")
def test_a_preview_of_one_picture_is_never_the_video(tmp_path: Path, name: str, is_first: bool) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as video:
        kinds = [("libx264", GREEN, 50, (96, 64)), ("mjpeg", RED, 1, (640, 480))]
        mux(video, *[add_pictures(video, *kind) for kind in (kinds[::-1] if is_first else kinds)])
    info = probe_video(path)
    assert (info.width, info.notes, thumbnail_colour(path)) == (96, [], "green")
    assert info.duration_seconds == pytest.approx(2.0, abs=0.001)


def test_a_video_of_one_picture_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as video:
        mux(video, add_pictures(video, "libx264", GREEN, 1))
    assert probe_video(path).notes == []


def make_two_languages(path: Path, lines: str, codec: str = "libx264", sound: str = "aac") -> Path:
    with av.open(str(path), "w") as video:
        pictures = add_pictures(video, codec, GREEN, 100)
        german, first = add_tone(video, 300, 4, "ger", sound)
        english, second = add_tone(video, 1500, 4, "eng", sound)
        german.disposition, english.disposition = Disposition(0), Disposition.default
        text = add_lines(video, lines, "fra" if path.suffix == ".mov" else "fre")
        ms = Fraction(1, 1000)
        video.set_chapters(
            [
                {"id": 0, "start": 0, "end": 2000, "time_base": ms, "metadata": {"title": "one"}},
                {"id": 1, "start": 2000, "end": 4000, "time_base": ms, "metadata": {"title": "two"}},
            ]
        )
        mux(video, pictures, first, second, text)
    return path


@pytest.mark.parametrize("mode", ["exact", "copy"])
@pytest.mark.parametrize(
    ("name", "lines", "suffix"),
    [
        ("a.mkv", "subrip", ".mp4"),
        ("a.mkv", "ass", ".mkv"),
        ("a.mp4", "mov_text", ".mp4"),
        ("a.mov", "mov_text", ".mov"),
        ("a.mp4", "mov_text", ".mkv"),
    ],
)
@pytest.mark.shows("Languages, subtitles, chapters", "clips keep them")
def test_clips_keep_languages_subtitles_and_chapters(tmp_path, mode: str, name: str, lines: str, suffix: str) -> None:
    path = make_two_languages(tmp_path / name, lines)
    clip = cut_clip(path, 1.0, 3.4, mode, tmp_path / "clip", suffix=suffix, extras=True)
    begin = clip.start_seconds
    assert clip.path.suffix == suffix
    with av.open(str(clip.path)) as made:
        sounds = made.streams.audio
        assert [(s.language, bool(s.disposition & Disposition.default)) for s in sounds] == [
            ("eng", True),
            ("ger", False),
        ]
        for index, hertz in enumerate((1500, 300)):
            assert hertz_of(made, index) == pytest.approx(hertz, abs=4)
        assert made.streams.subtitles[0].language in ("fre", "fra")
        shown = [
            (float(p.pts * p.time_base), float(p.duration * p.time_base), bytes(p)[2 * (suffix != ".mkv") :].decode())
            for p in made.demux(made.streams.subtitles[0])
            if p.size > 2
        ]
        wanted = [(max(a - begin, 0), min(b, 3.4) - max(a, begin), t) for a, b, t in LINES if b > begin]
        assert [text for *_, text in shown] == [text for *_, text in wanted]
        for (start, length, _), (right_start, right_length, _) in zip(shown, wanted, strict=True):
            assert (start, length) == pytest.approx((right_start, right_length), abs=0.03)
        chapters = [(float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in made.chapters()]
        assert [title for _, title in chapters] == ["one", "two"]
        assert chapters[1][0] == pytest.approx(2 - begin, abs=0.03)


@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_a_clip_of_one_of_several_recordings_keeps_their_languages_too(tmp_path: Path, mode: str) -> None:
    recording = make_two_languages(tmp_path / "a.mkv", "subrip").read_bytes()
    path = tmp_path / "joined.mkv"
    path.write_bytes(2 * recording)
    clip = cut_clip(path, 5.0, 7.4, mode, tmp_path / "clip", suffix=".mkv", extras=True)
    with av.open(str(clip.path)) as made:
        assert [sound.language for sound in made.streams.audio] == ["eng", "ger"]
        assert made.streams.subtitles[0].language in ("fre", "fra")


@pytest.mark.parametrize("mode", ["exact", "copy"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_subtitle_that_mp4_cannot_hold_whole_is_cut_between_characters(tmp_path, mode: str, suffix: str) -> None:
    path = tmp_path / "a.mkv"
    text = "a" + "猫" * 30_000  # 90,001 bytes
    with av.open(str(path), "w") as video:
        mux(video, add_pictures(video, "libx264", GREEN, 50), add_lines(video, "subrip", "chi", [(0.2, 1.0, text)]))
    clip = cut_clip(path, 0.0, 1.8, mode, tmp_path / "clip", suffix=suffix, extras=True)
    with av.open(str(clip.path)) as made:
        [shown] = [bytes(packet) for packet in made.demux(made.streams.subtitles[0]) if packet.size > 2]
    assert shown[2:].decode() == "a" + "猫" * 21_844 if suffix == ".mp4" else shown.decode() == text


def test_a_clip_keeps_so_many_subtitles_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as video:
        lines = [add_lines(video, "subrip", "eng", [(0.2, 1.0, str(number))]) for number in range(40)]
        mux(video, add_pictures(video, "libx264", GREEN, 50), *lines)
    clip = cut_clip(path, 0.0, 1.8, "copy", tmp_path / "clip", suffix=".mkv", extras=True)
    with av.open(str(clip.path)) as made:
        assert len(made.streams.subtitles) == 32


@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_without_extras_a_clip_has_the_main_sound_alone(tmp_path: Path, mode: str) -> None:
    path = make_two_languages(tmp_path / "a.mkv", "subrip")
    with av.open(str(cut_clip(path, 1.0, 3.0, mode, tmp_path / "clip").path)) as made:
        assert [(s.type, s.language) for s in made.streams if s.type != "video"] == [("audio", "eng")]
        assert made.chapters() == []


def checksum(section: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in section:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc.to_bytes(4)


def packet_of_table(pid: int, section: bytes) -> bytes:
    data = section + checksum(section)
    return (b"\x47" + (0x4000 | pid).to_bytes(2) + b"\x10\0" + data).ljust(188, b"\xff")


def make_two_programmes(folder: Path) -> Path:
    """A broadcast of two programmes: the first has no pictures to prefer, and the sound of the other is the default."""
    streams = []
    for number, (colour, hertz) in enumerate(((GREEN, 300), (RED, 1500))):
        path = folder / f"{number}.ts"
        options = {"mpegts_start_pid": str(256 + 16 * number), "mpegts_pmt_start_pid": str(4096 + number)}
        with av.open(str(path), "w", options={**options, "mpegts_service_id": str(number + 1)}) as video:
            size = (96, 64) if number else (64, 48)
            pictures = add_pictures(video, "libx264", colour, 75, size)
            mux(video, pictures, add_tone(video, hertz, 3, codec="mp2")[1])
        data = path.read_bytes()
        streams.append([data[place : place + 188] for place in range(0, len(data), 188)])
    programmes = b"".join((n + 1).to_bytes(2) + (0xE000 | 4096 + n).to_bytes(2) for n in range(2))
    table = packet_of_table(0, b"\0" + (0xB000 | 5 + 8 + 4).to_bytes(2) + b"\0\1\xc1\0\0" + programmes)
    packets = []
    for pair in zip(*streams, strict=False):
        for packet in pair:
            pid = int.from_bytes(packet[1:3]) & 0x1FFF
            packets.append(table if pid == 0 else packet)
    path = folder / "both.ts"
    path.write_bytes(b"".join(packets))
    return path


@pytest.mark.parametrize(("number", "colour", "hertz"), [(0, "red", 1500), (1, "green", 300), (2, "red", 1500)])
@pytest.mark.shows("Several programmes", "the sound of the pictures' own")
def test_the_sound_is_that_of_the_programme_of_the_pictures(
    tmp_path: Path, number: int, colour: str, hertz: int
) -> None:
    path = make_two_programmes(tmp_path)
    assert sorted(map(sorted, read_programmes(path))) == [[256, 257], [272, 273]]
    file = VideoView(path, number) if number else path  # by itself, the larger picture
    assert thumbnail_colour(file) == colour
    for mode, suffix in (("exact", ""), ("copy", ".mkv")):
        clip = cut_clip(file, 0.0, 1.8, mode, tmp_path / mode, suffix=suffix, extras=True)
        with av.open(str(clip.path)) as made:
            assert len(made.streams.audio) == 1
            assert hertz_of(made, 0) == pytest.approx(hertz, abs=4)


def test_checksums_are_those_of_mpeg() -> None:
    assert checksum(b"123456789") == bytes.fromhex("0376e6e7")


@pytest.mark.parametrize(
    ("timecode", "seconds", "fps", "later"),
    [
        ("01:00:00:00", 2, Fraction(25), "01:00:02:00"),
        ("10:59:59:24", Fraction(1, 25), Fraction(25), "11:00:00:00"),
        ("23:59:59:29", Fraction(1, 30), Fraction(30), "00:00:00:00"),
        ("00:00:59;29", Fraction(1001, 30000), Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", Fraction(1001, 30000), Fraction(30000, 1001), "00:10:00;00"),
        ("01:00:00;00", 3600, Fraction(30000, 1001), "02:00:00;00"),
        ("00:00:59:23", Fraction(1001, 24000), Fraction(24000, 1001), "00:01:00:00"),
    ],
)
def test_a_timecode_goes_on(timecode: str, seconds: Fraction, fps: Fraction, later: str) -> None:
    assert shift_timecode(timecode, Fraction(seconds), fps) == later


@pytest.mark.shows("Source timecode", "clips keep it")
@pytest.mark.parametrize("mode", ["exact", "copy"])
@pytest.mark.parametrize(
    ("name", "suffix"), [("a.mov", ".mov"), ("a.mov", ".mp4"), ("a.mp4", ".mov"), ("a.mov", ".mkv")]
)
def test_clips_keep_the_source_timecode(tmp_path: Path, mode: str, name: str, suffix: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as video:
        encode = add_pictures(video, "libx264", GREEN, 100)
        video.streams.video[0].metadata["timecode"] = "09:30:00:10"
        mux(video, encode)
    clip = cut_clip(path, 1.2, 3.0, mode, tmp_path / "clip", suffix=suffix, extras=True)
    with av.open(str(clip.path)) as made:
        found = {name.lower(): value for name, value in made.streams.video[0].metadata.items()}["timecode"]
        assert mode == "copy" or len(list(made.decode(video=0))) == 45
    assert found == shift_timecode("09:30:00:10", Fraction(round(clip.start_seconds * 25), 25), Fraction(25))


def test_a_timecode_that_is_none_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as video:
        encode = add_pictures(video, "libx264", GREEN, 50)
        video.streams.video[0].metadata["timecode"] = "nine o'clock"
        mux(video, encode)
    clip = cut_clip(path, 0.4, 1.2, "exact", tmp_path / "clip", suffix=".mkv", extras=True)
    with av.open(str(clip.path)) as made:
        assert "TIMECODE" not in {name.upper() for name in made.streams.video[0].metadata}
