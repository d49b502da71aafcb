"""What is measured: a score curve of one video for one query, and the true moments."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clipseek.evaluation.measures import Moment
from executors.faiss_indexer.moments.curves import ScoreCurve
from executors.faiss_indexer.moments.shots import Floats

LABELS = Path(__file__).parent / "labels"
TUNE, REPORT = "tune", "report"
LANGUAGES = {"en": "query", "zh": "zh"}  # the field of a label file that holds the query


@dataclass(frozen=True)
class Label:
    """One line of a label file, see labels/README.md. `video` is None where the query is about all videos."""

    video: str | None
    query: str
    moments: tuple[Moment, ...]
    split: str


@dataclass(frozen=True)
class Case:
    """A curve with the truth about it.

    Attributes:
        curve: plain cosines, which simple tools read.
        calibrated: what strategies read, see `calibrate_curve`.
        shots: of the video.
        moments: the moments that the query describes; none: no match is right.
        split: the half, TUNE or REPORT.
        unknown: float64 [N], the frames' cosines with the word "unknown"; VCED's rule reads it.
        logit_scale: multiplies cosines before a softmax; VCED's rule reads it.
    """

    name: str
    curve: ScoreCurve
    calibrated: ScoreCurve
    shots: Sequence[tuple[float, float]]
    moments: tuple[Moment, ...]
    split: str
    unknown: Floats
    logit_scale: float


def calibrate_curve(curve: ScoreCurve, background: float, contrast: float) -> ScoreCurve:
    """Scale cosines such that 0 is the query's background and 1 what a right frame of this kind of model gets."""
    return replace(curve, scores=(curve.scores - background) / contrast)


def read_queries(everyday: bool = False, language: str = "en") -> tuple[list[Label], list[Label]]:
    """Read the label files. Returns: the true queries, and those that nothing matches."""
    kind = "everyday_" if everyday else ""
    true, absurd = (read_labels(LABELS / f"{kind}{name}.jsonl", language) for name in ("moments", "no_match"))
    return true, absurd


def read_labels(path: Path, language: str = "en") -> list[Label]:
    """Read a file of JSON lines, its queries in one of LANGUAGES.

    Raises:
        ValueError: a line is not a label; the message has its number.
    """
    labels = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            labels.append(parse_label(json.loads(line), language))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} line {number} is not a label: {error!r}") from error
    return labels


def parse_label(row: dict[str, object], language: str = "en") -> Label:
    """One line of a label file. Raises: KeyError, TypeError, ValueError: it is not a label."""
    video, query, moments, split = row["video"], row[LANGUAGES[language]], row["moments"], row["split"]
    if not (video is None or isinstance(video, str)) or not isinstance(query, str) or not isinstance(moments, list):
        raise TypeError("video must be a text or null, query a text, moments a list")
    pairs = tuple((float(start), float(end)) for start, end in moments)
    ends = [0.0, *(value for pair in pairs for value in pair)]
    if ends != sorted(ends) or any(start == end for start, end in pairs):
        raise ValueError(f"moments must be [start, end) in order of time, apart, but are {moments}")
    if split not in (TUNE, REPORT):
        raise ValueError(f"split must be {TUNE} or {REPORT}, but is {split!r}")
    return Label(video, query, pairs, str(split))
