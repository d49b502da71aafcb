"""Where matches begin in a library, fitted to what neutral phrases find there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipseek.api.score_scale import MATCHES_BEGIN

# Less would let through what the model's own scale withholds for good reason, more would hide right frames.
_SHIFT_BOUNDS = (-0.2, 0.3)


@dataclass(frozen=True)
class Calibrated:
    """The shift of relevance that a calibration found, and how many of so many phrases were and are answered."""

    shift: float
    phrase_count: int
    answered_before: int
    answered: int


def calibrated(best: npt.NDArray[np.float64], before: float, answered_share: float) -> Calibrated:
    """The shift with which no more than a share of neutral phrases is answered.

    Args:
        best: float64 [phrases], the relevance of each one's best match, without any shift; -inf in an empty library.
        before: the shift until now.
    """
    shift = float(np.quantile(best, 1 - answered_share)) - MATCHES_BEGIN if np.isfinite(best).all() else 0.0
    shift = float(np.clip(shift, *_SHIFT_BOUNDS))
    answered = [int((best > MATCHES_BEGIN + each).sum()) for each in (before, shift)]
    return Calibrated(shift, len(best), answered[0], answered[1])
