"""Where matches begin in a library, fitted to how well neutral phrases match in it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipseek.api.score_scale import MATCHES_BEGIN

# A lower shift would show matches that the model's own scale withholds with reason, a higher one hides right frames.
_SHIFT_BOUNDS = (-0.2, 0.3)


@dataclass(frozen=True)
class Calibrated:
    """The fitted shift of relevance, the number of neutral phrases, and how many were and are answered."""

    shift: float
    phrase_count: int
    answered_before: int
    answered: int


def fit_shift(best: npt.NDArray[np.float64], shift_before: float, answered_share: float) -> Calibrated:
    """Find the shift with which at most a share of neutral phrases is answered.

    Args:
        best: float64 [phrases], the relevance of each one's best match, without any shift; -inf in an empty library.
    """
    shift = float(np.quantile(best, 1 - answered_share)) - MATCHES_BEGIN if np.isfinite(best).all() else 0.0
    shift = float(np.clip(shift, *_SHIFT_BOUNDS))
    answered_before, answered = (int((best > MATCHES_BEGIN + bound).sum()) for bound in (shift_before, shift))
    return Calibrated(shift, len(best), answered_before, answered)
