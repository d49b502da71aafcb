"""Describes a video: its shown size, its length by timestamps, its codec."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.parts import VideoFile, path_of
from executors.video_loader.containers.tracks import (
    describe_choice,
    discard_other_streams,
    find_audio_stream,
    find_video_stream,
)
from executors.video_loader.decode.packets import has_presentation_times, is_raw_stream, read_packets
from executors.video_loader.decode.picture import FrameRenderer
from executors.video_loader.decode.source import VideoSource, open_video
from executors.video_loader.decode.source_timecode import read_timecode

# The search for the last packet begins this long before the announced end: one or two groups of pictures.
TAIL_SECONDS = 5


@dataclass(frozen=True)
class VideoInfo:
    """Facts of a video. Sizes are in pixels as shown: upright, with square pixels."""

    duration_seconds: float  # from time 0, as players show it, to the end of the last frame
    width: int
    height: int
    fps: float  # average, as people know it: 29.97
    codec: str
    container: str
    rotation_degrees: int  # clockwise; width and height include it
    has_audio: bool
    first_pts: int  # of time 0, in units of time_base
    time_base: Fraction
    size_bytes: int
    coded_pixels: int  # of the largest picture the file announces
    first_seconds: float = 0.0  # when the first picture is shown
    timecode: str = ""  # of the first picture, as 10:00:00:00; `;` before its frames: it drops numbers
    timecode_rate: str = ""  # frames a second, as 30000/1001
    notes: list[str] = field(default_factory=list)  # what was left out, or read in a way that its owner may not expect


def probe_video(file: VideoFile, title: str = "") -> VideoInfo:
    """Open a video, decode its first frame and find its last packet.

    A truncated video is as long as the data that is left.

    Raises: MediaMissing, EmptyFile, UnreadableVideo, NoVideoStream, NoFrames: see `open_video`.
    """
    with open_video(file, title) as source:
        frame, stream = source.first_frame, source.stream
        renderer = FrameRenderer(frame, stream.sample_aspect_ratio)
        width, height = renderer.measure(frame)
        timecode = read_timecode(source)
        return VideoInfo(
            duration_seconds=float(measure_duration(source)),
            width=width,
            height=height,
            fps=float(f"{float(1 / source.frame_seconds):.5g}"),
            codec=stream.codec_context.codec.canonical_name,
            container=_container_name(source),
            rotation_degrees=renderer.orientation.rotation_degrees,
            has_audio=source.has_sound(),
            first_pts=source.first_pts,
            time_base=source.time_base,
            size_bytes=path_of(file).stat().st_size,
            coded_pixels=max(frame.width * frame.height, stream.width * stream.height),
            first_seconds=float(source.first_seconds),
            timecode=str(timecode or ""),
            timecode_rate=str(timecode.rate) if timecode else "",
            notes=[
                *source.notes,
                *describe_choice(source.container, stream, source.opened, source.title),
            ],
        )


def measure_duration(source: VideoSource) -> Fraction:
    """Seconds from time 0 to the end of the last picture; at least one frame. Opens the file again.

    A picture lasts as long as its packet says. Without that, it lasts one frame by the average rate.
    """
    if source.known_seconds is not None:
        return source.known_seconds
    end = _measure_end(source, find_video_stream)
    return max(Fraction(0 if end is None else end - source.first_pts * source.time_base), source.frame_seconds)


def measure_shown_seconds(source: VideoSource, until_seconds: float) -> Fraction:
    """As `measure_duration`. If that is before `until_seconds`: to the end of the sound, over the last picture."""
    pictures = measure_duration(source)
    if until_seconds <= pictures or source.known_seconds is not None or not source.has_sound():
        return pictures
    end = _measure_end(source, _find_sound)
    return max(pictures, Fraction(0 if end is None else end - source.first_pts * source.time_base))


def _find_sound(container: InputContainer, file: VideoFile, title: str) -> AudioStream | None:
    return find_audio_stream(container, find_video_stream(container, file, title), file)


def _measure_end(
    source: VideoSource, find_stream: Callable[[InputContainer, VideoFile, str], VideoStream | AudioStream | None]
) -> Fraction | None:
    """When the last packet of a stream ends, in seconds on the container's clock."""
    for search in (_end_by_seeking, _end_of_packets):
        with open_container(source.file, source.title) as container:
            stream = find_stream(container, source.file, source.title)
            if stream is None:
                return None
            discard_other_streams(container, stream)
            end = search(container, stream, source)
            if end is not None:
                return end * (stream.time_base or source.time_base)
    return None


def _end_by_seeking(container: InputContainer, stream: VideoStream | AudioStream, source: VideoSource) -> int | None:
    announced, time_base = _announced_end(container, stream), stream.time_base or source.time_base
    if announced is None or is_raw_stream(container):  # of a raw stream it is a guess by the size
        return None
    target = announced - math.ceil(TAIL_SECONDS / time_base)
    if target <= source.first_pts * source.time_base / time_base:
        return None
    try:
        container.seek(target, stream=stream, backward=True)
    except av.FFmpegError:
        return None
    return _end_of_packets(container, stream, source)


def _announced_end(container: InputContainer, stream: Stream) -> int | None:
    if stream.duration is not None:
        return (stream.start_time or 0) + stream.duration
    if container.duration is None or not stream.time_base:
        return None
    microseconds = (container.start_time or 0) + container.duration
    return round(Fraction(microseconds, av.time_base) / stream.time_base)


def _end_of_packets(container: InputContainer, stream: VideoStream | AudioStream, source: VideoSource) -> int | None:
    """The latest end of all frames from here on, in the stream's time base; None without frames."""
    step = max(1, round(source.frame_seconds / source.time_base)) if stream.type == "video" else 0
    # Without pts (AVI), a frame's time is the dts of the packet that pushes it out of the decoder.
    late = None if has_presentation_times(container) else source.stream.codec_context.reorder_depth * step
    last = max(
        (
            (shown, p.duration or step)
            for p in read_packets(container, stream)
            if (shown := _shown_at(p, late)) is not None
        ),
        default=None,
    )
    return None if last is None else sum(last)


def _shown_at(packet: Packet[Stream], late: int | None) -> int | None:
    """When the packet's frame is shown; in a container without pts, `late` ticks after its dts."""
    if packet.is_discard or (late is None and packet.pts is None):
        return None
    return packet.pts if late is None else None if packet.dts is None else packet.dts + late


def _container_name(source: VideoSource) -> str:
    names = source.container.format.name.split(",")
    suffix = path_of(source.file).suffix.lower().lstrip(".")
    return suffix if suffix in names else "mp4" if "mp4" in names else names[0]
