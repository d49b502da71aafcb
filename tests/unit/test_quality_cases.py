"""The labels and the made curves that quality is measured on."""

import itertools

import numpy as np
import pytest

from benchmarks.quality.cases import LABELS, REPORT, TUNE, read_labels
from benchmarks.quality.synthetic_curves import QVHIGHLIGHTS, SHORT, draw_cases
from benchmarks.quality.units import STARTER


def test_the_labels_are_whole_and_halved_for_each_video():
    labels = read_labels(LABELS / "moments.jsonl")
    assert len(labels) == 84
    for video in {label.video for label in labels}:
        splits = [label.split for label in labels if label.video == video]
        assert abs(splits.count(TUNE) - splits.count(REPORT)) <= 1
    assert all(label.moments for label in labels)
    assert len({(label.video, label.query) for label in labels}) == len(labels)


def test_thirty_queries_match_nothing():
    labels = read_labels(LABELS / "no_match.jsonl")
    assert len({label.query for label in labels}) == 30
    assert {(label.video, label.moments) for label in labels} == {(None, ())}


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", "line 2"),
        ('{"video": "a.mp4", "query": "b", "moments": [[3, 2]], "split": "tune"}', "order of time"),
        ('{"video": "a.mp4", "query": "b", "moments": [[1, 2], [1.5, 3]], "split": "tune"}', "order of time"),
        ('{"video": "a.mp4", "query": "b", "moments": [], "split": "both"}', "split must be"),
        ('{"video": 3, "query": "b", "moments": [], "split": "tune"}', "video must be"),
        ('{"query": "b", "moments": [], "split": "tune"}', "'video'"),
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path, line, message):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"video": null, "query": "b", "moments": [], "split": "tune"}\n' + line + "\n")
    with pytest.raises(ValueError, match=rf"line 2 .*{message}" if message != "line 2" else message):
        read_labels(path)


@pytest.mark.parametrize("family", [QVHIGHLIGHTS, SHORT], ids=lambda family: family.name)
def test_made_curves_are_reproducible_and_consistent(family):
    cases = list(draw_cases(family, STARTER, 40))
    again = list(draw_cases(family, STARTER, 40))
    for case, same in zip(cases, again, strict=True):
        assert case.moments == same.moments
        assert np.array_equal(case.curve.scores, same.curve.scores)
        bounds = [0.0, *itertools.chain.from_iterable(case.moments), case.curve.duration_seconds]
        assert bounds == sorted(bounds)
        assert case.shots[0][0] == 0.0
        assert case.shots[-1][1] == case.curve.duration_seconds
        assert all(a[1] == b[0] for a, b in itertools.pairwise(case.shots))
        assert 0 <= case.curve.pts_seconds[0] < case.curve.pts_seconds[-1] < case.curve.duration_seconds


def test_moments_are_as_long_as_stated():
    lengths = [b - a for case in draw_cases(QVHIGHLIGHTS, STARTER, 1000) for a, b in case.moments]
    assert np.mean(lengths) == pytest.approx(25, abs=1.5)
    assert np.median(lengths) == pytest.approx(16, abs=2)
    assert len(lengths) / 1000 == pytest.approx(1.7, abs=0.1)
