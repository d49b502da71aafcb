"""The sound of a clip: decoded, resampled, and trimmed to the sample, so that it stays in sync with the picture."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import math
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from executors.video_loader.containers.container import open_container
from executors.video_loader.containers.tracks import discard_other_streams
from executors.video_loader.decode.packets import read_packets, seek_keyframe
from executors.video_loader.decode.source import VideoSource

Samples = NDArray[np.float32]  # [channels, samples]

OTHER_RATE = 48000  # for videos with a rate that the clip's codec lacks
# Decoding begins this long before the first wanted sample: AAC, MP3 and Opus need the previous packet to sound right.
PREROLL_SECONDS = Fraction(1, 2)
# MKV and FLV have timestamps in whole milliseconds: a jump below this is rounding, above it a gap in the recording.
GAP_SECONDS = Fraction(1, 20)


class Sound(AbstractContextManager["Sound"]):
    """A sound of a video in `[start, end)`, in seconds from the first *picture*. A context manager.

    Args:
        index: of its stream in the file.
        rates: samples a second that the clip's codec takes.
    """

    def __init__(self, source: VideoSource, start: Fraction, end: Fraction, index: int, rates: Collection[int]) -> None:
        self._origin = source.first_pts * source.time_base
        self._start, self._end = start, end
        self._container, self.stream = _open_audio(source, index)
        channels = self.stream.codec_context.channels
        self.rate = self.stream.rate if self.stream.rate in rates else OTHER_RATE
        self.layout = "mono" if channels == 1 else "stereo"
        self._channels = 1 if channels == 1 else 2
        self._source = source

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Iterator[AudioFrame]:
        """Frames without gap or overlap, from sample 0 to the last. Gaps in the video's sound become silence."""
        position = 0
        for samples in self._fill_gaps():
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self.layout)
            frame.sample_rate = self.rate
            frame.pts, frame.time_base = position, Fraction(1, self.rate)
            position += samples.shape[1]
            yield frame

    def _fill_gaps(self) -> Iterator[Samples]:
        position, total = 0, round((self._end - self._start) * self.rate)
        for time, samples in self._resample():
            offset = position if time is None else round((time - self._start) * self.rate)
            if position and abs(offset - position) <= GAP_SECONDS * self.rate:
                offset = position
            fresh = samples[:, max(0, position - offset) :][:, : max(0, total - max(position, offset))]
            if fresh.shape[1]:
                yield from self._silence(offset - position)
                position = max(position, offset) + fresh.shape[1]
                yield fresh
            if offset >= total:
                break
        yield from self._silence(total - position)

    def _silence(self, samples: int) -> Iterator[Samples]:
        for begin in range(0, samples, self.rate):
            yield np.zeros((self._channels, min(self.rate, samples - begin)), np.float32)

    def _resample(self) -> Iterator[tuple[Fraction | None, Samples]]:
        resampler, kind = None, None
        for frame in self._decode():
            if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                yield from self._drain(resampler)
                resampler = AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
            for out in resampler.resample(frame) if resampler else ():
                yield self._add_time(out)
        yield from self._drain(resampler)

    def _drain(self, resampler: AudioResampler | None) -> Iterator[tuple[Fraction | None, Samples]]:
        if resampler is not None:
            yield from map(self._add_time, resampler.resample(None))

    def _add_time(self, frame: AudioFrame) -> tuple[Fraction | None, Samples]:
        time = None if frame.pts is None or not frame.time_base else frame.pts * frame.time_base - self._origin
        return time, frame.to_ndarray().astype(np.float32, copy=False)

    def _decode(self) -> Iterator[AudioFrame]:
        for packet in read_packets_from(self._container, self.stream, self._origin + self._start - PREROLL_SECONDS):
            try:
                yield from self.stream.decode(packet)
            except av.FFmpegError:
                continue  # a damaged packet


def read_packets_from(
    container: InputContainer, stream: Stream, container_seconds: Fraction
) -> Iterator[Packet[Stream]]:
    """Packets of `stream` from about `container_seconds` on the container's own clock, or from the beginning."""
    time_base = stream.time_base or Fraction(1, 90000)
    first_pts = stream.start_time or 0
    target = math.floor(container_seconds / time_base)
    if target > first_pts:
        sought = seek_keyframe(container, stream, target, first_pts)
        if sought is not None:
            return sought
        container.seek(0 if container.start_time is None else container.start_time)
    return read_packets(container, stream)


def _open_audio(source: VideoSource, index: int) -> tuple[InputContainer, AudioStream]:
    container = open_container(source.file, source.title)
    stream = container.streams[index]
    assert isinstance(stream, AudioStream)
    discard_other_streams(container, stream)
    return container, stream
