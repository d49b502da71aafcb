"""An open video: its frames in presentation order, placed by timestamp, decoded in software or by hardware.

A frame's `time` is exact: (pts - pts of time 0) * time base, in seconds. Time 0 is what players show as 0.
"""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from itertools import chain

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from clipseek.api.errors import NoFrames, UnreadableVideo
from clipseek.config.settings import SOFTWARE
from executors.machine.processors import processor_count
from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.parts import FilePart, VideoFile, VideoView, list_parts, path_of
from executors.video_loader.containers.tracks import discard_other_streams, find_audio_stream, find_video_stream
from executors.video_loader.decode.hardware import is_decoded_in_hardware, make_accelerator
from executors.video_loader.decode.packets import (
    HardwareError,
    decode_keyframes,
    decode_packets,
    has_presentation_times,
    is_raw_stream,
    measure_late_start,
    read_packets,
    seek_keyframe,
)
from executors.video_loader.decode.picture import LIMITED_RANGE
from executors.video_loader.decode.quirks import free_frames
from executors.video_loader.decode.skipping import FrameSkipper

logger = logging.getLogger(__name__)

# A decoder's memory grows with its threads: about 3 MB each at 1080p. More than 8 gain little.
_MOST_DECODER_THREADS = 8
_MOST_FPS = 1000  # slow-motion cameras store at most 960
_DEFAULT_FPS = Fraction(25)  # only for the length of a frame, if the file names neither duration nor rate


class Needs(Enum):
    """What the frames are for. Lower needs decode less."""

    ALL = auto()  # every frame, in full quality
    # Pictures that are scaled down and looked at. Frames that no other frame refers to keep the edges of their blocks,
    # if they are decoded at all: an eighth less work for H.264, the same vectors (docs/performance.md).
    LOOKS = auto()
    KEYFRAMES = auto()  # only frames that decode by themselves


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame (native size and format, not yet rotated) and its time in seconds.

    `follows_gap`: frames between the previous one and this one were skipped. `is_gap`: no frame of the video, but the
    beginning of a time without pictures (see `gaps.py`).
    """

    time: Fraction
    frame: VideoFrame
    follows_gap: bool = False
    is_gap: bool = False


class VideoSource(AbstractContextManager["VideoSource"]):
    """An open video, made by `open_video`.

    Attributes:
        file: what `open_video` was called with.
        opened: the part of it that is open.
        decoder: `software`, or the hardware that decodes it until it fails.
        first_pts: the time stamp of time 0: the file's own zero, which may lie before the first picture.
        late_seconds: how much later than the file's zero the first picture is shown; first_seconds: the time it has.
        known_seconds: its length, if that was measured before.
        notes: what was left out, or is read in a way that its owner may not expect.
    """

    known_seconds: Fraction | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, file: VideoFile, title: str, needs: Needs, most_gap_seconds: Fraction, decoder: str) -> None:
        self.file = self.opened = file
        self.title = title
        self.needs = needs
        self.most_gap_seconds = most_gap_seconds
        self.decoder = decoder
        self._tail: Iterator[tuple[int, VideoFrame]] | None = None
        self._open()
        try:
            try:
                self._head, self._tail = self._decode_first_frame()
            except HardwareError as error:
                self._reopen_in_software(error)
                self._head, self._tail = self._decode_first_frame()
        except BaseException:
            self.close()
            raise
        self.late_seconds = measure_late_start(self.container, self._head[0] * self.time_base)
        is_own_zero = not (isinstance(self.opened, VideoView) and self.opened.from_first_picture)
        self.first_seconds = self.late_seconds if is_own_zero else Fraction(0)
        self.first_pts = self._head[0] - round(self.first_seconds / self.time_base)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free the decoder. Does nothing if closed already, or if reopening failed."""
        self._tail = None
        if not hasattr(self, "container"):
            return
        self.container.close()
        del self.container, self.stream
        free_frames()

    @property
    def first_picture_pts(self) -> int:
        return self._head[0]

    @property
    def first_frame(self) -> VideoFrame:
        return self._head[1]

    def has_sound(self) -> bool:
        """Whether there is sound that belongs to the pictures."""
        return find_audio_stream(self.container, self.stream, self.opened) is not None

    @property
    def frame_seconds(self) -> Fraction:
        """Length of one frame by the average rate. Without one, some containers (DV) state the rate of their clock.

        Of raw streams the average is FFmpeg's own 25, whatever the stream states. GXF counts fields, two to a frame.
        """
        stream = self.stream
        rates = [stream.average_rate, stream.guessed_rate, stream.base_rate, stream.codec_context.framerate]
        if is_raw_stream(self.container):
            rates.insert(0, rates.pop())
        elif rates[0] and rates[0] == 2 * (stream.base_rate or 0):
            del rates[0]
        return 1 / next((rate for rate in rates if rate and rate <= _MOST_FPS), _DEFAULT_FPS)

    def frames(self, from_seconds: Fraction = Fraction(0), all_from: Fraction | None = None) -> Iterator[TimedFrame]:
        """Decode in presentation order, from a frame at or before `from_seconds`; times rise strictly.

        Starts at the keyframe at or before `from_seconds` and gives the same frames as a run from the beginning. A new
        call ends the iterators of earlier calls. Damaged packets are skipped. Of the frames
        after `all_from` none is skipped, even if the source may skip some.
        """
        last: Fraction | None = None
        while True:
            try:
                for timed in self._iterate_frames(from_seconds if last is None else last, all_from):
                    if last is None or timed.time > last:
                        last = timed.time
                        yield timed
            except HardwareError as error:
                self._reopen_in_software(error)
            else:
                return

    def _iterate_frames(self, from_seconds: Fraction, all_from: Fraction | None) -> Iterator[TimedFrame]:
        # Packets without presentation times (AVI) do not say when they are shown.
        most_gap_seconds = self.most_gap_seconds if has_presentation_times(self.container) else 0
        most_ticks = math.floor(most_gap_seconds / self.time_base)
        skipper = FrameSkipper(self.stream, most_ticks, None if all_from is None else self._pts_at(all_from))
        last = -1
        for pts, frame in self._decode_from(from_seconds, skipper):
            ticks = pts - self.first_pts
            if ticks > last:
                follows_gap = last >= 0 and skipper.has_skipped_between(last + self.first_pts, pts)
                last = ticks
                yield TimedFrame(ticks * self.time_base, frame, follows_gap)

    def _pts_at(self, seconds: Fraction) -> int:
        return self.first_pts + math.floor(seconds / self.time_base)

    def _decode_from(self, from_seconds: Fraction, skipper: FrameSkipper) -> Iterator[tuple[int, VideoFrame]]:
        decodes_all = self.needs is not Needs.KEYFRAMES and not self.most_gap_seconds
        if self._tail is not None and from_seconds <= 0 and decodes_all:
            tail, self._tail = self._tail, None
            return chain([self._head], tail)
        self._tail = None
        first = self.first_picture_pts
        target = max(first, self._pts_at(from_seconds))
        packets = seek_keyframe(self.container, self.stream, target, first) if from_seconds > 0 else None
        if packets is None:
            self.close()
            self._open()
            packets = read_packets(self.container, self.stream)
        decode = decode_keyframes if self.needs is Needs.KEYFRAMES else decode_packets
        return self._add_pts(skipper.select_packets(packets), decode)

    def _reopen_in_software(self, error: Exception) -> None:
        self._switch_to_software(error)
        self.close()
        self._open()

    def _switch_to_software(self, reason: object) -> None:
        logger.warning("'%s' is decoded in software: %s cannot decode it (%s)", self.title, self.decoder, reason)
        self.decoder = SOFTWARE

    def _open(self) -> None:
        try:
            container = open_container(self.opened, self.title, make_accelerator(self.decoder))
        except UnreadableVideo as error:
            if self.decoder == SOFTWARE:
                raise
            self._switch_to_software(error.__cause__)
            container = open_container(self.opened, self.title)
        try:
            stream = find_video_stream(container, self.opened, self.title)
        except BaseException:
            container.close()
            raise
        self.container, self.stream = container, stream
        discard_other_streams(container, stream)
        # Threads that take one frame each wait for more frames, but each keyframe is wanted at once.
        self.stream.thread_type = "SLICE" if self.needs is Needs.KEYFRAMES else "AUTO"
        self.stream.thread_count = min(processor_count(), _MOST_DECODER_THREADS) if self.decoder == SOFTWARE else 1
        if self.needs is not Needs.ALL:
            self.stream.codec_context.options = {"skip_loop_filter": "noref"}
        self.time_base = self.stream.time_base or Fraction(1, 90000)

    def _decode_first_frame(self) -> tuple[tuple[int, VideoFrame], Iterator[tuple[int, VideoFrame]] | None]:
        frames = self._add_pts(read_packets(self.container, self.stream))
        head = next(frames, None)
        context = self.stream.codec_context
        if self.decoder != SOFTWARE and not (head and is_decoded_in_hardware(context, self.decoder)):
            raise HardwareError(f"FFmpeg's decoder {context.codec.name} gives {context.pix_fmt} without it")
        if head is None:
            raise NoFrames(
                f"'{self.title}' has a video stream ({self.stream.codec_context.name}), but none of its frames can be "
                "decoded. Convert the video again, or fetch a complete copy"
            )
        return head, frames

    def _add_pts(
        self, packets: Iterator[Packet[Stream]], decode: Callable[..., Iterator[VideoFrame]] = decode_packets
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their pts.

        Without pts (AVI), a frame gets the dts of the packet that pushed it out of the decoder, which rises with the
        frames. The last ones get the previous frame's plus one frame.
        """
        has_pts = has_presentation_times(self.container)
        step = max(1, round(self.frame_seconds / self.time_base))
        following = 0
        # Grey HEVC that does not state its range has the limited one, as coloured has, but FFmpeg takes it for full.
        is_limited = self.stream.codec_context.name == "hevc" and (self.stream.pix_fmt or "").startswith("gray")
        for frame in decode(self.stream, packets, self.decoder == SOFTWARE):
            if is_limited and not frame.color_range:
                frame.color_range = LIMITED_RANGE
            pts = frame.pts if has_pts and frame.pts is not None else frame.dts
            pts = following if pts is None else pts
            following = pts + step
            yield pts, frame


def open_video(
    file: VideoFile,
    title: str = "",
    needs: Needs = Needs.ALL,
    most_gap_seconds: Fraction = Fraction(0),
    decoder: str = SOFTWARE,
) -> VideoSource:
    """Open a video and decode its first frame, which proves that it can be read.

    Args:
        file: its name is only a hint for how to read it. Of a file of several recordings, all are read in one go.
        title: the video's name in messages; the file's name by default.
        needs: what its frames are for.
        most_gap_seconds: frames that no other frame refers to are skipped as long as the frames around them are no
            further apart than this (see `skipping.py`).
        decoder: `software`, or the hardware to try first (see `hardware.py`). If the hardware cannot decode the video,
            or fails midway, the video or its rest is decoded in software, with a warning in the log.

    Raises: MediaMissing: the file does not exist. EmptyFile, UnreadableVideo, NoVideoStream, NoFrames: see
    `clipseek.errors`.
    """
    how = (title or path_of(file).name, needs, most_gap_seconds, decoder)
    is_one = isinstance(file, FilePart) or (isinstance(file, VideoView) and file.track)
    parts = [] if is_one else list_parts(path_of(file))
    if len(parts) < 2:
        return VideoSource(file, *how)
    from executors.video_loader.decode.joined import JoinedSource  # only now, because it consists of sources

    return JoinedSource(path_of(file), parts, *how)


def exact_seconds(value: float) -> Fraction:
    """The number that was meant: 1.96 is 49/25, not the binary fraction just below, where another frame is shown.

    Finds every frame's time again after it became a float, for time bases down to a millionth of a second.
    """
    return Fraction(value).limit_denominator(1_000_000)
