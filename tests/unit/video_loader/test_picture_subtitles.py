"""Subtitles that are pictures: clips in Matroska keep them as they are, and others leave them out."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from executors.video_loader.clips.cut import cut_clip
from tests.unit.video_loader.test_tracks import GREEN, add_pictures, mux

Lines = list[tuple[float, float, bytes]]
END = b"\x80\0\0"  # of a picture of PGS, whose parts have a kind, a length and bytes


def part(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + len(data).to_bytes(2) + data


def head(name: bytes) -> bytes:
    return part(0x16, bytes(11) + name)


ONE, TWO, THREE, FOUR = (head(name) + END for name in (b"one", b"two", b"three", b"four"))
LINES: Lines = [(0.2, 0.6, ONE), (1.0, 1.5, TWO), (1.8, 1.0, THREE), (3.2, 0.4, FOUR)]


def make_video(path: Path, codec: str, lines: Lines) -> Path:
    with av.open(str(path), "w") as video:
        pictures = add_pictures(video, "libx264", GREEN, 100)
        track = video.add_mux_stream(codec)
        track.time_base = Fraction(1, 1000)
        track.metadata["language"] = "fin"

        def encode():
            for start, length, data in lines:
                packet = av.Packet(data)
                packet.pts = packet.dts = round(start * 1000)
                packet.duration, packet.time_base = round(length * 1000), Fraction(1, 1000)
                packet.stream, packet.is_keyframe = track, True
                yield packet

        mux(video, pictures, encode)
    return path


def lines_of(path: Path, codec: str) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as clip:
        (track,) = clip.streams.subtitles
        assert (track.codec_context.codec.canonical_name, track.language) == (codec, "fin")
        return [(float(p.pts * p.time_base), bytes(p)) for p in clip.demux(track) if p.size]


@pytest.mark.parametrize("mode", ["exact", "copy"])
@pytest.mark.parametrize("codec", ["dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle"])
@pytest.mark.shows("Subtitles that are pictures", "clips in MKV keep them")
def test_clips_in_matroska_keep_pictures_of_subtitles(tmp_path: Path, codec: str, mode: str) -> None:
    path = make_video(tmp_path / "a.mkv", codec, LINES)
    clip = cut_clip(path, 1.2, 3.0, mode, tmp_path / "clip", suffix=".mkv", extras=True)
    begin = clip.start_seconds
    right = [(max(0.0, start - begin), data) for start, length, data in LINES if start < 3 and start + length > begin]
    assert [data for _, data in right] == [TWO, THREE]
    found = lines_of(clip.path, codec)
    assert [data for _, data in found] == [data for _, data in right]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in right], abs=0.002)


@pytest.mark.parametrize("codec", ["hdmv_pgs_subtitle", "dvb_subtitle"])
@pytest.mark.shows("Subtitles that are pictures", "clips in MKV keep them")
def test_a_picture_without_an_end_stays_until_the_next(tmp_path: Path, codec: str) -> None:
    path = make_video(tmp_path / "a.mkv", codec, [(start, 0.0, data) for start, _, data in LINES])
    clip = cut_clip(path, 1.4, 3.0, "exact", tmp_path / "clip", suffix=".mkv", extras=True)
    found = lines_of(clip.path, codec)
    assert [data for _, data in found] == [TWO, THREE]
    assert [at for at, _ in found] == pytest.approx([0.0, 0.4], abs=0.002)


@pytest.mark.shows("Subtitles that are pictures", "clips in MKV keep them")
def test_the_parts_of_a_disc_subtitle_stay_together(tmp_path: Path) -> None:
    parts = [(1.0, head(b"ab")), (1.0, part(0x17, b"c")), (1.0, END), (2.0, head(b"")), (2.0, END)]
    path = make_video(tmp_path / "a.m2ts", "hdmv_pgs_subtitle", [(start, 0.0, data) for start, data in parts])
    clip = cut_clip(path, 1.4, 3.0, "exact", tmp_path / "clip", suffix=".mkv", extras=True)
    with av.open(str(clip.path)) as made:
        found = [(float(p.pts * p.time_base), bytes(p)) for p in made.demux(made.streams.subtitles[0]) if p.size]
    assert [data for _, data in found] == [head(b"ab") + part(0x17, b"c") + END, head(b"") + END]
    assert [at for at, _ in found] == pytest.approx([0.0, 0.6], abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_other_formats_leave_them_out(tmp_path: Path, suffix: str) -> None:
    path = make_video(tmp_path / "a.mkv", "dvd_subtitle", LINES)
    clip = cut_clip(path, 1.2, 3.0, "exact", tmp_path / "clip", suffix=suffix, extras=True)
    with av.open(str(clip.path)) as made:
        assert [stream.type for stream in made.streams] == ["video"]
