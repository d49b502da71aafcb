"""Score curves for tests."""

import itertools

import numpy as np
from hypothesis import strategies as st

from executors.faiss_indexer.moments.curves import ScoreCurve, Segment


def curve(scores, duration=None, pts=None) -> ScoreCurve:
    """A curve with a sample a second, unless pts are given."""
    times = np.arange(len(scores), dtype=float) if pts is None else np.array(pts, dtype=float)
    return ScoreCurve(times, np.array(scores, dtype=float), float(len(scores)) if duration is None else duration)


def edges(segments: list[Segment]) -> list[tuple[float, float]]:
    return [(s.start_seconds, s.end_seconds) for s in segments]


@st.composite
def curves(draw: st.DrawFn, scores: st.SearchStrategy[float] | None = None, most_samples: int = 60) -> ScoreCurve:
    """Any curve: uneven samples, scores on both sides of 0, many of them equal half of the time."""
    gaps = draw(st.lists(st.floats(0.01, 20.0), min_size=1, max_size=most_samples))
    pts = np.cumsum(gaps) - (gaps[0] if draw(st.booleans()) else 0)
    plain = st.floats(-1, 2) if draw(st.booleans()) else st.sampled_from([-0.5, 0.0, 0.25, 0.3, 1.0])
    some = plain if scores is None else scores
    values = draw(st.lists(some, min_size=len(gaps), max_size=len(gaps)))
    return curve(values, duration=float(pts[-1]) + draw(st.floats(0.001, 5.0)), pts=pts)


@st.composite
def shots_of(draw: st.DrawFn, made: ScoreCurve) -> list[tuple[float, float]]:
    """Any shots of a curve's video; cuts fall on samples, too."""
    duration = made.duration_seconds
    cuts = draw(st.lists(st.floats(0.001, duration) | st.sampled_from(made.pts_seconds.tolist()), max_size=8))
    return list(itertools.pairwise([0.0, *sorted({cut for cut in cuts if 0 < cut < duration}), duration]))


def are_neighbours(made, one, other):
    """Whether no sample lies between two times."""
    inside = (made.pts_seconds > min(one, other)) & (made.pts_seconds < max(one, other))
    return not inside.any()
