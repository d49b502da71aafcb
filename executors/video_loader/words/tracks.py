"""Reads the subtitle tracks of a file."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from av.stream import Disposition, Stream

from executors.machine.scripts import guess_language, read_language
from executors.video_loader.clips.extras import list_subtitles, read_cues
from executors.video_loader.words.lines import SubtitleLine, clean_text
from executors.video_loader.words.recordings import Recording

MOST_TRACKS = 16
_UNKNOWN_LENGTH_SECONDS = Fraction(3)  # of a line whose end the file does not tell


def read_tracks(recording: Recording) -> list[list[SubtitleLine]]:
    """The lines of each text track that begin in the range, in seconds of the video."""
    tracks = list_subtitles(recording.source)[:MOST_TRACKS]
    if not tracks:
        return []
    lines: dict[int, list[SubtitleLine]] = {track.index: [] for track in tracks}
    for index, since, until, raw in read_cues(recording.source, tracks, recording.start, recording.end):
        start = since if recording.start else max(since, Fraction(0))
        text = clean_text(raw)
        if text and recording.start <= start < recording.end:
            end = until if until > since else start + _UNKNOWN_LENGTH_SECONDS
            lines[index].append(SubtitleLine(float(start + recording.offset), float(end + recording.offset), text))
    return [with_language(lines[track.index], _language_of(track)) for track in tracks]


def with_language(lines: Iterable[SubtitleLine], language: str) -> list[SubtitleLine]:
    """The lines of a track in its language, which is guessed from their script where it is unknown."""
    lines = list(lines)
    language = language or guess_language("\n".join(line.text for line in lines))
    return [replace(line, language=language) for line in lines]


def is_forced(track: Stream) -> bool:
    """Whether a track translates only what is foreign in the video."""
    return bool(track.disposition & Disposition.forced) or "forced" in track.metadata.get("title", "").lower()


def _language_of(track: Stream) -> str:
    return read_language(track.metadata.get("language", ""))
