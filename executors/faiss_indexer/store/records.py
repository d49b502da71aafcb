"""What a store holds of a video: its record, its frames, its shots."""

import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clipseek.api.errors import InvalidRequest

NOT_KNOWN = -1.0  # of `first_seconds`: an earlier version registered the video
_ROUNDING_SECONDS = 0.01
_LEAST_GAP_SECONDS = 0.5  # before the first picture; the loader takes a shorter one for a part of the picture
_NO_CUTS = np.empty(0)
_NONE_BLANK = np.empty(0, np.bool_)


@dataclass(frozen=True)
class VideoRecord:
    """What the store knows of a video apart from its frames."""

    video_id: str
    title: str
    size_bytes: int
    duration_seconds: float
    width: int
    height: int
    fps: float
    codec: str
    container: str
    rotation_degrees: int
    has_audio: bool
    frames_per_second: float
    sampling: str = ""
    first_seconds: float = 0.0  # when the first picture is shown, or NOT_KNOWN
    timecode: str = ""  # of the first picture
    timecode_rate: str = ""


@dataclass(frozen=True)
class StoredVideo:
    """A video and what is indexed of it: the `[start, end)` of its spans, each with its number of frames.

    `added_at` is in seconds since the epoch.
    """

    record: VideoRecord
    added_at: float
    spans: dict[tuple[float, float], int]


@dataclass(frozen=True)
class Frames:
    """Frames in order of time.

    Attributes:
        pts_seconds: float64 [N].
        vectors: float16 [N, D], unit rows.
        cut_seconds: float64 [C] ascending, the times of the video's frames, sampled or not, that begin a new shot.
        blank: bool [N], the frames that show nothing; by default none.

    Raises: InvalidRequest: the shapes do not fit together.
    """

    pts_seconds: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float16]
    cut_seconds: npt.NDArray[np.float64] = field(default_factory=_NO_CUTS.copy)
    blank: npt.NDArray[np.bool_] = field(default_factory=_NONE_BLANK.copy)

    def __post_init__(self) -> None:
        if not len(self.blank):
            object.__setattr__(self, "blank", np.zeros(len(self.pts_seconds), np.bool_))
        if self.pts_seconds.ndim != 1 or self.vectors.ndim != 2 or len(self.pts_seconds) != len(self.vectors):
            shapes = f"pts_seconds {self.pts_seconds.shape} and vectors {self.vectors.shape}"
            raise InvalidRequest(f"Frames need pts_seconds [N] and vectors [N, D], not {shapes}.")
        if self.blank.shape != self.pts_seconds.shape:
            shapes = f"pts_seconds {self.pts_seconds.shape} and blank {self.blank.shape}"
            raise InvalidRequest(f"Frames need pts_seconds [N] and blank [N], not {shapes}.")

    @classmethod
    def from_blobs(cls, count: int, pts: bytes, vectors: bytes, cuts: bytes, blank: bytes) -> "Frames":
        """The frames of a stored span, as its row holds them."""
        rows = np.frombuffer(vectors, np.float16).reshape(count, -1 if count else 0)
        cut_seconds = np.frombuffer(cuts, np.float64)
        return cls(np.frombuffer(pts, np.float64), rows, cut_seconds, np.frombuffer(blank, np.bool_))

    def begin_before(self, first_seconds: float) -> bool:
        """Whether frames lie before the first picture is shown; a blank one at 0 and a cut tell of a gap there."""
        first = first_seconds - _ROUNDING_SECONDS
        has_gap = np.any(np.abs(self.cut_seconds - first_seconds) <= _ROUNDING_SECONDS)
        pts = self.pts_seconds[self.pts_seconds > 0] if has_gap else self.pts_seconds
        return bool(np.any(pts < first))

    def move(self, late_seconds: float, start: float, end: float) -> "Frames":
        """What lies in `[start, end)` once all times are so much later."""
        pts, cuts = self.pts_seconds + late_seconds, self.cut_seconds + late_seconds
        if late_seconds >= _LEAST_GAP_SECONDS:
            cuts = np.union1d(cuts, [late_seconds])
        inside = (pts >= start) & (pts < end)
        cuts = cuts[(cuts >= start) & (cuts < end)]
        return Frames(pts[inside], self.vectors[inside] if len(pts) else self.vectors, cuts, self.blank[inside])

    def make_gap(self, late_seconds: float) -> "Frames":
        """A blank frame at 0, so that nothing is found before the first of these; none where that comes soon.

        Its vector is the opposite of that one: of unit length, and like nothing there.
        """
        count = int(late_seconds >= _LEAST_GAP_SECONDS)
        return Frames(np.zeros(count), -self.vectors[:count], blank=np.ones(count, np.bool_))

    def to_blobs(self) -> tuple[int, bytes, bytes, bytes, bytes]:
        """The opposite of `from_blobs`."""
        return (
            len(self.vectors),
            self.pts_seconds.astype(np.float64).tobytes(),
            np.ascontiguousarray(self.vectors, dtype=np.float16).tobytes(),
            self.cut_seconds.astype(np.float64).tobytes(),
            self.blank.astype(np.bool_).tobytes(),
        )

    @classmethod
    def join(cls, pieces: list["Frames"]) -> "Frames":
        """The frames of consecutive spans as one; of none: empty arrays."""
        cuts = np.concatenate([_NO_CUTS, *(piece.cut_seconds for piece in pieces)])
        with_frames = [piece for piece in pieces if len(piece.pts_seconds)]
        if not with_frames:
            return cls(np.empty(0), np.empty((0, 0), np.float16), cuts)
        return cls(
            np.concatenate([piece.pts_seconds for piece in with_frames]),
            np.concatenate([piece.vectors for piece in with_frames]),
            cuts,
            np.concatenate([piece.blank for piece in with_frames]),
        )


def compute_checksum(video_id: str, start_seconds: float, end_seconds: float, count: int, *blobs: bytes) -> int:
    """The CRC-32 of a stored span: whose it is, when, and `Frames.to_blobs`. A changed byte is found by it."""
    checksum = zlib.crc32(repr((video_id, float(start_seconds), float(end_seconds), count)).encode())
    for blob in blobs:
        checksum = zlib.crc32(blob, checksum)
    return checksum


@dataclass(frozen=True)
class StoredSpan:
    span_id: int
    video_id: str
    frames: Frames


def list_shots(cut_seconds: npt.NDArray[np.float64], duration_seconds: float) -> list[tuple[float, float]]:
    """The `[start, end)` of every shot of a video with these cuts, ascending; without cuts one, the whole video."""
    inner = [cut for cut in cut_seconds.tolist() if 0 < cut < duration_seconds]
    return list(zip([0.0, *inner], [*inner, duration_seconds], strict=True))
