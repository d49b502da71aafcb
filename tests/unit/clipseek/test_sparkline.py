"""A curve drawn with characters, line by line."""

import numpy as np
import pytest

from clipseek.api.documents import Match
from clipseek.cli.sparkline import ASCII, BLOCKS, characters_for, column_scores, draw


def match(start_seconds: float, end_seconds: float, peak_seconds: float) -> Match:
    return Match(start_seconds=start_seconds, end_seconds=end_seconds, peak_seconds=peak_seconds)


def test_a_curve_with_its_cut_off_matches_and_times():
    scores = [0.0, 0.0, 0.4, 0.8, 0.8, 0.4, 0.0, 0.0, 0.0, 0.1]
    marks = [match(3.0, 5.0, 4.0), match(9.0, 10.0, 9.0)]
    lines = draw(np.arange(10.0).tolist(), scores, (0.0, 10.0), 0.3, marks, 25)
    assert lines == [
        "0.80       ████",
        "           ████",
        "     ┄┄┄┄████████┄┄┄┄┄┄┄┄",
        "         ████████      ▄▄",
        "           ━━1━        2━",
        "     ┬──────────────────┬",
        "     00:00.0      00:10.0",
    ]
    assert max(map(len, lines)) == 25


def test_ascii_where_the_output_has_no_blocks():
    assert characters_for("utf-8") == BLOCKS
    assert characters_for("ascii") == characters_for("latin-1") == characters_for(None) == ASCII
    assert characters_for("no-such-encoding") == ASCII
    lines = draw([0.0, 5.0], [0.0, 1.0], (0.0, 10.0), 0.0, [], 20, ASCII)
    assert all(line.isascii() for line in lines)
    assert lines[0] == "1.00 " + " " * 10 + "#" * 10


def test_a_column_shows_its_best_frame_or_the_one_on_screen():
    made = column_scores([1.0, 1.1, 3.0], [0.2, 0.9, 0.5], (0.0, 4.0), 8)
    np.testing.assert_array_equal(made, [np.nan, np.nan, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    np.testing.assert_array_equal(column_scores([], [], (0.0, 4.0), 3), [np.nan] * 3)


@pytest.mark.parametrize("width", [1, 20, 33, 80, 200])
@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_it_fits_its_width_whatever_the_curve(width, count):
    pts = np.linspace(10.0, 5000.0, count, endpoint=False).tolist()
    scores = np.random.default_rng(0).random(count).tolist()
    marks = [match(20.0 * i, 20.0 * i + 5, 20.0 * i) for i in range(12)]
    lines = draw(pts, scores, (10.0, 5000.0), 0.5, marks, width)
    assert all(len(line) <= max(width, 25) for line in lines) and len(lines) == 7
    assert lines[-1].split()[0] == "00:10.0" and lines[-1].split()[-1] == "1:23:20.0"
    assert lines[-2].count("┬") == len(lines[-1].split())


def test_a_curve_of_zeros_is_a_flat_line():
    lines = draw([0.0, 1.0], [0.0, 0.0], (0.0, 2.0), 0.2, [], 30)
    assert [line.strip() for line in lines[:4]] == ["0.00", "", "", ""]
