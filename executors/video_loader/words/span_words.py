"""Gathers what holds the words of a span. What cannot be read becomes a note, and the rest is read all the same."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from clipseek.api.errors import ClipSeekError, MediaMissing
from clipseek.api.limits import (
    MAX_SUBTITLE_FILES,
    SCREEN,
    SOUND_AFTER_SECONDS,
    SOUND_BEFORE_SECONDS,
    SPEECH,
    SPEECH_RATE,
    SUBTITLE,
)
from executors.machine.scripts import read_language
from executors.video_loader.clips.extras import list_sounds, list_subtitles
from executors.video_loader.containers.parts import VideoFile
from executors.video_loader.decode.source import VideoSource, exact_seconds, open_video
from executors.video_loader.words.captions import read_captions
from executors.video_loader.words.files import UnreadableSubtitles, language_in_name, read_file
from executors.video_loader.words.lines import SubtitleLine
from executors.video_loader.words.recordings import find_recordings
from executors.video_loader.words.speech import SpeechSound
from executors.video_loader.words.stills import Still, take_stills
from executors.video_loader.words.tracks import MOST_TRACKS, is_forced, read_tracks

_COVERED = 0.5  # of a span's time: subtitles with fewer lines may translate signs only


@dataclass(frozen=True)
class WordOptions:
    """The span `[start_seconds, end_seconds)` of a video that is `length_seconds` long, and what to read of it.

    Attributes:
        language: of the speech, where somebody said so.
        files: subtitle files that belong to the video, whose own name, without its suffix, is `stem`.
    """

    start_seconds: float
    end_seconds: float
    length_seconds: float
    sources: tuple[str, ...]
    language: str = ""
    files: tuple[Path, ...] = ()
    stem: str = ""


@dataclass
class SpanWords:
    """What a span's words are read from. `sound`: int16, SPEECH_RATE samples a second, one channel."""

    lines: list[SubtitleLine] = field(default_factory=list)
    sound: bytes = b""
    sound_start_seconds: float = 0.0
    stills: list[Still] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather_span_words(file: VideoFile, title: str, options: WordOptions) -> SpanWords:
    """Read the subtitles, the sound and the stills of a span. Raises: MediaMissing: the file cannot be read now."""
    words = SpanWords()
    start, end = exact_seconds(options.start_seconds), exact_seconds(options.end_seconds)

    def try_reading(what: str, read: Callable[[], None]) -> None:
        try:
            read()
        except MediaMissing:
            raise
        except (ClipSeekError, av.FFmpegError, ValueError) as error:
            words.notes.append(f"{what} of {_range(options)} cannot be read: {error}.".replace("..", "."))

    def read_source() -> None:
        with open_video(file, title) as source:
            if SUBTITLE in options.sources:
                try_reading("The subtitles", lambda: _read_subtitles(source, start, end, options, words))
                words.lines = [_shorten(line, options.length_seconds) for line in words.lines]
            if SPEECH in options.sources:
                try_reading("The sound", lambda: _read_sound(source, options, words))

    def read_stills() -> None:
        words.stills += take_stills(file, title, start, end)

    if SUBTITLE in options.sources or SPEECH in options.sources:
        try_reading("The subtitles and the sound", read_source)
    if SCREEN in options.sources:
        try_reading("The pictures", read_stills)
    return words


def _range(options: WordOptions) -> str:
    return f"[{options.start_seconds:g}, {options.end_seconds:g}) s"


def _read_subtitles(
    source: VideoSource, start: Fraction, end: Fraction, options: WordOptions, words: SpanWords
) -> None:
    for recording in find_recordings(source, start, end):
        for lines in read_tracks(recording):
            words.lines += lines
        words.lines += read_captions(recording)
    # Times in files beside the video are those that players show; the video's own may count from its first picture.
    early = source.late_seconds - source.first_seconds
    for path in options.files[:MAX_SUBTITLE_FILES]:
        try:
            lines = read_file(path, language_in_name(path, options.stem))
        except UnreadableSubtitles as error:
            if not options.start_seconds:  # once for each video
                words.notes.append(f"The subtitles {error}.")
            continue
        words.lines += _begin_within(lines, float(early), options)
    if not options.start_seconds:
        words.notes += _describe_left_out(source, options)


def _begin_within(lines: Iterable[SubtitleLine], early: float, options: WordOptions) -> Iterable[SubtitleLine]:
    for line in lines:
        start = line.start_seconds - early
        if options.start_seconds <= start < options.end_seconds:
            yield SubtitleLine(start, line.end_seconds - early, line.text, line.language)


def _shorten(line: SubtitleLine, length_seconds: float) -> SubtitleLine:
    """A line that ends with the video."""
    return replace(line, end_seconds=max(line.start_seconds, min(line.end_seconds, length_seconds)))


def _describe_left_out(source: VideoSource, options: WordOptions) -> list[str]:
    notes, text = [], {track.index for track in list_subtitles(source)}
    pictures = [
        s.codec_context.name for s in source.container.streams.subtitles if s.index not in text and s.codec_context
    ]
    if pictures:
        notes.append(f"Subtitles that are pictures ({', '.join(sorted(set(pictures)))}) are not read.")
    if len(text) > MOST_TRACKS:
        notes.append(f"The file has {len(text)} tracks of subtitles. The first {MOST_TRACKS} are read.")
    if len(options.files) > MAX_SUBTITLE_FILES:
        notes.append(f"There are {len(options.files)} files of subtitles. The first {MAX_SUBTITLE_FILES} are read.")
    return notes


def _read_sound(source: VideoSource, options: WordOptions, words: SpanWords) -> None:
    if not source.has_sound():
        if source.container.streams.audio and not options.start_seconds:
            words.notes.append("The sound track uses a codec that cannot be decoded here, so speech is not recognised.")
        return
    if _is_covered(source, options, words.lines):
        return
    begin = max(0.0, options.start_seconds - SOUND_BEFORE_SECONDS)
    until = min(options.end_seconds + SOUND_AFTER_SECONDS, options.length_seconds)
    sound = bytearray()
    for recording in find_recordings(source, exact_seconds(begin), exact_seconds(until)):
        tracks = list_sounds(recording.source, extras=False)
        if not tracks:
            sound += bytes(2 * round((recording.end - recording.start) * SPEECH_RATE))
            continue
        speech = SpeechSound(recording.source, recording.start, recording.end, tracks[0].index)
        with speech:
            sound += speech.read()
        lost = speech.lost_seconds
        if lost is not None and float(recording.offset) + lost < options.end_seconds:
            at = max(float(recording.offset) + lost, options.start_seconds)
            words.notes.append(f"The sound track cannot be decoded from {at:.0f} s on ({speech.reason}).")
    if np.frombuffer(sound, np.int16).any():
        words.sound, words.sound_start_seconds = bytes(sound), begin


def _is_covered(source: VideoSource, options: WordOptions, lines: Sequence[SubtitleLine]) -> bool:
    """Whether subtitles in the language that the sound is known to be in show what is said.

    Where the language is not known, the reader decides, which hears it.
    """
    sound = list_sounds(source, extras=False)
    tagged = sound[0].metadata.get("language", "") if sound else ""
    language = read_language(options.language or tagged)
    forced = bool(list_subtitles(source)) and all(map(is_forced, list_subtitles(source)))
    if not language or forced:
        return False
    own = [line for line in lines if line.language == language]
    return measure_shown(own) >= _COVERED * (options.end_seconds - options.start_seconds)


def measure_shown(lines: Iterable[SubtitleLine]) -> float:
    """Seconds in which at least one of the lines is shown."""
    total, until = 0.0, 0.0
    for line in sorted(lines, key=lambda line: line.start_seconds):
        total += max(0.0, line.end_seconds - max(line.start_seconds, until))
        until = max(until, line.end_seconds)
    return total
