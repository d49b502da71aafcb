"""Reading and decoding packets, and seeking keyframes, in spite of damaged places and whatever the index says."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipseek.watch.video_formats import RAW_STREAMS
from executors.video_loader.decode.quirks import demux

# Seconds to go back for a keyframe when the container's own seek landed too late (MPEG-TS, open groups, bad indexes).
SEEK_BACK_SECONDS = (0, 1, 2, 4, 8, 16, 32, 64)
# In MPEG-PS a time stands before many small frames. After a seek FFmpeg guesses the first ones wrongly, by up to 0.1 s:
# reading begins a second earlier, and small files, whose every packet may be such a guess, are read from the beginning.
SMALL_BYTES = 4_000_000
# Reads that may fail in a row in a damaged file before the rest counts as lost.
MAX_FAILED_READS = 64
# B-frames that may be shown before a keyframe which is stored before them: H.264 allows no more, others have fewer.
MAX_FRAMES_BETWEEN = 16
# Encoders delay sound or pictures by less, and players hide that.
LEAST_LATE_SECONDS = Fraction(1, 10)


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """Packets with data, in file order. Unreadable places are skipped. Raises: UnreadableVideo: see `quirks.demux`."""
    packets = _read_packets(container, *streams)
    return _count_times(packets) if is_raw_stream(container) else packets


def _read_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    failed = 0
    while failed < MAX_FAILED_READS:
        try:
            for packet in demux(container, *streams):
                failed = 0
                if packet.size:
                    yield packet
        except av.FFmpegError:
            failed += 1

        else:
            return


def _count_times(packets: Iterator[Packet[Stream]]) -> Iterator[Packet[Stream]]:
    """Packets of a raw stream, from its beginning, with decoding times by the frame rate."""
    ticks = 0
    for packet in packets:
        packet.pts, packet.dts = None, ticks
        ticks += packet.duration or 1
        yield packet


def seek_keyframe(
    container: InputContainer, stream: Stream, target_pts: int, first_pts: int
) -> Iterator[Packet[Stream]] | None:
    """Packets from a keyframe shown at or before `target_pts`, so that everything from the target on can be decoded.

    A container may land too late: its index counts decoding times, or its seek takes any packet for a keyframe. Then
    the search starts earlier, in growing steps.

    Returns: None if no seek helps: read from the beginning of a freshly opened file.
    """
    is_program_stream = container.format.name == "mpeg"
    if is_raw_stream(container) or (is_program_stream and container.size < SMALL_BYTES):
        return None
    for back_seconds in SEEK_BACK_SECONDS[is_program_stream:]:
        wanted = target_pts - math.ceil(back_seconds / (stream.time_base or Fraction(1)))
        if back_seconds and wanted <= first_pts:
            return None
        try:
            container.seek(wanted, stream=stream, backward=True)
        except av.FFmpegError:
            continue
        packets = read_packets(container, stream)
        key = next((p for p in packets if p.is_keyframe), None)
        if key is not None and _latest_pts(key, stream, has_presentation_times(container)) <= target_pts:
            return chain([key], packets)
    return None


def has_presentation_times(container: InputContainer) -> bool:
    """False for AVI, which stores the decoding order only: FFmpeg's pts are wrong there if B-frames occur.

    Raw streams store no times at all. FFmpeg counts them by the frame rate, in decoding order.
    """
    return container.format.name != "avi" and not is_raw_stream(container)


def measure_late_start(container: InputContainer, first_seconds: Fraction) -> Fraction:
    """How much later than the file, its sound for instance, the pictures begin; 0 if a viewer does not notice.

    Args:
        first_seconds: when the first picture is shown, on the container's clock.
    """
    start = container.start_time
    if start is None or not has_presentation_times(container):
        return Fraction(0)
    late = first_seconds - Fraction(start, av.time_base)
    return late if late >= LEAST_LATE_SECONDS else Fraction(0)


def is_raw_stream(container: InputContainer) -> bool:
    """Whether pictures follow one another without a container. After a seek their times are unknown."""
    return container.format.name in RAW_STREAMS


def _latest_pts(packet: Packet[Stream], stream: Stream, has_pts: bool) -> float:
    """The packet's pts. Without pts (AVI), the latest it can be: the dts plus the frames shown before it."""
    if has_pts and packet.pts is not None:
        return packet.pts
    if packet.dts is None:
        return math.inf
    reordered = isinstance(stream, VideoStream) and stream.codec_context.reorder_depth > 0
    return packet.dts + (MAX_FRAMES_BETWEEN if reordered else 1) * max(packet.duration or 1, 1)


class HardwareError(Exception):
    """The hardware cannot decode this video, or not from here on."""


def decode_packets(
    stream: VideoStream, packets: Iterator[Packet[Stream]], in_software: bool = True
) -> Iterator[VideoFrame]:
    for packet in chain(packets, [None]):
        try:
            yield from stream.decode(packet)
        except av.FFmpegError as error:
            if not in_software:  # a damaged packet, or the hardware failed and would lose everything that follows
                raise HardwareError(f"FFmpeg: {error.strerror}") from error
            continue  # a damaged packet: the decoder goes on with the next


def decode_keyframes(
    stream: VideoStream, packets: Iterator[Packet[Stream]], in_software: bool = True
) -> Iterator[VideoFrame]:
    """The frames of packets that decode by themselves, each drained from the decoder at once.

    FFmpeg can skip the others itself, but then returns H.264's keyframes out of order where B-frames occur, and loses
    the last one.
    """
    for packet in packets:
        if packet.is_keyframe:
            for frame in decode_packets(stream, iter([packet]), in_software):
                frame.dts = packet.dts  # drained frames have none
                yield frame
            stream.codec_context.flush_buffers()
