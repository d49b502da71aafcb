"""How the cosines of a query with frames become scores."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Relevance:
    """Scores that are the cosines themselves, those below 0 counted as 0.

    Attributes:
        cut_off: the score, in [0, 1], below which matches are withheld.
    """

    cut_off = 0.0

    def curve(self, frames: npt.NDArray[np.float32], vector: npt.NDArray[np.float32]) -> Floats:
        """How well each frame fits a query, linear in the cosine.

        Args:
            frames: float32 [N, D], unit rows.
            vector: float32 [D], unit length.

        Returns: float64 [N].
        """
        return (frames @ vector).astype(np.float64)

    def score(self, values: Floats) -> Floats:
        """Values of curves, or means of them, as scores in [0, 1]; never falls where the values rise."""
        return np.clip(values, 0.0, 1.0)
