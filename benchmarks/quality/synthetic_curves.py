"""Made score curves over moments of realistic lengths: any number of them, with the exact truth.

Moments. `qvhighlights` follows what J. Lei et al. 2021 state about QVHighlights: videos of 150 s in clips of 2 s, 1.8
moments a query of 24.6 s on average, most shorter than that, on clip boundaries. Here: 1 to 5 moments with
probabilities .58, .22, .10, .06, .04, lengths log-normal with median 21 s and sigma 1 before those without room
are drawn again, which leaves 1.7 moments of 25 s (median 16 s) on average, rounded to clips, placed at random with 4
s or more between them. `short` resembles videos at one frame a second: 20 to 120 s long, 1 to 3 moments,
median 6 s and sigma 0.8, at most 40 s, at any time.

Curves. The video is cut into shots with exponential lengths, mean 6 s; 70 % of the moments' edges are cuts. A frame's
score is base + contrast * (presence + look + drift + noise). Presence is 1 in a moment; in three shots of ten outside
one it is what a resembling shot gets, uniform in 0 to .7. Look is normal for each shot (sigma .18), drift a slow sine
(amplitude up to .25), noise an AR(1) process (.6). A sample of `qvhighlights` is the mean of its clip. Base, contrast
(log-normal, sigma .3) and the range of the noise are those of `units.py`. The same case in other units has the same
moments, shots, looks and drift.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.cases import REPORT, TUNE, Case, calibrate_curve
from benchmarks.quality.units import Units
from clipseek.evaluation.measures import Moment
from executors.faiss_indexer.moments.curves import ScoreCurve

Floats = NDArray[np.float64]
_FINE_SECONDS = 0.1  # of the grid that presence is drawn on before it is sampled
_LEAST_GAP_SECONDS = 4.0
_CLEAN_STEPS = (0.25, 0.5, 0.5, 1.0, 1.0, 2.0)
_CLEAN_NOISES = (0.0, 0.0, 0.01, 0.03, 0.05)
_CLEAN_LOGIT_SCALE = 8.0  # the contrast of the other units in logits


@dataclass(frozen=True)
class Family:
    """How one kind of video is drawn; times in seconds."""

    name: str
    durations: tuple[float, float]
    step: float
    clip_means: bool
    count_shares: tuple[float, ...]
    median_length: float
    length_sigma: float
    longest: float
    grid: float


QVHIGHLIGHTS = Family("qvhighlights", (150, 150), 2.0, True, (0.58, 0.22, 0.10, 0.06, 0.04), 21.0, 1.0, 150.0, 2.0)
SHORT = Family("short", (20, 120), 1.0, False, (0.6, 0.25, 0.15), 6.0, 0.8, 40.0, _FINE_SECONDS)


def draw_cases(family: Family, units: Units, count: int, seed: int = 0) -> Iterator[Case]:
    """Draw cases; even ones are for tuning, odd ones for the report."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        split = (TUNE, REPORT)[number % 2]
        yield _case(family, units, f"{family.name} {number}", split, generator)


def _case(family: Family, units: Units, name: str, split: str, generator: np.random.Generator) -> Case:
    duration = float(np.round(generator.uniform(*family.durations)))
    moments = _moments(family, duration, generator)
    cuts = _cuts(duration, moments, generator)
    shots = list(zip([0.0, *cuts], [*cuts, duration], strict=True))
    grid = np.arange(_FINE_SECONDS / 2, duration, _FINE_SECONDS)
    presence = _presence(grid, moments, cuts, generator)
    samples, pts = _sampled(presence, family)
    contrast = units.contrast * generator.lognormal(0, 0.3)
    base = units.base * generator.lognormal(0, units.base_spread)
    scores = base + contrast * (samples + _drift(pts, duration, generator) + _noise(len(pts), units, generator))
    curve, unknown = ScoreCurve(pts, scores, duration), np.full(len(pts), units.unknown)
    calibrated = calibrate_curve(curve, units.base, units.contrast)  # the typical ones: those of this case are unknown
    return Case(name, curve, calibrated, shots, tuple(moments), split, unknown, units.logit_scale)


def _sampled(presence: Floats, family: Family) -> tuple[Floats, Floats]:
    """What each sample sees, and its time."""
    per_sample = round(family.step / _FINE_SECONDS)
    if not family.clip_means:
        instants: Floats = presence[::per_sample]
        return instants, np.arange(0.0, len(instants)) * family.step
    whole_clips = presence[: len(presence) // per_sample * per_sample].reshape(-1, per_sample)
    means: Floats = whole_clips.mean(axis=1)
    return means, np.arange(0.5, len(means)) * family.step


def _moments(family: Family, duration: float, generator: np.random.Generator) -> list[Moment]:
    count = 1 + int(generator.choice(len(family.count_shares), p=family.count_shares))
    moments: list[Moment] = []
    for _ in range(20 * count):  # without room another place and length is drawn
        length = family.median_length * generator.lognormal(0, family.length_sigma)
        length = float(np.clip(np.round(length / family.grid) * family.grid, max(1.0, family.grid), family.longest))
        length = min(length, duration)
        start = float(np.round(generator.uniform(0, duration - length) / family.grid) * family.grid)
        end = min(start + length, duration)
        gap = _LEAST_GAP_SECONDS
        if all(end + gap <= other[0] or start >= other[1] + gap for other in moments):
            moments.append((start, end))
        if len(moments) == count:
            break
    return sorted(moments)


def _cuts(duration: float, moments: list[Moment], generator: np.random.Generator) -> list[float]:
    lengths = generator.exponential(6.0, size=int(duration) + 10)
    cuts = {float(cut) for cut in np.cumsum(lengths) if cut < duration}
    for edge in (edge for moment in moments for edge in moment):
        if 0 < edge < duration and generator.random() < 0.7:
            cuts.add(float(edge))
    return sorted(cuts)


def _presence(grid: Floats, moments: list[Moment], cuts: list[float], generator: np.random.Generator) -> Floats:
    """Presence and look on the fine grid."""
    shot = np.searchsorted(np.array(cuts), grid)
    shots = len(cuts) + 1
    resembling = np.where(generator.random(shots) < 0.3, generator.uniform(0, 0.7, shots), 0.0)
    inside = np.zeros(len(grid), dtype=bool)
    for start, end in moments:
        inside |= (grid >= start) & (grid < end)
    looks: Floats = np.where(inside, 1.0, resembling[shot]) + generator.normal(0, 0.18, shots)[shot]
    return looks


def _drift(pts: Floats, duration: float, generator: np.random.Generator) -> Floats:
    amplitude, phase = generator.uniform(0, 0.25), generator.uniform(0, 2 * np.pi)
    drift: Floats = amplitude * np.sin(2 * np.pi * pts / duration + phase)
    return drift


def _noise(count: int, units: Units, generator: np.random.Generator) -> Floats:
    sigma, memory = generator.uniform(*units.noise), 0.6
    steps = generator.normal(0, sigma * np.sqrt(1 - memory**2), count)
    noise = np.empty(count, dtype=np.float64)
    last = float(generator.normal(0, sigma))
    for index in range(count):
        last = noise[index] = memory * last + steps[index]
    return noise


def draw_clean_cases(count: int, seed: int = 1) -> Iterator[Case]:
    """Draw curves of steps with little noise or none, whose moments any rule should find to the sample.

    A shot scores 1 in a moment and elsewhere 0, or at most .7; the scale is wrong by up to 30 %.

    Half have shots. All are TUNE.
    """
    generator = np.random.default_rng(seed)
    for number in range(count):
        yield _draw_clean_case(f"clean {number}", generator)


def _draw_clean_case(name: str, generator: np.random.Generator) -> Case:
    step = float(generator.choice(_CLEAN_STEPS))
    duration, shortest = float(generator.uniform(12, 90)) * max(step, 0.5), max(0.9, 1.5 * step)
    lengths = shortest + generator.exponential(np.exp(generator.uniform(0, np.log(15))), size=int(duration) + 10)
    bounds = [0.0, *(float(cut) for cut in np.cumsum(lengths) if cut < duration - shortest), duration]
    shots = list(itertools.pairwise(bounds))
    is_right = _choose_apart(len(shots), generator)
    others = generator.uniform(float(generator.choice([-1.5, -0.6, 0.0])), 0.7, len(shots))
    levels = np.where(is_right, 1.0, np.where(generator.random(len(shots)) < 0.4, others, 0.0))
    pts = np.arange(float(generator.choice([0.0, step / 2])), duration, step)
    noise = float(generator.choice(_CLEAN_NOISES)) * generator.normal(size=len(pts))
    scores = levels[np.searchsorted(bounds[1:-1], pts, side="right")] + noise
    curve = ScoreCurve(pts, scores * generator.uniform(0.7, 1.3) + generator.uniform(-0.15, 0.15), duration)
    moments = tuple(shot for shot, right in zip(shots, is_right, strict=True) if right)
    known = shots if generator.random() < 0.5 else []
    return Case(name, curve, curve, known, moments, TUNE, np.zeros(len(pts)), _CLEAN_LOGIT_SCALE)


def _choose_apart(count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """One to three of so many shots, no two side by side, at most a third of them."""
    chosen = np.zeros(count, dtype=bool)
    wanted = min(int(generator.integers(1, 4)), max(1, count // 3))
    for place in generator.permutation(count)[:wanted].tolist():
        chosen[place] = not chosen[max(0, place - 1) : place + 2].any()
    return chosen
