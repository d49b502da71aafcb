"""What an editor has to know of a video: its file, its rate, its first frame's timecode, its size."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

from clipseek.api.documents import Video
from clipseek.timecode import Timecode, exact_rate

_DEFAULT_FPS = 25.0  # where a video does not state its frame rate
_SAME_RATE = Fraction(1, 10_000)  # a stored rate has five digits


@dataclass(frozen=True)
class Source:
    """A video as the source of edits.

    Attributes:
        path: where the reader has it.
        first: the timecode of the first picture; frame 0 where the video has none.
        frames: how many it has, at least 1; 0 where the length is not known.
        late_seconds: when the first picture is shown.
        has_constant_rate: its average rate is a standard one. If not, its frames have no numbers to rely on.
    """

    video_id: str
    title: str
    path: PurePath
    first: Timecode
    frames: int
    late_seconds: Fraction
    width: int
    height: int
    has_audio: bool
    has_constant_rate: bool

    @property
    def rate(self) -> Fraction:
        """Frames a second, exact: 29.97 is 30000/1001."""
        return self.first.rate

    @classmethod
    def of(cls, video: Video, path: PurePath) -> "Source":
        fps = Fraction(video.fps or _DEFAULT_FPS)
        first = (
            Timecode.parse(video.timecode, Fraction(video.timecode_rate))
            if video.timecode
            else Timecode(0, exact_rate(fps))
        )
        late = Fraction(max(video.first_seconds, 0.0))
        length = Fraction(video.duration_seconds)
        return cls(
            video_id=video.video_id,
            title=video.title,
            path=path,
            first=first,
            frames=max(round((length - late) * first.rate), 1) if length else 0,
            late_seconds=late,
            width=video.width,
            height=video.height,
            has_audio=video.has_audio,
            has_constant_rate=abs(fps - first.rate) <= _SAME_RATE * first.rate,
        )
