"""What cannot be read of a span becomes a note, and subtitles that cover the speech spare its sound."""

from pathlib import Path

import pytest

from benchmarks.synthetic.ffmpeg import run_ffmpeg
from clipseek.api.errors import MediaMissing
from executors.video_loader.words.lines import SubtitleLine
from executors.video_loader.words.span_words import WordOptions, gather_span_words, measure_shown

ALL = ("subtitle", "screen", "speech")


def make_video(path: Path, lines: list[tuple[float, float]], language: str = "eng", spoken: str = "eng") -> Path:
    def clock(seconds: float) -> str:
        return f"00:00:{seconds:06.3f}".replace(".", ",")

    srt = path.with_suffix(".srt.txt")
    rows = (f"{n}\n{clock(a)} --> {clock(b)}\nline {n}\n" for n, (a, b) in enumerate(lines, 1))
    srt.write_text("\n".join(rows), encoding="utf-8")
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc=s=160x120:r=5:d=20", "-f", "lavfi", "-i", "sine=440:d=20", "-f", "srt", "-i", srt,
        "-map", "0", "-map", "1", "-map", "2", "-c:s", "srt", "-metadata:s:s", f"language={language}",
        "-metadata:s:a", f"language={spoken}", path,
    )  # fmt: skip
    return path


COVERING = [(1.0, 6.0), (7.0, 12.0), (13.0, 18.0)]
SPARSE = [(1.0, 2.0), (15.0, 16.0)]


@pytest.mark.parametrize(
    ("lines", "language", "spoken", "has_sound"),
    [
        (COVERING, "eng", "eng", False),
        (COVERING, "chi", "eng", True),  # a translation
        (SPARSE, "eng", "eng", True),  # signs
        (COVERING, "eng", "und", True),  # the reader hears which language it is
    ],
)
def test_subtitles_that_cover_the_speech_spare_its_sound(tmp_path, lines, language, spoken, has_sound):
    path = make_video(tmp_path / "a.mkv", lines, language, spoken)
    words = gather_span_words(path, "a", WordOptions(0, 20, 20, ALL))
    assert (len(words.lines), bool(words.sound), words.notes) == (len(lines), has_sound, [])


def test_a_given_language_decides_as_a_tag_does(tmp_path):
    path = make_video(tmp_path / "a.mkv", COVERING, "eng", "und")
    assert not gather_span_words(path, "a", WordOptions(0, 20, 20, ALL, language="en")).sound
    assert gather_span_words(path, "a", WordOptions(0, 20, 20, ALL, language="de")).sound


def test_only_what_is_wanted_is_read(tmp_path):
    path = make_video(tmp_path / "a.mkv", SPARSE)
    counts = []
    for source in ALL:
        words = gather_span_words(path, "a", WordOptions(0, 20, 20, (source,)))
        counts.append((bool(words.lines), bool(words.stills), bool(words.sound)))
    assert counts == [(True, False, False), (False, True, False), (False, False, True)]


def test_a_damaged_file_is_a_note_and_no_failure(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video at all")
    words = gather_span_words(path, "a.mp4", WordOptions(0, 20, 20, ALL))
    assert [note.partition(" of ")[0] for note in words.notes] == ["The subtitles and the sound", "The pictures"]
    assert all("[0, 20) s" in note and "not a video" in note for note in words.notes)


def test_a_file_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(MediaMissing):
        gather_span_words(tmp_path / "gone.mp4", "gone.mp4", WordOptions(0, 20, 20, ALL))


def test_broken_subtitle_files_are_noted_once(tmp_path):
    path = make_video(tmp_path / "a.mkv", SPARSE)
    broken = tmp_path / "a.en.srt"
    broken.write_bytes(b"\0\0\0")
    notes = [
        gather_span_words(path, "a", WordOptions(start, start + 10, 20, ("subtitle",), files=(broken,), stem="a")).notes
        for start in (0, 10)
    ]
    assert notes[1] == []
    [note] = notes[0]
    assert note.startswith("The subtitles 'a.en.srt'")


def test_lines_at_the_same_time_are_shown_once():
    lines = [SubtitleLine(0, 4, "a"), SubtitleLine(1, 3, "b"), SubtitleLine(3, 6, "c"), SubtitleLine(8, 9, "d")]
    assert measure_shown(lines) == 7
