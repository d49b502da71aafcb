"""Segments, scores and ranking stay as they were: the answers are in `answers/`, with every digit.

Those of `hysteresis` are version 0.1's; those of `consensus` and of all searches are version 0.2's.

A change that is meant to alter them writes the file again: `python -m tests.unit.faiss_indexer.test_frozen_answers`.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from clipseek.api.score_scale import ScoreScale
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.moments.curves import ScoreCurve, Segment
from executors.faiss_indexer.moments.segments import TUNED, find_segments
from executors.faiss_indexer.ranking.matches import find_matches
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.records import Frames
from tests.unit.faiss_indexer.test_store import MODEL, video

ANSWERS = Path(__file__).parent / "answers" / "frozen.json"
STRATEGIES = ("consensus", "hysteresis")
DIMENSIONS = 16
Shots = list[tuple[float, float]]


def make_curve(seed: int) -> tuple[ScoreCurve, Shots]:
    """A calibrated curve: one to four moments above noise, and shots; every fourth video has no cuts."""
    random = np.random.default_rng(seed)
    count = int(random.integers(20, 240))
    pts_seconds = np.cumsum(random.uniform(0.4, 1.2, count)) - 0.4
    scores = 0.15 * random.standard_normal(count)
    for _ in range(int(random.integers(1, 5))):
        first, length = int(random.integers(0, count - 5)), int(random.integers(3, 30))
        scores[first : first + length] += random.uniform(0.4, 1.1)
    duration_seconds = float(pts_seconds[-1]) + 0.7
    cuts = np.sort(random.uniform(1.0, duration_seconds - 1.0, 0 if seed % 4 == 0 else 8)).tolist()
    return ScoreCurve(pts_seconds, scores, duration_seconds), list(
        zip([0.0, *cuts], [*cuts, duration_seconds], strict=True)
    )


def as_rows(segments: list[Segment]) -> list[list[float]]:
    return [[s.start_seconds, s.end_seconds, s.score, s.peak_seconds] for s in segments]


def answer_curve(seed: int) -> dict[str, list[list[float]]]:
    """What each strategy finds in a curve, and what a search with lengths and padding makes of it."""
    curve, shots = make_curve(seed)
    answers = {name: as_rows(find_segments(curve, TUNED[name], shots)) for name in STRATEGIES}
    inside = (curve.pts_seconds >= 3.0) & (curve.pts_seconds < 40.0)
    part = ScoreCurve(curve.pts_seconds[inside], curve.scores[inside], curve.duration_seconds)
    end_seconds = min(40.0, curve.duration_seconds)
    for name in STRATEGIES:
        options = SearchOptions(
            strategy=name, padding_seconds=1.25, minimum_seconds=2.0, maximum_seconds=9.0, per_video=3
        )
        answers[f"search by {name}"] = as_rows(find_matches(part, shots, (3.0, end_seconds), options))
    return answers


def unit_vectors(random: np.random.Generator, count: int) -> np.ndarray:
    vectors = random.standard_normal((count, DIMENSIONS))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fill(library: Library) -> None:
    """Eight videos of 75 frames in three spans; their scenes change every few frames."""
    random = np.random.default_rng(20)
    scenes = unit_vectors(random, 12)
    for number in range(8):
        video_id = f"{number:064x}"
        library.register(video(video_id, duration_seconds=75.0), MODEL)
        scene = np.repeat(random.integers(0, 12, 25), 3)
        vectors = scenes[scene] + 0.4 * unit_vectors(random, 75)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        pts_seconds = np.arange(75, dtype=float) + 0.25
        for start in (0, 30, 60):
            at = slice(start, min(start + 30, 75))
            cuts = pts_seconds[at][np.diff(scene[at], prepend=scene[start]) != 0] - 0.1
            frames = Frames(pts_seconds[at], vectors[at].astype(np.float16), cuts)
            library.put_span(video_id, (float(start), float(min(start + 30, 75))), frames, MODEL)


def answer_queries() -> list[list[list[object]]]:
    """The pages of five queries: a text, a text and what to avoid, a moment, a range of time, grouped by video."""
    first, second = unit_vectors(np.random.default_rng(20), 2).astype(np.float32)
    scale = ScoreScale(0.1, 0.9, above_background=True)
    text = Part(first, scale=scale)
    with tempfile.TemporaryDirectory() as folder, Library(Path(folder)) as library:
        fill(library)
        queries = [
            ([text], SearchOptions(top_k=6)),
            ([text, Part(second, weight=-0.5, scale=scale)], SearchOptions(top_k=6, all_matches=True)),
            ([library.moment(f"{3:064x}", 20.0)], SearchOptions(top_k=6)),
            ([text], SearchOptions(top_k=6, start_seconds=10.0, end_seconds=50.0, padding_seconds=0.5)),
            ([text], SearchOptions(top_k=3, offset=1, group_by_video=True, maximum_seconds=5.0)),
        ]
        return [
            [
                [m.video.video_id, m.score, m.segment.start_seconds, m.segment.end_seconds, m.segment.peak_seconds]
                for m in library.search(parts, options).matches
            ]
            for parts, options in queries
        ]


@pytest.mark.parametrize("seed", range(20))
def test_a_curve_has_the_same_segments_as_before(seed):
    frozen = json.loads(ANSWERS.read_text())["curves"][seed]
    answers = answer_curve(seed)
    assert answers.keys() == frozen.keys()
    for name, rows in answers.items():
        assert len(rows) == len(frozen[name]), name
        for row, frozen_row in zip(rows, frozen[name], strict=True):
            assert row == pytest.approx(frozen_row, rel=1e-9, abs=1e-9), name


def test_queries_have_the_frozen_answers():
    frozen = json.loads(ANSWERS.read_text())["queries"]
    pages = answer_queries()
    assert [len(page) for page in pages] == [len(page) for page in frozen]
    for page, frozen_page in zip(pages, frozen, strict=True):
        assert [match[0] for match in page] == [match[0] for match in frozen_page]
        for match, frozen_match in zip(page, frozen_page, strict=True):
            assert match[1:] == pytest.approx(frozen_match[1:], rel=1e-5)


if __name__ == "__main__":
    curves = ",\n".join(json.dumps(answer_curve(seed)) for seed in range(20))
    queries = ",\n".join(json.dumps(page) for page in answer_queries())
    ANSWERS.write_text(f'{{"curves": [\n{curves}\n], "queries": [\n{queries}\n]}}\n')
