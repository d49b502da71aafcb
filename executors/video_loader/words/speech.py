"""The sound of a span as a recogniser of speech takes it: 16 kHz, one channel, in time with the pictures."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame

from clipseek.api.limits import SPEECH_RATE
from executors.video_loader.clips.sound import PREROLL_SECONDS, Sound, read_packets_from
from executors.video_loader.decode.source import VideoSource


class SpeechSound(Sound):
    """A sound of a recording in `[start, end)`. Gaps and damaged packets are silence. A context manager.

    Attributes:
        lost_seconds: from here on nothing could be decoded, in seconds of the recording; None if something could.
        reason: why, in FFmpeg's words.
    """

    def __init__(self, source: VideoSource, start: Fraction, end: Fraction, index: int) -> None:
        super().__init__(source, start, end, index, (SPEECH_RATE,))
        self.rate, self.layout, self._channels = SPEECH_RATE, "mono", 1
        self.lost_seconds: float | None = None
        self.reason = ""

    def read(self) -> bytes:
        """The samples, int16, exactly as many as the range is long."""
        blocks = [np.clip(samples[0] * 32768, -32768, 32767).astype(np.int16) for samples in self._fill_gaps()]
        return b"".join(block.tobytes() for block in blocks)

    def _decode(self) -> Iterator[AudioFrame]:
        since = self._origin + self._start - PREROLL_SECONDS
        for packet in read_packets_from(self._container, self.stream, since):
            try:
                yield from self.stream.decode(packet)
                self.lost_seconds = None
            except av.FFmpegError as error:
                if self.lost_seconds is None:
                    self.lost_seconds = max(0.0, float((packet.pts or 0) * packet.time_base - self._origin))
                    self.reason = error.strerror or str(error)
