"""From cosines to relevance, which is comparable between queries, videos and models, and from there to scores.

Relevance is linear in the cosine: 0 is what frames get that have nothing to do with a part of a query, 1 what a right
frame gets, and matches begin at `MATCHES_BEGIN`. Where 0 and 1 lie on the cosines differs from text to text:

- The text encoder sends a `ScoreScale` with each text. It may lie above the text's background, the mean cosine that the
  library's frames have with it. A library about a single thing has a high background for the name of that thing. So
  the background counts only as far as it is close to that of neutral phrases. Where a model's cosines vary from frame
  to frame, the best of many unrelated frames reaches far above the background. `Relevance.find_noise` says how far, so
  that short matches are not taken for more than they are.
- A picture (an image, or a moment of a video) is compared with pictures: 0 is the background, 1 lies `_ALIKE` of the
  way from there to the picture itself.

Scores are relevances on a logistic curve, `1 / (1 + exp(-5 (relevance - MATCHES_BEGIN)))`: in (0, 1), 0.5 where matches
begin, 0.82 at relevance 1. `fitted_shift` moves that point for one library, see `Library.calibrate`; relevance, and
with it where moments are found, stays as it is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clipseek.api.score_scale import CUT_OFF, MATCHES_BEGIN
from executors.faiss_indexer.ranking.queries import Part

Floats = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]

_STEEPNESS = 5.0
# How far a text's background may lie from that of neutral phrases, as a share of the way from relevance 0 to 1.
_MOST_BACKGROUND = 1 / 3
# Measured on 18 videos with the starter model: frames of other videos that show the same kind of thing (5 toys on a
# table) lie half-way on the median. Those of other things lie at .03, 95 in 100 of them below .37. So matches begin at
# .42.
_ALIKE = 0.6
_LEAST_RANGE = 0.05  # of cosines from a picture's background to the picture: a still video has none
# A lower shift would show matches that the model's own scale withholds with reason, a higher one hides right frames.
_SHIFT_BOUNDS = (-0.2, 0.3)
_ROUNDING = 1e-6  # of relevance, between two searches for the same phrase


class Relevance:
    """How well frames of one library fit the parts of a query.

    Args:
        mean_frame: returns the mean of the library's vectors, float32 [D], not of unit length; called whenever it is
            needed.
        fitted_shift: how much relevance this library's matches need beyond MATCHES_BEGIN.
    """

    cut_off = CUT_OFF

    def __init__(self, mean_frame: Callable[[], Vector], fitted_shift: float = 0.0) -> None:
        self._mean_frame = mean_frame
        self.fitted_shift = fitted_shift

    def judge(self, frames: Vector, parts: Sequence[Part]) -> Floats:
        """How well frames fit a query: the weighted mean of what to look for, less what to avoid where it is seen:

            sum(w * relevance for w > 0) / sum(w for w > 0)  -  sum(|w| * max(0, relevance) for w < 0)

        Args:
            frames: float32 [N, D], unit rows.
            parts: at least one weight is above 0.

        Returns: float64 [N].
        """
        vector, offset = self.combine(parts)
        scores = (frames @ vector).astype(np.float64) + offset
        for part in parts:
            if part.weight < 0:
                avoided, zero = self.combine([replace(part, weight=1.0)])
                scores += part.weight * np.maximum(0.0, (frames @ avoided).astype(np.float64) + zero)
        return scores

    def combine(self, parts: Sequence[Part]) -> tuple[Vector, float]:
        """What to look for as one vector, float32 [D], and an offset: `frame @ vector + offset` is the weighted mean of
        a frame's relevances. `judge` never gives a frame more. Parts with negative weights are left out.
        """
        looked_for = [part for part in parts if part.weight > 0]
        total = sum(part.weight for part in looked_for)
        vector, offset = np.zeros_like(looked_for[0].vector), 0.0
        for part in looked_for:
            zero, one = self.find_scale(part)
            weight = part.weight / total / (one - zero)
            vector += np.float32(weight) * part.vector
            offset -= weight * zero
        return vector, offset

    def find_scale(self, part: Part) -> tuple[float, float]:
        """The cosines of relevance 0 and 1, before any shift."""
        mean_frame = self._mean_frame()
        if mean_frame.shape != part.vector.shape:  # an empty library
            mean_frame = np.zeros_like(part.vector)
        background, scale = float(mean_frame @ part.vector), part.scale  # the mean cosine of the frames
        if scale is None:
            return background, background + _ALIKE * max(1.0 - background, _LEAST_RANGE)
        if not scale.above_background:
            return scale.zero, scale.one
        if part.mean_phrase is not None:
            neutral, most = float(mean_frame @ part.mean_phrase), _MOST_BACKGROUND * (scale.one - scale.zero)
            background = float(np.clip(background, neutral - most, neutral + most))
        return scale.zero + background, scale.one + background

    def find_noise(self, parts: Sequence[Part]) -> float:
        """How far above 0 the best unrelated frame of the library comes by chance: that of what to look for, weighted
        as in `combine`.
        """
        total, noise = 0.0, 0.0
        for part in (part for part in parts if part.weight > 0):
            zero, one = self.find_scale(part)
            total += part.weight
            noise += part.weight * (part.noise or 0.0) / (one - zero)
        return noise / total

    def score(self, relevance: Floats) -> Floats:
        """Turn relevances, or their means, into scores in (0, 1); the order stays."""
        return 1 / (1 + np.exp(-_STEEPNESS * (relevance - self.fitted_shift - MATCHES_BEGIN)))

    def find_least(self, score: float) -> float:
        """The relevance that gets this score, which is in [0, 1]: the inverse of `score`."""
        if not 0 < score < 1:
            return math.inf if score >= 1 else -math.inf
        return MATCHES_BEGIN + self.fitted_shift + math.log(score / (1 - score)) / _STEEPNESS


@dataclass(frozen=True)
class Calibrated:
    """The fitted shift of relevance, the number of neutral phrases, and how many were and are answered.

    `at_bound`: more of them are answered than wanted, because the shift may not go further.
    """

    shift: float
    phrase_count: int
    answered_before: int
    answered: int
    at_bound: bool = False


def fit_shift(best: Floats, shift_before: float, answered_share: float) -> Calibrated:
    """Find the shift with which at most a share of neutral phrases is answered.

    Args:
        best: float64 [phrases], the relevance of each one's best match; -inf in an empty library.
    """
    allowed = min(int(answered_share * len(best) + _ROUNDING), len(best) - 1)
    shift = 0.0
    if np.isfinite(best).all():
        above_the_others = float(np.sort(best)[::-1][allowed]) + _ROUNDING  # a share of few or of equal phrases
        shift = max(float(np.quantile(best, 1 - answered_share)), above_the_others) - MATCHES_BEGIN
    shift = float(np.clip(shift, *_SHIFT_BOUNDS))
    answered_before, answered = (int((best - bound - MATCHES_BEGIN >= 0).sum()) for bound in (shift_before, shift))
    return Calibrated(shift, len(best), answered_before, answered, at_bound=answered > allowed)
