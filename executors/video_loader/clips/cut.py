"""Cuts clips out of a video: exact to the frame by encoding again, or fast by copying from a keyframe on.

Times are seconds from the video's first frame, ranges half-open.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import heapq
import logging
import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, takewhile
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from clipseek.api.errors import InvalidRequest, InvalidTimeRange, NoFrames
from executors.machine.disk import DISK_FULL, report_full_disk
from executors.video_loader.clips.encode import encode_clip
from executors.video_loader.clips.sound import read_packets_from
from executors.video_loader.decode.container import find_audio_stream, find_video_stream, open_container
from executors.video_loader.decode.joined import JoinedSource
from executors.video_loader.decode.packets import has_presentation_times, read_packets, seek_keyframe
from executors.video_loader.decode.probe import measure_shown_seconds
from executors.video_loader.decode.source import VideoSource, exact_seconds, open_video
from executors.video_loader.recordings.parts import VideoFile

logger = logging.getLogger(__name__)

MODES = ("exact", "copy")
# An end this much after the video's end is accepted as the video's end: searches answer rounded times.
END_TOLERANCE_SECONDS = 0.5
_LONG_SECONDS = Fraction(1, 2)  # no frame of a usual rate is shown for so long
MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
MP4_AUDIO = frozenset({"aac", "mp3", "opus", "ac3"})


@dataclass(frozen=True)
class ClipFile:
    """A clip's file and its range of the video, `[start_seconds, end_seconds)`."""

    start_seconds: float
    end_seconds: float
    path: Path

    @property
    def suffix(self) -> str:
        return self.path.suffix


class _NotCopyable(Exception):
    pass


def cut_clip(
    file: VideoFile, start_seconds: float, end_seconds: float, mode: str, destination: Path, title: str = ""
) -> ClipFile:
    """Cut `[start_seconds, end_seconds)` out of a video.

    Args:
        mode: `exact`: H.264 and AAC in MP4, exactly this range. `copy`: nothing is encoded again, and the clip starts
            at the keyframe at or before the start; MP4 if the codecs fit, else Matroska. A video whose packets carry
            no presentation times (AVI with B-frames) cannot be copied and is cut exactly.
        destination: the clip's path without its suffix.

    Raises: InvalidTimeRange: the range is empty or outside the video. InvalidRequest: unknown mode. StoreFull: no room
    for the clip. UnreadableVideo: see `open_video`.
    """
    if mode not in MODES:
        raise InvalidRequest(f"'{mode}' is not a mode of cutting: use 'exact' or 'copy'")
    with open_video(file, title) as source:
        length = measure_shown_seconds(source, end_seconds)
        start, end = check_range(start_seconds, end_seconds, length, source.title)
        if isinstance(source, JoinedSource):
            return _cut_parts(source, start, end, mode, destination)
        with report_full_disk(destination.parent, f"the clip of '{source.title}'"):
            if mode == "copy":
                try:
                    return _copy(source, start, end, destination)
                except (_NotCopyable, av.FFmpegError, ValueError) as reason:
                    if getattr(reason, "errno", None) in DISK_FULL:
                        raise
                    logger.info("cutting '%s' exactly, its packets cannot be copied: %s", source.title, reason)
            return _encode(source, start, end, destination)


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


def _cut_parts(source: JoinedSource, start: Fraction, end: Fraction, mode: str, destination: Path) -> ClipFile:
    from executors.video_loader.clips.join import ReelPiece, cut_and_join  # only now, because joining consists of cuts

    title = source.title
    pieces = [
        ReelPiece(part.file, float(max(start, part.begin) - part.begin), float(min(end, part.end) - part.begin), title)
        for part in source.parts
        if part.begin < end and start < part.end
    ]
    if len(pieces) > 1:
        clip = cut_and_join(pieces, destination, mode)
        return replace(clip, start_seconds=float(end) - clip.end_seconds, end_seconds=float(end))
    begin = next(float(part.begin) for part in source.parts if start < part.end)
    clip = cut_clip(pieces[0].file, pieces[0].start_seconds, pieces[0].end_seconds, mode, destination, title)
    return replace(clip, start_seconds=begin + clip.start_seconds, end_seconds=begin + clip.end_seconds)


def _encode(source: VideoSource, start: Fraction, end: Fraction, destination: Path) -> ClipFile:
    final = destination.with_name(f"{destination.name}.mp4")
    with _rename_at_end(final) as draft:
        encode_clip(source, start, end, draft)
        if not draft.exists():  # FFmpeg creates it with the first packet
            raise NoFrames(
                f"No frame of '{source.title}' in [{float(start):g}, {float(end):g}) s can be decoded: the video is "
                "damaged there. Choose another range, or fetch a complete copy"
            )
    return ClipFile(float(start), float(end), final)


@contextmanager
def _rename_at_end(final: Path) -> Iterator[Path]:
    draft = final.with_name(f"{final.stem}.{uuid.uuid4().hex}.part{final.suffix}")
    try:
        yield draft
        draft.replace(final)
    finally:
        draft.unlink(missing_ok=True)


def _copy(source: VideoSource, start: Fraction, end: Fraction, destination: Path) -> ClipFile:
    if not has_presentation_times(source.container):
        raise _NotCopyable("no presentation times")
    with (
        open_container(source.file, source.title) as picture_file,
        open_container(source.file, source.title) as sound_file,
    ):
        video = find_video_stream(picture_file, source.title)
        key, pictures = _read_from_keyframe(source, picture_file, video, start)
        if key.pts is None:
            raise _NotCopyable("a keyframe without a time")
        begin = (key.pts - source.first_pts) * source.time_base
        origin = source.first_pts * source.time_base
        audio = find_audio_stream(sound_file)
        kind, suffix = _choose_container(video, audio)
        final = destination.with_name(destination.name + suffix)
        with _rename_at_end(final) as draft:
            options = {"movflags": "+faststart"} if kind == "mp4" else {}
            with av.open(str(draft), "w", format=kind, options=options) as clip:
                copier = _Copier(clip, origin + begin, origin + end)
                streams = [copier.add_track(video, _until(pictures, origin + end))]
                if audio is not None:
                    sound = read_packets_from(sound_file, audio, origin + begin)
                    inside = (p for p in sound if _decoded_at(p) >= origin + begin)
                    streams.append(copier.add_track(audio, _until(inside, origin + end)))
                for packet, track in heapq.merge(*streams, key=lambda pair: _decoded_at(pair[0])):
                    copier.write(packet, track)
            if not draft.exists():  # FFmpeg creates it with the first packet
                raise _NotCopyable("no packets in this range")
    return ClipFile(float(max(begin, Fraction(0))), float(copier.end - origin), final)


def _read_from_keyframe(
    source: VideoSource, container: InputContainer, video: VideoStream, start: Fraction
) -> tuple[Packet[Stream], Iterator[Packet[Stream]]]:
    """The keyframe at or before `start`, and all packets from it on except those shown before it."""
    target = source.first_pts + math.floor(start / source.time_base)
    packets = seek_keyframe(container, video, target, source.first_pts) if start > 0 else None
    if packets is None:
        if start > 0:  # the search moved the file's position
            container.seek(source.first_pts, stream=video)
        packets = (p for p in read_packets(container, video) if not p.is_discard)
    key = next((p for p in packets if p.is_keyframe), None)
    if key is None:
        raise _NotCopyable("no keyframe")
    first = key.pts
    return key, chain([key], (p for p in packets if p.pts is None or first is None or p.pts >= first))


def _until(packets: Iterator[Packet[Stream]], container_seconds: Fraction) -> Iterator[Packet[Stream]]:
    return takewhile(lambda packet: _decoded_at(packet) < container_seconds, packets)


def _decoded_at(packet: Packet[Stream]) -> Fraction:
    """The decoding time in seconds on the container's clock, which gives the packet's place in the file."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    if ticks is None or packet.pts is None:
        raise _NotCopyable("packets without times")
    return ticks * packet.time_base


def _choose_container(video: Stream, audio: Stream | None) -> tuple[str, str]:
    fits = video.codec_context.codec.canonical_name in MP4_VIDEO
    fits = fits and (audio is None or audio.codec_context.codec.canonical_name in MP4_AUDIO)
    return ("mp4", ".mp4") if fits else ("matroska", ".mkv")


class _Copier:
    """Writes packets to a clip that begins at `zero`, on the container's clock.

    A picture that stays long ends with the clip, at `wanted_end`, and so does sound that outlasts the pictures.
    """

    def __init__(self, clip: OutputContainer, zero: Fraction, wanted_end: Fraction) -> None:
        self._clip, self._zero, self._wanted_end = clip, zero, wanted_end
        self._last = (zero, zero)
        self._sound_end = zero

    @property
    def end(self) -> Fraction:
        pictures_end = self._last[1]
        return self._sound_end if self._sound_end > pictures_end + _LONG_SECONDS else pictures_end

    def add_track(self, stream: Stream, packets: Iterator[Packet[Stream]]) -> Iterator[tuple[Packet[Stream], Stream]]:
        track = self._clip.add_stream_from_template(stream)
        if stream.codec_context.codec.canonical_name == "hevc" and self._clip.format.name == "mp4":
            track.codec_context.codec_tag = "hvc1"  # Apple's players play no other
        return ((packet, track) for packet in packets)

    def write(self, packet: Packet[Stream], track: Stream) -> None:
        if packet.pts is None:
            raise _NotCopyable("packets without times")
        shown = packet.pts * packet.time_base
        end = shown + (packet.duration or 0) * packet.time_base
        if shown < self._wanted_end < end - _LONG_SECONDS:
            packet.duration = max(1, math.floor((self._wanted_end - shown) / packet.time_base))
            end = shown + packet.duration * packet.time_base
        if track.type == "video":
            self._last = max(self._last, (shown, end))
        else:
            self._sound_end = max(self._sound_end, end)
        shift = round(self._zero / packet.time_base)
        packet.pts -= shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = track
        self._clip.mux(packet)
