"""The one way to open a video: restricted to real containers, reading the right stream, placed by timestamp.

Frames come as `TimedFrame`s in presentation order. Their `time` is exact: (pts - first pts) * time base, in seconds.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import errno
import gc
import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipseek.api.errors import EmptyFile, MediaMissing, NoFrames, NoVideoStream, UnreadableVideo
from clipseek.config.settings import SOFTWARE
from executors.machine.processors import processor_count
from executors.video_loader.decode.hardware import hardware, is_in_hardware
from executors.video_loader.decode.skipping import Thinning

logger = logging.getLogger(__name__)

# Containers that hold pictures or sound themselves. Playlists (hls, dash, concat), devices, text and still images are
# left out: such a file makes FFmpeg read other files or addresses. Sound files are in for the better message.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,rm,nut,ivf,dv,gxf,wtv,nsv,nuv,gif,"
    "yuv4mpegpipe,mp3,aac,flac,wav,aiff"
)
# What a decoder with threads holds grows with their number: some 3 MB each at 1080p. More than 8 gain little.
_MOST_DECODER_THREADS = 8
# Seconds to go back for a keyframe when the container's own seek landed too late (MPEG-TS, open groups, bad indexes).
SEEK_BACK_SECONDS = (0, 1, 2, 4, 8, 16, 32, 64)
# Reads that may fail one after another in a damaged file before the rest counts as lost.
MAX_FAILED_READS = 64
# B-frames that may be shown before a keyframe which is stored before them: H.264 allows no more, others have fewer.
MAX_FRAMES_BETWEEN = 16
# Errors of the system that no content of a video brings about.
_OF_THE_SYSTEM = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT}
_LOOK_BYTES = 1_000_000
_DEFAULT_FPS = Fraction(25)  # only for the length of a frame where the file names neither duration nor rate


def _decoder_threads() -> int:
    """How many threads a decoder gets."""
    return min(processor_count(), _MOST_DECODER_THREADS)


class Needs(Enum):
    """What the frames are for: the less is needed, the less is decoded."""

    ALL = auto()  # every frame as it should be
    # Pictures that are scaled down and looked at. Frames which no other is predicted from keep the edges of their
    # blocks, if they are not left out: an eighth less work for H.264, the same vectors (docs/performance.md).
    LOOKS = auto()
    KEYFRAMES = auto()  # nothing but frames that decode by themselves


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame (native size and format, not yet rotated) and its time in seconds from the first frame.

    `follows_gap` says that frames between the one before and this one were left out.
    """

    time: Fraction
    frame: VideoFrame
    follows_gap: bool = False


class _HardwareError(Exception):
    """The hardware does not decode this video, or not from here on."""


def _decode(stream: VideoStream, packets: Iterator[Packet[Stream]], in_software: bool = True) -> Iterator[VideoFrame]:
    for packet in chain(packets, [None]):
        try:
            yield from stream.decode(packet)
        except av.FFmpegError as error:
            if not in_software:  # a damaged packet, or the hardware has failed and would lose all that follows
                raise _HardwareError(f"FFmpeg: {error.strerror}") from error
            continue  # a damaged packet: the decoder goes on with the next


def _decode_keyframes(
    stream: VideoStream, packets: Iterator[Packet[Stream]], in_software: bool = True
) -> Iterator[VideoFrame]:
    """The frames of packets that decode by themselves, each drained from the decoder at once.

    Told to skip the others, FFmpeg puts H.264's keyframes out of order where it has B-frames, and loses the last.
    """
    for packet in packets:
        if packet.is_keyframe:
            for frame in _decode(stream, iter([packet]), in_software):
                frame.dts = packet.dts  # what is drained has none
                yield frame
            stream.codec_context.flush_buffers()


class MediaSource:
    """An open video and its video stream. A context manager; made by `open_media`.

    Attributes:
        decoder: `software`, or the hardware that decodes this video until it fails.
    """

    def __init__(self, path: Path, title: str, needs: Needs, most_gap_seconds: Fraction, decoder: str) -> None:
        self.path = path
        self.title = title
        self.needs = needs
        self.most_gap_seconds = most_gap_seconds
        self.decoder = decoder
        self._tail: Iterator[tuple[int, VideoFrame]] | None = None
        self._open()
        try:
            try:
                self._head, self._tail = self._first_frame()
            except _HardwareError as error:
                self._reopen_in_software(error)
                self._head, self._tail = self._first_frame()
        except BaseException:
            self.close()
            raise
        self.first_pts = self._head[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free the decoder. What is closed already, or could not be opened again, stays so.

        PyAV's streams and containers refer to each other: without a collection the decoder with its threads stays on,
        some 7 MB for each video that is opened.
        """
        self._tail = None
        if not hasattr(self, "container"):
            return
        self.container.close()
        del self.container, self.stream
        gc.collect()

    @property
    def first_frame(self) -> VideoFrame:
        return self._head[1]

    @property
    def frame_seconds(self) -> Fraction:
        """Length of one frame by the average rate."""
        return 1 / (self.stream.average_rate or self.stream.guessed_rate or _DEFAULT_FPS)

    def frames(self, from_seconds: Fraction = Fraction(0), all_from: Fraction | None = None) -> Iterator[TimedFrame]:
        """Decode in presentation order, beginning with a frame at or before `from_seconds`; times rise strictly.

        Starts at the keyframe at or before `from_seconds`; what comes from there is what a run from the beginning
        would give. A new call ends the iterators of earlier calls. Damaged packets are passed over.

        Args:
            all_from: nothing shown after this time is left out, even if the source may do so.
        """
        last: Fraction | None = None
        while True:
            try:
                for timed in self._frames(from_seconds if last is None else last, all_from):
                    if last is None or timed.time > last:
                        last = timed.time
                        yield timed
            except _HardwareError as error:
                self._reopen_in_software(error)
            else:
                return

    def _frames(self, from_seconds: Fraction, all_from: Fraction | None) -> Iterator[TimedFrame]:
        """`frames`, unless the hardware fails."""
        # Without presentation times (AVI) the packets do not say when they are shown.
        most_gap_seconds = self.most_gap_seconds if has_presentation_times(self.container) else 0
        most_ticks = math.floor(most_gap_seconds / self.time_base)
        thinning = Thinning(self.stream, most_ticks, None if all_from is None else self._pts_at(all_from))
        last = -1
        for pts, frame in self._frames_from(from_seconds, thinning):
            ticks = pts - self.first_pts
            if ticks > last:
                follows_gap = last >= 0 and thinning.lies_between(last + self.first_pts, pts)
                last = ticks
                yield TimedFrame(ticks * self.time_base, frame, follows_gap)

    def _pts_at(self, seconds: Fraction) -> int:
        return self.first_pts + math.floor(seconds / self.time_base)

    def _frames_from(self, from_seconds: Fraction, thinning: Thinning) -> Iterator[tuple[int, VideoFrame]]:
        whole = self.needs is not Needs.KEYFRAMES and not self.most_gap_seconds
        if self._tail is not None and from_seconds <= 0 and whole:
            tail, self._tail = self._tail, None
            return chain([self._head], tail)
        self._tail = None
        target = self._pts_at(from_seconds)
        packets = seek_keyframe(self.container, self.stream, target, self.first_pts) if from_seconds > 0 else None
        if packets is None:
            self.close()
            self._open()
            packets = read_packets(self.container, self.stream)
        return self._decoded(thinning.kept(packets), _decode_keyframes if self.needs is Needs.KEYFRAMES else _decode)

    def _reopen_in_software(self, error: Exception) -> None:
        self._take_software(error)
        self.close()
        self._open()

    def _take_software(self, reason: object) -> None:
        logger.warning("'%s' is decoded in software: %s does not (%s)", self.title, self.decoder, reason)
        self.decoder = SOFTWARE

    def _open(self) -> None:
        try:
            container = open_container(self.path, self.title, hardware(self.decoder))
        except UnreadableVideo as error:
            if self.decoder == SOFTWARE:
                raise
            self._take_software(error.__cause__)
            container = open_container(self.path, self.title)
        try:
            stream = video_stream(container, self.title)
        except BaseException:
            container.close()
            raise
        self.container, self.stream = container, stream
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        # Threads that take a frame each wait for more frames; of keyframes each is wanted at once.
        self.stream.thread_type = "SLICE" if self.needs is Needs.KEYFRAMES else "AUTO"
        self.stream.thread_count = _decoder_threads() if self.decoder == SOFTWARE else 1
        if self.needs is not Needs.ALL:
            self.stream.codec_context.options = {"skip_loop_filter": "noref"}
        self.time_base = self.stream.time_base or Fraction(1, 90000)

    def _first_frame(self) -> tuple[tuple[int, VideoFrame], Iterator[tuple[int, VideoFrame]] | None]:
        frames = self._decoded(read_packets(self.container, self.stream))
        head = next(frames, None)
        context = self.stream.codec_context
        if self.decoder != SOFTWARE and not (head and is_in_hardware(context, self.decoder)):
            raise _HardwareError(f"FFmpeg's decoder {context.codec.name} gives {context.pix_fmt} without it")
        if head is None:
            raise NoFrames(
                f"'{self.title}' has a video stream ({self.stream.codec_context.name}), but no frame of it can be "
                "decoded. Convert the video again, or fetch a complete copy"
            )
        return head, frames

    def _decoded(
        self, packets: Iterator[Packet[Stream]], decode: Callable[..., Iterator[VideoFrame]] = _decode
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Frames with their pts; where none can be had (AVI) the dts of the packet that pushed them out of the decoder,
        which rises with them, and at last the frame before plus one frame."""
        stamped = has_presentation_times(self.container)
        step = max(1, round(self.frame_seconds / self.time_base))
        following = 0
        for frame in decode(self.stream, packets, self.decoder == SOFTWARE):
            pts = frame.pts if stamped and frame.pts is not None else frame.dts
            pts = following if pts is None else pts
            following = pts + step
            yield pts, frame


def open_media(
    path: Path,
    title: str = "",
    needs: Needs = Needs.ALL,
    most_gap_seconds: Fraction = Fraction(0),
    decoder: str = SOFTWARE,
) -> MediaSource:
    """Open a video and decode its first frame, which proves that it can be read.

    Args:
        path: of the file; its name plays no part in how it is read, but as a hint.
        title: what messages call the video; the file's name unless given.
        needs: what its frames are for.
        most_gap_seconds: frames that no other is predicted from are left out as long as those around them are no
            further apart than this (see `thinning.py`).
        decoder: `software`, or the hardware to try first (see `decoders.py`): a video that it cannot decode, and the
            rest of one at which it fails, is decoded in software, with a line in the log.

    Raises:
        MediaMissing: there is no such file.
        EmptyFile, UnreadableVideo, NoVideoStream, NoFrames: see `clipseek.errors`.
    """
    return MediaSource(path, title or path.name, needs, most_gap_seconds, decoder)


def exact(value: float) -> Fraction:
    """The number that was meant: 1.96 is 49/25, not the binary fraction just below, where another frame is shown.

    Any frame's time that became a float is found again, for time bases down to a millionth of a second.
    """
    return Fraction(value).limit_denominator(1_000_000)


def open_container(path: Path, title: str, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open with FFmpeg, restricted to the local file itself and to `CONTAINERS`.

    Raises as `open_media`; UnreadableVideo also where the hardware cannot be opened; MemoryError of PyAV.
    """
    if not state_of(path, title).st_size:
        raise EmptyFile(f"'{title}' is empty (0 bytes): choose another file")
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    try:
        return av.open(
            f"file:{path.absolute()}", "r", container_options=options, metadata_errors="replace", hwaccel=hwaccel
        )
    except (av.FFmpegError, ValueError) as error:
        if hwaccel is None:  # else the error may be the driver's
            _blame_the_system(path, title, error)
        raise UnreadableVideo(_why_unreadable(path, title, error)) from error


def _blame_the_system(path: Path, title: str, error: Exception) -> None:
    """Raise what tells of a file that cannot be read now, if that is why FFmpeg has failed, and not what is in it.

    Raises: MediaMissing; FFmpeg's MemoryError as it is.
    """
    if isinstance(error, av.error.MemoryError):
        raise error
    reason = error if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM else _read_error(path)
    if reason:
        raise MediaMissing(
            f"The file of '{title}' cannot be read now ({reason.strerror}). See to its disk and rights, and try again"
        ) from error


def _read_error(path: Path) -> OSError | None:
    """Why the system does not read the beginning or the end of a file, where FFmpeg looks first. FFmpeg's own EIO says
    little: some containers that are damaged give it, too."""
    try:
        with path.open("rb", buffering=0) as file:
            file.read(_LOOK_BYTES)
            file.seek(max(0, path.stat().st_size - _LOOK_BYTES))
            file.read(_LOOK_BYTES)
    except OSError as error:
        return error
    return None


def state_of(path: Path, title: str) -> os.stat_result:
    """What the system says of a video's file.

    Raises:
        MediaMissing: there is none.
    """
    try:
        return path.stat()
    except OSError as error:
        raise MediaMissing(
            f"The file of '{title}' cannot be opened ({error.strerror}). Index the video again"
        ) from error


def video_stream(container: InputContainer, title: str) -> VideoStream:
    """The stream to look at: never cover art; of several the one with most pixels, then the default one.

    Raises:
        NoVideoStream: there is none. UnreadableVideo: there is, but without a decoder for it.
    """
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [s for s in container.streams.video if not s.disposition & still]
    readable = [s for s in videos if s.codec_context is not None]
    if readable:
        return max(readable, key=lambda s: (s.width * s.height, bool(s.disposition & Disposition.default), -s.index))
    if videos:
        raise UnreadableVideo(f"'{title}' is coded in a way no decoder here can read. Convert it to H.264 in MP4")
    what = "only a cover picture" if container.streams.video else "sound only" if container.streams.audio else "nothing"
    raise NoVideoStream(f"'{title}' has no video: {what}. Choose a file with moving pictures")


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """Packets with data, in file order; unreadable places are passed over.

    Raises:
        UnreadableVideo: a track begins in the middle of the file, which PyAV cannot follow.
    """
    failed = 0
    while failed < MAX_FAILED_READS:
        try:
            for packet in container.demux(*streams):
                failed = 0
                if packet.size:
                    yield packet
        except av.FFmpegError:
            failed += 1
        except IndexError as error:
            raise UnreadableVideo(
                "The video cannot be read to its end: a track begins in the middle of the file. Convert it, for example "
                "with: ffmpeg -i VIDEO NEW.mp4"
            ) from error
        else:
            return


def seek_keyframe(
    container: InputContainer, stream: Stream, target_pts: int, first_pts: int
) -> Iterator[Packet[Stream]] | None:
    """Packets from a keyframe shown at or before `target_pts`, so that all from the target on can be decoded.

    A container may land later than asked: its index counts decoding times, or its seek takes any packet for a key.
    Then the search begins earlier, in growing steps.

    Returns:
        None where no seek helps: read from the beginning of a freshly opened file.
    """
    for back_seconds in SEEK_BACK_SECONDS:
        wanted = target_pts - math.ceil(back_seconds / (stream.time_base or Fraction(1)))
        if back_seconds and wanted <= first_pts:
            return None
        try:
            container.seek(wanted, stream=stream, backward=True)
        except av.FFmpegError:
            continue
        packets = read_packets(container, stream)
        key = next((p for p in packets if p.is_keyframe), None)
        if key is not None and _shown_by(key, stream, has_presentation_times(container)) <= target_pts:
            return chain([key], packets)
    return None


def has_presentation_times(container: InputContainer) -> bool:
    """False for AVI, which knows the order of decoding only: what FFmpeg gives as pts is wrong with B-frames."""
    return container.format.name != "avi"


def _shown_by(packet: Packet[Stream], stream: Stream, stamped: bool) -> float:
    """The packet's pts, or where it has none (AVI) the latest it can be: the dts and the frames shown before it."""
    if stamped and packet.pts is not None:
        return packet.pts
    if packet.dts is None:
        return math.inf
    reordered = isinstance(stream, VideoStream) and stream.codec_context.reorder_depth > 0
    return packet.dts + (MAX_FRAMES_BETWEEN if reordered else 1) * max(packet.duration or 1, 1)


def _why_unreadable(path: Path, title: str, error: Exception) -> str:
    if _is_cut_off(path):
        return (
            f"'{title}' looks incomplete: the index that MP4 files carry at their end is missing. "
            "Copy or download the file again"
        )
    reason = getattr(error, "strerror", None) or str(error)
    return (
        f"'{title}' is not a video that can be read (FFmpeg: {reason}). "
        "Choose a video such as MP4, MKV, WebM, MOV, AVI or TS, or convert it to H.264 in MP4"
    )


def _is_cut_off(path: Path) -> bool:
    """Whether this is an MP4 or MOV file without its index, the `moov` box."""
    size, position = path.stat().st_size, 0
    kinds: list[bytes] = []
    with path.open("rb") as file:
        while position + 8 <= size and len(kinds) < 64:
            file.seek(position)
            header = file.read(16)
            kinds.append(header[4:8])
            length = int.from_bytes(header[:4])
            length = int.from_bytes(header[8:16]) if length == 1 else length
            if length < 8:
                break
            position += length
    return bool(kinds) and kinds[0] in {b"ftyp", b"mdat", b"wide"} and b"moov" not in kinds
