"""What the commands say of an answer."""

import pytest

from clipseek.api.base_document import DocList
from clipseek.api.documents import Match, Query
from clipseek.cli.answers import answer_data, no_match_sentence, show_matches

MATCHES = [("a" * 64, "a.mp4", 1.0), ("a" * 64, "a.mp4", 5.0), ("b" * 64, "b.mp4", 2.0)]


def answer(**values) -> Query:
    matches = [
        Match(video_id=video, title=title, start_seconds=start, end_seconds=start + 1.5, score=0.5)
        for video, title, start in MATCHES
    ]
    return Query(matches=DocList[Match](matches), videos_searched=2, answered=True, **values)


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
            {"nothing_matches": True, "withheld": 3, "weaker_matches": DocList[Match]([Match(score=0.4)])},
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


def weaker(*scores: float) -> DocList[Match]:
    return DocList[Match](Match(video_id="c" * 64, title="c.mp4", end_seconds=2.0, score=score) for score in scores)


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
