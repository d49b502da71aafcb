"""How far the cosines of unrelated frames spread, and how high the best of many such frames comes by chance."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

# Of the queries that fit nothing, the share that a frame answers by chance.
_CHANCE = 0.04
_STANDARD = NormalDist()
_LOWER = 100 * _STANDARD.cdf(-1.0)  # the percentile one standard deviation below the median


@dataclass(frozen=True)
class FrameSample:
    """Some of a library's frames, taken at random.

    Attributes:
        vectors: float32 [M, D], unit rows.
        frame_count: how many frames the library has.
    """

    vectors: Vectors
    frame_count: int

    def cosines(self, text: Vectors) -> Vectors:
        """float32 [M], with a text, float32 [D], of unit length; [0] in an empty library."""
        return self.vectors @ text if self.vectors.shape[1:] == text.shape else np.empty(0, np.float32)


def measure_noise(cosines: Vectors, frame_count: int) -> float:
    """How far above their background unrelated frames come by chance, as a cosine; 0 in an empty library.

    The spread is measured below the median, because right frames lie above it. The best of n values of a normal
    distribution exceeds its quantile 1 - chance / n about as often as `chance` says.

    Args:
        cosines: float32 [M], of a text with some of the library's frames.
        frame_count: how many frames the library has.
    """
    if not len(cosines):
        return 0.0
    lower, median = np.percentile(cosines, [_LOWER, 50])
    return float(median - lower) * _STANDARD.inv_cdf(1 - _CHANCE / max(frame_count, 1))


NO_FRAMES = FrameSample(np.empty((0, 0), np.float32), 0)
