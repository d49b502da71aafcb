"""What the commands say of an answer."""

import pytest

from clipseek.api.documents import Match, Query
from clipseek.api.formats import marked_parts
from clipseek.cli.answers import answer_data, no_match_sentence, show_matches

MATCHES = [("a" * 64, "a.mp4", 1.0), ("a" * 64, "a.mp4", 5.0), ("b" * 64, "b.mp4", 2.0)]


def answer(**values) -> Query:
    matches = [
        Match(video_id=video, title=title, start_seconds=start, end_seconds=start + 1.5, score=0.5)
        for video, title, start in MATCHES
    ]
    return Query(matches=list(matches), videos_searched=2, answered=True, **values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"videos_searched": 0, "nothing_matches": True}, "The library is empty. Add videos: clipseek index FILE"),
        (
            {"videos_searched": 0, "nothing_matches": True, "start_seconds": 90.0},
            "No match. No video is longer than 01:30.0: lower --from.",
        ),
        ({"nothing_matches": True}, "No match."),
        (
            {"nothing_matches": True, "withheld": 3, "cut_off": 0.41234},
            "No match. 3 weaker candidates, below 0.412: add --all.",
        ),
        (
            {"nothing_matches": True, "withheld": 1, "cut_off": 0.9, "least_score": 0.9},
            "No match. 1 weaker candidate, below 0.900: lower --min-score (now 0.9).",
        ),
        (
            {"nothing_matches": True, "withheld": 3, "weaker_matches": [Match(score=0.4)]},
            "No moment clearly matches. Nearest:",
        ),
        ({"offset": 50}, "This page is past the last match. Lower --page."),
    ],
)
def test_nothing_matches_is_said_with_what_may_be_done(values, said):
    assert no_match_sentence(Query(**{"videos_searched": 2} | values)) == said


def test_matches_are_numbered_through_the_pages(capsys):
    show_matches(answer(offset=10))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines[1:]] == ["11", "12", "13"]
    assert lines[2] == ["12", "a.mp4", "00:05.0", "00:06.5", "1.5", "s", "0.500", "a" * 12]


def test_grouped_each_video_is_named_and_counted_once(capsys):
    show_matches(answer(offset=10, group_by_video=True))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:2] == ["11", "a.mp4"] and lines[3][:2] == ["12", "b.mp4"]
    assert lines[2] == ["00:05.0", "00:06.5", "1.5", "s", "0.500"]


def weaker(*scores: float) -> list[Match]:
    return [Match(video_id="c" * 64, title="c.mp4", end_seconds=2.0, score=score) for score in scores]


def test_weaker_candidates_are_below_the_matches_and_marked(capsys):
    show_matches(answer(weaker_matches=weaker(0.4, 0.123), withheld=7))
    printed = capsys.readouterr()
    lines = [line.split() for line in printed.out.splitlines()]
    assert [line[0] for line in lines] == ["#", "1", "2", "3", "#", "-", "-"]
    assert lines[3][6:] == ["0.500", "b" * 12]
    assert [line[6:8] for line in lines[5:]] == [["0.400", "weak"], ["0.123", "weak"]]
    assert printed.err.splitlines() == ["Weaker candidates:", "More weaker candidates: --all"]


def test_weaker_candidates_alone_are_one_table(capsys):
    show_matches(Query(answered=True, nothing_matches=True, withheld=2, weaker_matches=weaker(0.4, 0.1)))
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["#", "-", "-"] and not printed.err
    assert answer_data(Query(weaker_matches=weaker(0.4)))["weaker_matches"][0]["score"] == 0.4


def test_the_whole_answer_for_scripts():
    data = answer_data(answer(withheld=2, cut_off=0.4, more=True, warnings=["x"], frames_searched=9))
    assert [match["start_seconds"] for match in data.pop("matches")] == [1.0, 5.0, 2.0]
    assert data == {
        "weaker_matches": [],
        "nothing_matches": False,
        "cut_off": 0.4,
        "withheld": 2,
        "more": True,
        "videos_searched": 2,
        "frames_searched": 9,
        "warnings": ["x"],
    }


def worded(**values) -> Match:
    given = {"title": "a.mp4", "video_id": "a" * 64, "score": 0.9, "start_seconds": 1.0, "end_seconds": 2.0}
    return Match(**given | {"line": "the Webb telescope", "line_start_seconds": 61.0, "reasons": ["heard"]} | values)


def test_a_match_by_words_shows_its_line(capsys):
    matches = [worded(), worded(reasons=["seen"], line=""), worded(reasons=["seen", "written"], by_meaning=True)]
    show_matches(Query(matches=list(matches), offset=4))
    lines = capsys.readouterr().out.splitlines()
    why = [line.strip().split(maxsplit=3) for line in lines[lines.index("") + 1 :]]
    assert why == [
        ["#", "Why", "At", "Line"],
        ["5", "heard", "01:01.0", '"the Webb telescope"'],
        ["7", "seen,", "written,", 'by meaning  01:01.0  "the Webb telescope"'],
    ]


def test_what_is_only_seen_is_shown_as_before(capsys):
    show_matches(Query(matches=[worded(reasons=["seen"], line="")]))
    assert "Why" not in capsys.readouterr().out


def test_found_words_are_bold_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    show_matches(Query(matches=[worded(line="a \x1b[2J Webb\u202e", line_marks=[7, 11])]))
    out = capsys.readouterr().out
    assert "\x1b[1mWebb\x1b[0m" in out and "\x1b[2J" not in out and "\u202e" not in out


def test_data_for_scripts_has_the_words():
    [match] = answer_data(Query(matches=[worded(line_marks=[4, 8], line_language="en")]))["matches"]
    assert (match["reasons"], match["line"], match["line_marks"]) == (["heard"], "the Webb telescope", [4, 8])
    assert (match["line_start_seconds"], match["line_language"], match["by_meaning"]) == (61.0, "en", False)


@pytest.mark.parametrize(
    ("marks", "parts"),
    [
        ([], [("the Webb telescope", False)]),
        ([4, 8], [("the ", False), ("Webb", True), (" telescope", False)]),
        ([9, 18, 0, 3], [("the", True), (" Webb ", False), ("telescope", True)]),
        ([0, 3, 1, 5, 90, 95, 8, 8, 7], [("the", True), (" Webb telescope", False)]),  # what does not fit is left out
        ([-3, 2], [("the Webb telescope", False)]),
    ],
)
def test_the_found_words_of_a_line(marks, parts):
    assert marked_parts("the Webb telescope", marks) == parts


def test_a_long_line_is_cut_around_the_first_of_its_found_words():
    line = "a" * 300 + "Webb" + "b" * 300
    parts = marked_parts(line, [300, 304], most=40)
    assert parts == [("…", False), ("a" * 10, False), ("Webb", True), ("b" * 26, False), ("…", False)]
    assert marked_parts(line, [], most=40) == [("a" * 40, False), ("…", False)]
    words = "one two three four Webb five six seven"
    assert marked_parts(words, [19, 23], most=20) == [
        ("…", False),
        ("four ", False),
        ("Webb", True),
        (" five six", False),
        ("…", False),
    ]
    assert marked_parts(words, [4, 7], most=20) == [
        ("one ", False),
        ("two", True),
        (" three four", False),
        ("…", False),
    ]
    assert "".join(text for text, _ in marked_parts("x" * 40, [39, 40], most=40)) == "x" * 40
