"""The lines of subtitle tracks, of every format of text: in the times of players, each in the span it begins in."""

from pathlib import Path

import pytest

from benchmarks.synthetic.ffmpeg import run_ffmpeg
from executors.video_loader.containers.parts import VideoView
from executors.video_loader.words.span_words import WordOptions, gather_span_words

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there

2
00:00:03,500 --> 00:00:05,000
第二行
字幕

3
00:00:05,900 --> 00:00:07,500
Third line
"""
LINES = [(1.0, 2.5, "Hello there"), (3.5, 5.0, "第二行\n字幕"), (5.9, 7.5, "Third line")]


def make_video(path: Path, codec: str, seconds: float = 8, offset: float = 0, tracks: int = 1, **tags: str) -> Path:
    """A grey picture with sound and `tracks` tracks of subtitles; the pictures begin `offset` s after the sound."""
    subtitles = path.with_name(f"{path.name}.srt")
    subtitles.write_text(SRT, encoding="utf-8")
    inputs = ["-itsoffset", offset, "-f", "lavfi", "-i", f"color=gray:s=64x48:r=25:d={seconds}"]
    inputs += ["-f", "lavfi", "-i", f"sine=440:d={seconds + offset}", *(["-i", subtitles] * tracks)]
    maps = ["-map", "0:v", "-map", "1:a"]
    for number in range(tracks):
        maps += ["-map", f"{2 + number}:s"]
    marks = [part for key, value in tags.items() for part in ("-metadata:s:s", f"{key}={value}")]
    run_ffmpeg(*inputs, *maps, "-c:v", "libx264", "-c:a", "aac", "-c:s", codec, *marks, path)
    return path


def lines_of(path: Path, start: float = 0, end: float = 8, **options) -> list[tuple[float, float, str, str]]:
    words = gather_span_words(path, path.name, WordOptions(start, end, 8.0, ("subtitle",), **options))
    assert words.notes == []
    return [(round(x.start_seconds, 2), round(x.end_seconds, 2), x.text, x.language) for x in words.lines]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "mov_text"), ("a.mkv", "srt"), ("a.mkv", "ass"), ("a.mkv", "webvtt"), ("a.mov", "mov_text")],
)
def test_text_tracks_are_read(tmp_path, name, codec):
    assert lines_of(make_video(tmp_path / name, codec, language="eng")) == [(*line, "en") for line in LINES]


def test_a_line_belongs_to_the_span_that_it_begins_in(tmp_path):
    path = make_video(tmp_path / "a.mp4", "mov_text")
    spans = [lines_of(path, start, start + 2) for start in (0, 2, 4, 6)]
    assert [[line[2] for line in span] for span in spans] == [["Hello there"], ["第二行\n字幕"], ["Third line"], []]


def test_an_unknown_language_is_told_by_the_script(tmp_path):
    path = tmp_path / "a.mkv"
    make_video(path, "srt")
    assert {language for *_, language in lines_of(path)} == {""}  # Latin and Chinese mixed
    chinese = tmp_path / "zh.srt"
    chinese.write_text("1\n00:00:01,000 --> 00:00:02,000\n今天天气很好\n", encoding="utf-8")
    run_ffmpeg(
        "-i", path, "-i", chinese, "-map", "0:v", "-map", "1:s", "-c:v", "copy", "-c:s", "srt", tmp_path / "b.mkv"
    )
    assert [line[2:] for line in lines_of(tmp_path / "b.mkv")] == [("今天天气很好", "zh")]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_times_are_those_of_players_where_pictures_begin_late(tmp_path, name):
    path = make_video(tmp_path / name, "mov_text" if name == "a.mp4" else "srt", offset=1.5)
    assert [line[0] for line in lines_of(path)] == pytest.approx([1.0, 3.5, 5.9], abs=0.03)
    if name == "a.mp4":  # FFmpeg shows its first picture from 0 on
        return
    old = VideoView(path, from_first_picture=True)
    words = gather_span_words(old, "a", WordOptions(0, 8, 8.0, ("subtitle",)))
    assert [line.start_seconds for line in words.lines] == pytest.approx([0.0, 2.0, 4.4], abs=0.06)


def test_files_beside_an_old_video_have_its_times_too(tmp_path):
    path = make_video(tmp_path / "a.mkv", "srt", offset=1.5)
    beside = tmp_path / "talk.srt"
    beside.write_text("1\n00:00:04,000 --> 00:00:05,000\nBeside\n", encoding="utf-8")
    for file, wanted in ((path, 4.0), (VideoView(path, from_first_picture=True), 2.5)):
        words = gather_span_words(file, "a", WordOptions(0, 8, 8.0, ("subtitle",), files=(beside,), stem="talk"))
        assert [x.start_seconds for x in words.lines if x.text == "Beside"] == pytest.approx([wanted], abs=0.06)


def test_of_many_tracks_the_first_sixteen_are_read(tmp_path):
    path = make_video(tmp_path / "a.mkv", "srt", tracks=18)
    words = gather_span_words(path, "a", WordOptions(0, 8, 8.0, ("subtitle",)))
    assert len(words.lines) == 16 * len(LINES)
    assert words.notes == ["The file has 18 tracks of subtitles. The first 16 are read."]


def test_joined_recordings_go_on_one_after_another(tmp_path):
    """Both parts of a joined MPEG-TS begin at 0; their subtitles are pictures, so a file beside is read."""
    part = tmp_path / "part.ts"
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=4", "-f", "lavfi", "-i", "sine=440:d=4", "-c:v", "libx264", part
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    words = gather_span_words(joined, "joined", WordOptions(2, 6, 8.0, ("speech",)))
    assert len(words.sound) == 2 * 16000 * 8  # all of it: the margins reach beyond both ends
    assert words.sound_start_seconds == 0


def test_a_video_without_subtitles_has_none(tmp_path):
    run_ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=2", tmp_path / "a.mp4")
    assert lines_of(tmp_path / "a.mp4") == []


def test_a_line_ends_with_the_video(tmp_path):
    path = make_video(tmp_path / "a.mkv", "srt", seconds=6.5)
    words = gather_span_words(path, "a", WordOptions(0, 6.5, 6.5, ("subtitle",)))
    assert max(line.end_seconds for line in words.lines) == 6.5
