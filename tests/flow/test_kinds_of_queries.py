"""Queries beyond a sentence, against the real Flow and the sample library: what is where is known there."""

import io
import json
import math

import pytest
from docarray import DocList
from jina import Client as JinaClient
from PIL import Image

from clipseek.api import errors
from clipseek.schema import Query, QueryPart
from tests.flow.conftest import run

FLOWER, COFFEE, MAN = (4.0, 8.0), (8.0, 12.0), (16.0, 20.0)  # of photographs.mp4


def moments(answer: Query, title: str = "photographs.mp4") -> list[tuple[float, float]]:
    return [(match.start_seconds, match.end_seconds) for match in answer.matches if match.title == title]


@pytest.fixture(scope="module")
def picture(library) -> bytes:
    """What is on screen when photographs.mp4 shows the cup of coffee, as a JPEG."""
    return library.thumbnail("photographs.mp4", 9.0, width=640)


def test_also_finds_both_and_not_takes_away(library):
    assert moments(library.search("a red flower"))[0] == FLOWER
    assert set(moments(library.search("a red flower", also=["a man in a suit"], all_matches=True))[:2]) == {FLOWER, MAN}
    avoided = library.search("a red flower", also=["a man in a suit"], without=["a red flower"], all_matches=True)
    assert FLOWER not in moments(avoided)[:1] and avoided.matches[0].score < 0.5
    kept = library.search("a man in a suit", without=["a red flower"])
    assert moments(kept)[0] == MAN and kept.matches[0].score > 0.5
    weighted = [QueryPart(text="a red flower", weight=0.2), QueryPart(text="a man in a suit", weight=3.0)]
    assert moments(library.search(parts=weighted))[0] == MAN


def test_an_image_finds_where_it_is_from(library, picture, tmp_path):
    best = library.search(image=picture).matches[0]
    assert (best.title, best.start_seconds, best.end_seconds) == ("photographs.mp4", *COFFEE)
    grey = tmp_path / "grey; 'cup'.png"
    Image.open(io.BytesIO(picture)).convert("L").save(grey)
    assert moments(library.search(image=[grey, picture]))[0] == COFFEE


def test_more_like_a_moment(library, tmp_path):
    for like in ("photographs.mp4@9.0", ("photographs.mp4", 9.0)):
        answer = library.search(like=like, top_k=50, all_matches=True)
        assert answer.matches
        for start, end in moments(answer):
            assert end <= COFFEE[0] or start >= COFFEE[1]
    toys = library.search(like="toys.mp4@6.5", top_k=50, all_matches=True)
    assert toys.matches
    assert not [span for span in moments(toys, "toys.mp4") if span[0] < 8.0 and span[1] > 4.0]
    parts = [QueryPart(video_id="photographs.mp4", at_seconds=9.0, weight=-1.0)]
    assert COFFEE in moments(library.search("a cup of coffee"))
    assert COFFEE not in moments(library.search("a cup of coffee", parts=parts))  # too weak to be a match
    assert COFFEE not in moments(library.search("a cup of coffee", parts=parts, all_matches=True))[:1]


def test_a_range_of_time(library):
    answer = library.search("a red flower", start_seconds=10.0, end_seconds=18.0, top_k=50, all_matches=True)
    assert answer.matches and answer.videos_searched == 3  # space-telescope, toys and photographs are long enough
    assert all(10 <= m.start_seconds <= m.peak_seconds < m.end_seconds <= 18 for m in answer.matches)
    assert moments(library.search("a red flower", start_seconds=5.0, end_seconds=7.0, videos=["photographs.mp4"]))


def test_pages_follow_one_another(library):
    everything = library.search("a building", top_k=1000, all_matches=True)
    assert not everything.more and len(everything.matches) > 3
    for top_k in (1, 2):
        pages, offset = [], 0
        while True:
            page = library.search("a building", top_k=top_k, offset=offset, all_matches=True)
            pages += page.matches
            offset += top_k
            if not page.more:
                break
        assert [m.to_dict() for m in pages] == [m.to_dict() for m in everything.matches]
    beyond = library.search("a building", offset=900)
    assert not beyond.matches and not beyond.nothing_matches


def test_grouped_by_video(library):
    answer = library.search("a building", top_k=2, group_by_video=True, all_matches=True)
    titles = list(dict.fromkeys(match.title for match in answer.matches))
    assert len(titles) == 2 and answer.more
    best = [max(m.score for m in answer.matches if m.title == title) for title in titles]
    assert best == sorted(best, reverse=True)
    assert [match.title for match in answer.matches] == sorted(
        (match.title for match in answer.matches), key=titles.index
    )
    rest = library.search("a building", top_k=6, offset=2, group_by_video=True, all_matches=True)
    assert not {match.title for match in rest.matches} & set(titles) and not rest.more


def test_lengths_padding_and_number(library):
    plain = library.search("a cup of coffee", videos=["photographs.mp4"])
    assert moments(plain)[0] == COFFEE
    padded = library.search("a cup of coffee", videos=["photographs.mp4"], padding_seconds=0.5, per_video=1)
    assert moments(padded) == [(7.5, 12.5)]
    short = library.search("a cup of coffee", videos=["photographs.mp4"], maximum_seconds=1.0, per_video=1)
    assert short.matches[0].end_seconds - short.matches[0].start_seconds == pytest.approx(1.0)
    assert library.search("a red flower", minimum_seconds=30.0).nothing_matches
    [other, *_] = moments(library.search("a cup of coffee", strategy="hysteresis"))
    assert other[0] <= COFFEE[0] < COFFEE[1] <= other[1]


def test_a_timeline_is_the_curve_of_every_frame(library):
    answer = library.timeline("photographs.mp4", "a cup of coffee")
    assert answer.curve_pts_seconds == pytest.approx([float(i) for i in range(24)])
    best = max(range(24), key=answer.curve_scores.__getitem__)
    assert 8 <= best < 12 and all(0 <= score <= 1 for score in answer.curve_scores)
    assert answer.shot_start_seconds == [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    assert moments(answer)[0] == COFFEE and answer.cut_off <= answer.matches[0].score
    assert answer.matches[0].score == pytest.approx(answer.curve_scores[best], abs=0.05)
    part = library.timeline("photographs.mp4", also=["a red flower"], start_seconds=4.0, end_seconds=9.0)
    assert part.curve_pts_seconds == pytest.approx([4.0, 5.0, 6.0, 7.0, 8.0])


def test_nothing_matches_is_said(library):
    answer = library.search("a red flower", least_score=0.99, videos=["toys.mp4"])
    assert (len(answer.matches), answer.nothing_matches, answer.more) == (0, True, False)
    assert answer.withheld > 0 and answer.cut_off == 0.99


def test_what_no_video_shows_is_withheld_unless_asked_for(library, server):
    nothing = library.search("a submarine under the ice")
    assert (list(nothing.matches), nothing.nothing_matches, nothing.cut_off) == ([], True, 0.5)
    assert nothing.withheld > 0
    everything = library.search("a submarine under the ice", all_matches=True, top_k=1000)
    withheld = library.search("a submarine under the ice", top_k=1000).withheld
    assert len(everything.matches) == withheld >= nothing.withheld and not everything.nothing_matches
    assert all(0 < match.score < 0.5 for match in everything.matches)
    [best, *_] = library.search("a cup of coffee").matches
    assert (best.title, best.start_seconds, best.end_seconds) == ("photographs.mp4", *COFFEE) and best.score > 0.5
    said = run(server, "search", "a submarine under the ice")
    assert "No moment clearly matches. Nearest:" in said.stderr
    nearest = [line.split() for line in said.stdout.splitlines()[1:]]
    assert 3 <= len(nearest) <= 5 and all(line[0] == "-" and "weak" in line for line in nearest)
    assert run(server, "search", "a submarine under the ice", "--json").stdout.strip() == "[]"
    assert list(nothing.weaker_matches) == [] and nothing.withheld
    inside = library.search("a submarine under the ice", videos=["photographs.mp4"], weaker=3)
    assert {m.title for m in inside.weaker_matches} == {"photographs.mp4"}


def test_calibration_moves_the_cut_off_until_it_is_reset(library, server):
    def best() -> float:
        return library.search("a cup of coffee", all_matches=True).matches[0].score

    before = best()
    try:
        made = json.loads(run(server, "calibrate", "--json").stdout)
        assert list(made) == ["shift", "phrase_count", "answered_before", "answered", "at_bound"]
        assert made["phrase_count"] == 107 and made["answered"] <= 11 and -0.2 <= made["shift"] <= 0.3
        logit = math.log(before / (1 - before)) - 5 * made["shift"]
        assert made["shift"] != 0 and best() == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-6)
        again = library.calibrate(0.5)
        assert (again.answered_before, again.done) == (made["answered"], True) and again.shift <= made["shift"]
        assert f"{again.answered} of 107 neutral descriptions now find a match" in (
            run(server, "calibrate", "--answered", "0.5").stderr
        )
    finally:
        reset = run(server, "calibrate", "--reset", "--json")
    assert json.loads(reset.stdout)["shift"] == 0.0
    assert best() == pytest.approx(before, abs=1e-9)


def test_a_script_that_the_model_does_not_read_is_warned_of(library):
    assert library.search("a red flower", also=["一杯咖啡"]).warnings == []
    [warning] = library.search("a red flower", also=["कॉफ़ी का प्याला"]).warnings
    assert warning.startswith("'कॉफ़ी का प्याला': ") and "clipseek model use multilingual" in warning
    assert library.search("a red flower", without=["a motorcycle"]).warnings == []


def test_a_bare_jina_client_asks_the_same(library, server, picture):
    client = JinaClient(host="127.0.0.1", port=server.port)
    parts = [QueryPart(image=picture), QueryPart(text="a red flower", weight=-0.5)]
    asked = Query(parts=DocList[QueryPart](parts), top_k=1)
    [answer] = client.post("/search", DocList[Query]([asked]), return_type=DocList[Query])
    assert answer.answered and moments(answer) == [COFFEE]
    assert [(part.image, part.embedding) for part in answer.parts] == [(b"", []), (b"", [])]


BAD = [
    ({"image": b"this is no image"}, errors.UnreadableImage, "the image"),
    ({}, errors.EmptyQuery, "empty"),
    ({"text": "   "}, errors.EmptyQuery, "empty"),
    ({"without": ["rain"]}, errors.EmptyQuery, "only says what to avoid"),
    ({"like": "nope.mp4@3"}, errors.VideoNotFound, "nope.mp4"),
    ({"like": ("f" * 64, 3.0)}, errors.VideoNotFound, "ffff"),
    ({"like": "toys.mp4@99"}, errors.InvalidTimeRange, "99 s is outside the video 'toys.mp4'"),
    ({"like": "toys.mp4"}, errors.InvalidRequest, "is not a frame"),
    ({"text": "x", "start_seconds": 9.0, "end_seconds": 3.0}, errors.InvalidTimeRange, "3 s is not later than 9 s"),
    ({"text": "x", "start_seconds": 99.0, "videos": ["toys.mp4"]}, errors.InvalidTimeRange, "outside"),
    ({"text": "x", "least_score": 2.0}, errors.InvalidRequest, "least_score must be from 0 to 1, not 2"),
    ({"text": "x", "offset": -1}, errors.InvalidRequest, "offset must be from 0 to 10000, not -1"),
    ({"text": "x", "strategy": "guess"}, errors.InvalidRequest, "no strategy 'guess'"),
    ({"parts": [QueryPart(text="x", weight=0.0)]}, errors.InvalidRequest, "weight of part 1"),
]


@pytest.mark.parametrize(("asked", "error", "told"), BAD, ids=[told for _, _, told in BAD])
def test_bad_queries_are_named_and_the_server_lives_on(library, asked, error, told):
    with pytest.raises(error, match=told):
        library.search(**asked)
    assert library.search("a red flower").matches


def test_a_bare_client_is_refused_what_ours_would_not_send(library, server):
    for endpoint, query, error in (
        ("/search", Query(parts=[QueryPart(text="rain", weight=-1.0)]), errors.EmptyQuery),
        ("/timeline", Query(text="a red flower"), errors.InvalidRequest),
        ("/timeline", Query(text="a red flower", video_ids=["a" * 64, "b" * 64]), errors.InvalidRequest),
    ):
        with pytest.raises(error):
            library._one(endpoint, query)
    with pytest.raises(errors.InvalidRequest, match="cannot be sent to the executor"):
        library._one("/search", Query(text="a red flower"), "indexer")


def test_the_command_line(library, server, picture, tmp_path):
    file = tmp_path / "cup^2.jpg"  # a name that looks like a weight
    file.write_bytes(picture)
    [best] = json.loads(run(server, "search", "--image", str(file), "-k", "1", "--json").stdout)
    assert (best["title"], best["start_seconds"]) == ("photographs.mp4", 8.0)
    found = run(
        server,
        "search",
        "a red flower^0.1",
        "--also",
        "a man in a suit^3",
        "--video",
        "photographs.mp4",
        "--not",
        "a motorcycle",
        "-k",
        "1",
        "--json",
    ).stdout
    assert json.loads(found)[0]["start_seconds"] == 16.0
    liked = json.loads(run(server, "search", "--like", "photographs.mp4@00:09.0", "--all", "--json").stdout)
    assert not [m for m in liked if m["title"] == "photographs.mp4" and m["start_seconds"] == 8.0]
    page = run(server, "search", "a building", "--all", "-k", "1", "--page", "2")
    assert page.stdout.splitlines()[1].startswith("2 ") and "More matches: --page 3" in page.stderr

    nothing = run(server, "search", "a red flower", "--min-score", "0.99")
    assert nothing.stdout == "" and "No match." in nothing.stderr and "lower --min-score (now 0.99)" in nothing.stderr
    assert json.loads(run(server, "search", "a red flower", "--min-score", "0.99", "--json").stdout) == []
    answer = json.loads(run(server, "search", "a red flower", "--min-score", "0.99", "--json-answer").stdout)
    assert answer["nothing_matches"] and answer["matches"] == [] and answer["withheld"] > 0

    drawn = run(server, "timeline", "photographs.mp4", "a cup of coffee").stdout
    assert "█" in drawn and "1━" in drawn and "00:24.0" in drawn and "00:08.0  00:12.0" in drawn
    data = json.loads(run(server, "timeline", "photographs.mp4", "a cup of coffee", "--json").stdout)
    assert len(data["pts_seconds"]) == len(data["scores"]) == 24 and data["matches"][0]["start_seconds"] == 8.0

    (tmp_path / "notes.txt").write_text("no image")
    assert (
        "notes.txt' is not a readable image"
        in run(server, "search", "--image", str(tmp_path / "notes.txt"), code=2).stderr
    )
    assert "only says what to avoid" in run(server, "search", "--not", "rain", code=2).stderr
    assert "'nope'" in run(server, "search", "--like", "nope@3", code=1).stderr
    assert "'nope'" in run(server, "timeline", "nope", "a red flower", code=1).stderr


def test_eval_measures_strategies_side_by_side(library, server, tmp_path):
    truth = tmp_path / "truth.jsonl"
    rows = [
        {"video": "photographs.mp4", "query": "a cup of coffee", "moments": [COFFEE]},
        {"video": "photographs.mp4", "query": "a man in a suit", "moments": [MAN]},
        {"video": None, "query": "a submarine", "moments": []},
    ]
    truth.write_text("\n".join(json.dumps(row) for row in rows))
    data = json.loads(run(server, "eval", str(truth), "--strategies", "consensus,hysteresis", "--json").stdout)
    assert data["measures"]["R1@.7"]["mean"] == 1.0
    assert list(data["strategies"]) == ["consensus", "hysteresis"]
    assert data["strategies"]["hysteresis"]["R1@.5"]["queries"] == 2
    assert data["measures"]["false alarms"]["queries"] == 1
    table = run(server, "eval", str(truth), "--strategies", "hysteresis").stdout
    assert table.splitlines()[0].split()[:2] == ["Measure", "default"] and "hysteresis" in table.splitlines()[0]
    truth.write_text(json.dumps(rows[0]) + "\n\n{broken\n")
    assert "truth.jsonl, line 3: this is not JSON" in run(server, "eval", str(truth), code=2).stderr
