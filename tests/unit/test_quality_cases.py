"""The labels and the made curves that quality is measured on."""

import itertools
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.cases import LABELS, LANGUAGES, REPORT, TUNE, read_labels, read_queries
from benchmarks.quality.synthetic_curves import QVHIGHLIGHTS, SHORT, draw_cases
from benchmarks.quality.units import STARTER
from benchmarks.quality.video_facts import MONTAGE

LENGTHS = {row["video"]: row["seconds"] for row in map(json.loads, (LABELS / "lengths.jsonl").read_text().splitlines())}


@pytest.mark.parametrize("everyday, count", [(False, 84), (True, 100)])
def test_the_labels_are_whole_and_halved_for_each_video(everyday, count):
    labels, _ = read_queries(everyday)
    assert len(labels) == count
    assert {label.video for label in labels} == set(LENGTHS) - ({MONTAGE} if everyday else set())
    for video in LENGTHS:
        splits = [label.split for label in labels if label.video == video]
        assert abs(splits.count(TUNE) - splits.count(REPORT)) <= 1


@pytest.mark.parametrize("everyday", [False, True])
def test_every_moment_lies_inside_its_video(everyday):
    labels, _ = read_queries(everyday)
    assert all(label.moments for label in labels)
    assert [label for label in labels if label.moments[-1][1] > LENGTHS[label.video]] == []


@pytest.mark.parametrize("everyday", [False, True])
def test_thirty_queries_match_nothing(everyday):
    _, absurd = read_queries(everyday)
    assert len(absurd) == 30
    assert {(label.video, label.moments) for label in absurd} == {(None, ())}


@pytest.mark.parametrize("everyday", [False, True])
def test_the_two_halves_are_equally_long(everyday):
    for labels in read_queries(everyday):
        splits = [label.split for label in labels]
        assert splits.count(TUNE) == splits.count(REPORT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_query_is_there_twice(language):
    labels = [label for everyday in (False, True) for part in read_queries(everyday, language) for label in part]
    keys = [(label.video, label.query.strip().lower()) for label in labels]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_every_query_is_in_english_and_in_chinese():
    for everyday in (False, True):
        for english, chinese in zip(read_queries(everyday, "en"), read_queries(everyday, "zh"), strict=True):
            assert all(label.query.isascii() and label.query.strip() for label in english)
            assert [label.query for label in chinese if not re.search("[\u4e00-\u9fff]", label.query)] == []
            assert [replace(label, query="") for label in english] == [replace(label, query="") for label in chinese]


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
