"""Cuts clips out of a video: exact to the frame by encoding again, or fast by copying from a keyframe on.

Times are seconds from the video's first frame, ranges half-open.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import logging
import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from clipseek.api.errors import InvalidRequest, InvalidTimeRange, NoFrames
from executors.machine.disk import DISK_FULL, report_full_disk
from executors.video_loader.clips.animation import encode_gif
from executors.video_loader.clips.copying import NotCopyable, choose_format, copy_clip
from executors.video_loader.clips.encode import encode_clip, encode_sound
from executors.video_loader.clips.formats import MKV, MP4, ClipFormat, find_format
from executors.video_loader.containers.parts import VideoFile
from executors.video_loader.decode.joined import JoinedSource
from executors.video_loader.decode.probe import measure_shown_seconds
from executors.video_loader.decode.source import VideoSource, exact_seconds, open_video

logger = logging.getLogger(__name__)

MODES = ("exact", "copy")
# An end this much after the video's end is accepted as the video's end: searches answer rounded times.
END_TOLERANCE_SECONDS = 0.5


@dataclass(frozen=True)
class ClipFile:
    """A clip's file and its range of the video, `[start_seconds, end_seconds)`."""

    start_seconds: float
    end_seconds: float
    path: Path

    @property
    def suffix(self) -> str:
        return self.path.suffix


def cut_clip(
    file: VideoFile,
    start_seconds: float,
    end_seconds: float,
    mode: str,
    destination: Path,
    title: str = "",
    *,
    suffix: str = "",
    extras: bool = False,
) -> ClipFile:
    """Cut `[start_seconds, end_seconds)` out of a video.

    Args:
        mode: `exact`: H.264 and AAC in MP4, exactly this range. `copy`: nothing is encoded again, and the clip starts
            at the keyframe at or before the start; MP4 if the codecs fit, else Matroska. A video whose packets carry
            no presentation times (AVI with B-frames) cannot be copied and is cut exactly.
        destination: the clip's path without its suffix.
        suffix: of a format of `formats.py`; by default the one that fits.
        extras: keep all sounds, subtitles of text, and chapters.

    Raises: InvalidTimeRange: the range is empty or outside the video. InvalidRequest: unknown mode or format, or they
    do not go together. StoreFull: no room for the clip. UnreadableVideo: see `open_video`.
    """
    if mode not in MODES:
        raise InvalidRequest(f"'{mode}' is not a mode of cutting: use 'exact' or 'copy'")
    with open_video(file, title) as source:
        length = measure_shown_seconds(source, end_seconds)
        start, end = check_range(start_seconds, end_seconds, length, source.title)
        form = find_format(suffix) if suffix else None
        if mode == "copy" and form and not form.copied_pictures and form is not MKV:
            raise InvalidRequest(f"A '{suffix}' clip cannot be copied: it must be encoded. Leave out --copy")
        if isinstance(source, JoinedSource):
            return _cut_parts(source, start, end, mode, destination, form, extras=extras)
        with report_full_disk(destination.parent, f"the clip of '{source.title}'"):
            if mode == "copy":
                try:
                    return _copy(source, start, end, destination, form, extras=extras)
                except (NotCopyable, av.FFmpegError, ValueError) as reason:
                    if getattr(reason, "errno", None) in DISK_FULL:
                        raise
                    logger.info("cutting '%s' exactly, its packets cannot be copied: %s", source.title, reason)
            return _encode(source, start, end, destination, form or MP4, extras=extras)


def check_range(start_seconds: float, end_seconds: float, length: Fraction, title: str) -> tuple[Fraction, Fraction]:
    """The range, ending no later than the video.

    Raises: InvalidTimeRange: it is empty, not a number, or not inside the video.
    """
    known = math.isfinite(start_seconds) and math.isfinite(end_seconds)
    if not known or not 0 <= exact_seconds(start_seconds) < exact_seconds(end_seconds) or start_seconds >= length:
        problem = "is not a time range in it"
    elif end_seconds > length + Fraction(END_TOLERANCE_SECONDS):
        problem = "ends after it"
    else:
        return exact_seconds(start_seconds), min(exact_seconds(end_seconds), length)
    raise InvalidTimeRange(
        f"'{title}' is {float(length):.3f} s long: [{start_seconds:g}, {end_seconds:g}) s {problem}. "
        "Give a start and a later end within the video"
    )


def _cut_parts(
    source: JoinedSource,
    start: Fraction,
    end: Fraction,
    mode: str,
    destination: Path,
    form: ClipFormat | None,
    *,
    extras: bool,
) -> ClipFile:
    from executors.video_loader.clips.join import ReelPiece, cut_and_join  # only now, because joining consists of cuts

    title = source.title
    pieces = [
        ReelPiece(part.file, float(max(start, part.begin) - part.begin), float(min(end, part.end) - part.begin), title)
        for part in source.parts
        if part.begin < end and start < part.end
    ]
    if len(pieces) > 1:
        if form not in (None, MP4):
            raise InvalidRequest(
                f"'{title}' holds several recordings. A clip over the end of one can be written as .mp4 only"
            )
        clip = cut_and_join(pieces, destination, mode)
        return replace(clip, start_seconds=float(end) - clip.end_seconds, end_seconds=float(end))
    begin, piece = next(float(part.begin) for part in source.parts if start < part.end), pieces[0]
    times, suffix = (piece.start_seconds, piece.end_seconds), form.suffix if form else ""
    clip = cut_clip(piece.file, *times, mode, destination, title, suffix=suffix, extras=extras)
    return replace(clip, start_seconds=begin + clip.start_seconds, end_seconds=begin + clip.end_seconds)


def _encode(
    source: VideoSource, start: Fraction, end: Fraction, destination: Path, form: ClipFormat, *, extras: bool
) -> ClipFile:
    final = destination.with_name(f"{destination.name}{form.suffix}")
    with _rename_at_end(final) as draft:
        if form.suffix == ".gif":
            encode_gif(source, start, end, draft)
        elif not form.pictures:
            encode_sound(source, start, end, draft, form)
        else:
            encode_clip(source, start, end, draft, form, extras=extras)
        if not draft.exists():  # FFmpeg creates it with the first packet
            raise NoFrames(
                f"No frame of '{source.title}' in [{float(start):g}, {float(end):g}) s can be decoded: the video is "
                "damaged there. Choose another range, or fetch a complete copy"
            )
    return ClipFile(float(start), float(end), final)


def _copy(
    source: VideoSource, start: Fraction, end: Fraction, destination: Path, form: ClipFormat | None, *, extras: bool
) -> ClipFile:
    form = choose_format(source, form, extras=extras)
    final = destination.with_name(destination.name + form.suffix)
    with _rename_at_end(final) as draft:
        begin, until = copy_clip(source, start, end, draft, form, extras=extras)
        if not draft.exists():  # FFmpeg creates it with the first packet
            raise NotCopyable("no packets in this range")
    return ClipFile(float(begin), float(until), final)


@contextmanager
def _rename_at_end(final: Path) -> Iterator[Path]:
    draft = final.with_name(f"{final.stem}.{uuid.uuid4().hex}.part{final.suffix}")
    try:
        yield draft
        draft.replace(final)
    finally:
        draft.unlink(missing_ok=True)
