"""Real score curves with moments that people labelled: `python -m benchmarks.quality --curves FILE`, JSON lines.

A line has `duration`, `scores` (of clips of 2 s, by any model), `moments` (`[start, end)` each), and `split`, "tune" or
"report". The files that docs/quality.md measures were made from QVHighlights and are not part of this repository.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.quality.cases import TUNE, Case, Label, calibrate_curve, parse_label
from benchmarks.quality.units import MOMENT_DETR
from executors.faiss_indexer.moments.curves import ScoreCurve

REAL = "real curves"  # the title of their set
_CLIP_SECONDS = 2.0


def read_curves(path: Path) -> list[Case]:
    """Read the curves of a file, calibrated by the median scores outside and inside of the moments of its tune half, or
    as in `units.py` if it has none. Baselines read calibrated scores too: these models' zero means nothing.

    Raises: ValueError: a line has no curve; the message has its number.
    """
    read = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            read.append(_read_line(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} line {number} is not a curve with moments: {error!r}") from error
    background, contrast = _find_scale(read)
    cases = []
    for number, (label, plain) in enumerate(read, start=1):
        curve, unknown = calibrate_curve(plain, background, contrast), np.zeros(len(plain.scores))
        name, logit_scale = f"{path.stem} {number}", MOMENT_DETR.logit_scale * contrast
        cases.append(Case(name, curve, curve, (), label.moments, label.split, unknown, logit_scale))
    return cases


def _read_line(row: dict[str, object]) -> tuple[Label, ScoreCurve]:
    label = parse_label({"video": None, "query": "", **row})
    duration, scores = float(str(row["duration"])), np.array(row["scores"], dtype=np.float64)
    pts = (np.arange(len(scores), dtype=np.float64) + 0.5) * _CLIP_SECONDS
    inside = pts < duration
    if not inside.any() or not label.moments:
        raise ValueError("it needs scores and moments")
    return label, ScoreCurve(pts[inside], scores[inside], duration)


def _find_scale(read: list[tuple[Label, ScoreCurve]]) -> tuple[float, float]:
    inside, outside = [], []
    for label, curve in read:
        if label.split == TUNE:
            true = np.zeros(len(curve.scores), dtype=bool)
            for start, end in label.moments:
                true |= (curve.pts_seconds >= start) & (curve.pts_seconds < end)
            inside.append(curve.scores[true])
            outside.append(curve.scores[~true])
    if not inside:
        return MOMENT_DETR.base, MOMENT_DETR.contrast
    background = float(np.median(np.concatenate(outside)))
    return background, float(np.median(np.concatenate(inside))) - background
