"""The measures against values computed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipseek.evaluation.measures import (
    FALSE_ALARMS,
    MAP_IOUS,
    Answer,
    average_precision,
    bootstrap,
    evaluate,
    false_alarm,
    first_iou,
    iou,
    mean_average_precision,
    recall_at_1,
)


@pytest.mark.parametrize(
    "one, other, value",
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (5, 15), 5 / 15),
        ((0, 10), (2, 4), 0.2),
        ((0, 10), (10, 20), 0.0),
        ((0, 1), (3, 4), 0.0),
        ((2, 2), (2, 2), 0.0),
    ],
)
def test_iou(one, other, value):
    assert iou(one, other) == pytest.approx(value)
    assert iou(other, one) == pytest.approx(value)


def test_recall_looks_at_the_first_prediction_and_the_true_moment_that_fits_it_best():
    answer = Answer(predicted=[(0, 6), (20, 30)], true=[(20, 30), (0, 10)])
    assert first_iou(answer) == pytest.approx(0.6)
    assert [recall_at_1(answer, least) for least in (0.3, 0.5, 0.6, 0.7)] == [1, 1, 1, 0]
    assert first_iou(Answer([], [(0, 1)])) == 0.0


def test_average_precision_by_hand():
    true = [(0, 10), (20, 30)]
    # wrong, right, right: precision 0, 1/2, 2/3; interpolated 2/3 at both recalls
    assert average_precision(Answer([(50, 60), (0, 10), (20, 30)], true), 0.5) == pytest.approx(2 / 3)
    # right, wrong, right: 1 at recall 1/2, 2/3 at recall 1
    assert average_precision(Answer([(0, 10), (50, 60), (20, 30)], true), 0.5) == pytest.approx((1 + 2 / 3) / 2)
    # the same moment twice counts once
    assert average_precision(Answer([(0, 10), (0, 10)], true), 0.5) == pytest.approx(0.5)
    # one prediction of IoU .6 for one moment: right up to .6
    assert average_precision(Answer([(0, 6)], [(0, 10)]), 0.6) == 1.0
    assert average_precision(Answer([(0, 6)], [(0, 10)]), 0.65) == 0.0
    assert average_precision(Answer([], true), 0.5) == 0.0


def test_map_is_the_mean_over_ten_ious():
    assert MAP_IOUS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert mean_average_precision(Answer([(0, 6.2)], [(0, 10)])) == pytest.approx(0.3)
    assert mean_average_precision(Answer([(0, 10)], [(0, 10)])) == pytest.approx(1.0)


def test_a_false_alarm_is_anything_found_where_nothing_is_true():
    assert [false_alarm(Answer(*a)) for a in (([(0, 1)], []), ([], []), ([(0, 1)], [(5, 6)]))] == [1.0, 0.0, 0.0]


def test_evaluate_keeps_queries_with_and_without_truth_apart():
    values = evaluate([Answer([(0, 6)], [(0, 10)]), Answer([], [(0, 10)]), Answer([(0, 1)], []), Answer([], [])])
    assert values["R1@.5"].tolist() == [1.0, 0.0]
    assert values["mIoU"].tolist() == [pytest.approx(0.6), 0.0]
    assert values[FALSE_ALARMS].tolist() == [1.0, 0.0]


def test_bootstrap_holds_the_mean_and_is_reproducible():
    values = np.array([0.0] * 30 + [1.0] * 70)
    made = bootstrap(values)
    assert made.mean == 0.7
    # the normal approximation gives .7 -+ 1.96 sqrt(.7 * .3 / 100)
    assert (made.low, made.high) == (pytest.approx(0.61, abs=0.02), pytest.approx(0.79, abs=0.02))
    assert made == bootstrap(values)
    with pytest.raises(ValueError, match="at least one query"):
        bootstrap(np.array([]))


moments = st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 50)).map(lambda m: (m[0], m[0] + m[1])), max_size=6)


@given(moments, moments.filter(bool))
def test_measures_lie_between_0_and_1_and_fall_with_the_iou(predicted, true):
    answer = Answer(predicted, true)
    values = [average_precision(answer, least) for least in MAP_IOUS]
    assert all(0 <= value <= 1 for value in values)
    assert mean_average_precision(answer) == pytest.approx(np.mean(values))
    assert mean_average_precision(Answer(true, true)) <= 1.0
    assert average_precision(Answer(predicted, true), 0.5) >= recall_at_1(answer, 0.5) / len(true)
