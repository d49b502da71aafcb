"""What the page says of words: why a card is a match, where to look, transcripts, and what is read."""

import json
from dataclasses import replace

import pytest

from clipseek.api.documents import Cue, Job
from clipseek.api.errors import InvalidRequest, ServerUnreachable
from frontend.services import services
from frontend.texts import load_texts
from tests.frontend.conftest import html_of
from tests.frontend.fake import CAT, DOG, match

EN, ZH = load_texts("en"), load_texts("zh")
CUES = [
    Cue(cue_id=1, start_seconds=2.06, end_seconds=3.0, text="Hello <b>there</b>", source="speech", language="en"),
    Cue(cue_id=2, start_seconds=4.0, end_seconds=5.0, text="EXIT\u202e", source="screen", edited=True),
]


def worded(**values):
    found = match()
    given = {"reasons": ["seen", "heard"], "line": "the <i>Webb</i> telescope", "line_marks": [7, 11]}
    return replace(found, **(given | values))


def timeline(open_page, client, **values):
    client.cues = [replace(cue) for cue in CUES]
    client.library[0].cues = 2
    return open_page("views/timeline.py", video=CAT[:12], **values)


def drawn(page):
    """What the list of lines gets."""
    [component] = page.get("bidi_component")
    return json.loads(json.loads(component.proto.json))


def test_a_card_says_why_it_is_a_match_with_the_found_words_marked(open_page, client):
    client.found = [worded(by_meaning=True)]
    shown = html_of(open_page(q="a telescope"))
    assert f'cs-seen">{EN("reason.seen")}</span>' in shown and f'cs-heard">{EN("reason.heard")}</span>' in shown
    assert "the &lt;i&gt;<mark>Webb</mark>&lt;/i&gt; telescope" in shown and "<i>Webb" not in shown
    assert EN("reason.by_meaning") in shown and 'cs-written">' not in shown


@pytest.mark.parametrize("reasons", [[], ["<b>", "unknown"]])
def test_a_card_without_reasons_is_as_before(open_page, client, reasons):
    client.found = [worded(reasons=reasons)]
    assert 'class="cs-why"' not in html_of(open_page(q="a telescope"))


def test_a_hostile_line_is_only_text(open_page, client):
    client.found = [worded(line='"><script>x</script>\u202e\x1b', line_marks=[0, 2, 10_000, 3], reasons=["written"])]
    shown = html_of(open_page(q="a telescope"))
    assert "<script>x" not in shown and "\u202e" not in shown and f'cs-written">{EN("reason.written")}' in shown


def test_a_filter_says_where_to_look_and_goes_into_the_address(open_page, client):
    page = open_page(q="a cat")
    assert client.asked[-1]["look_in"] == ()
    page.button_group(key="search.look_in").set_value(["written", "heard"]).run()
    assert client.asked[-1]["look_in"] == ("heard", "written")
    assert page.query_params["in"] == ["heard", "written"]
    page = open_page(q="a cat", **{"in": "written,nonsense"})
    assert client.asked[-1]["look_in"] == ("written",)
    assert page.button_group(key="search.look_in").value == ["written"]


def test_a_transcript_is_drawn_beside_the_player(open_page, client):
    lines = drawn(timeline(open_page, client))
    assert [line["text"] for line in lines["lines"]] == ["Hello <b>there</b>", "EXIT"]
    assert [(line["start"], line["time"]) for line in lines["lines"]] == [(2.06, "00:02.0"), (4.0, "00:04.0")]
    assert lines["lines"][1]["note"] == f"{EN('reason.written')}, {EN('transcript.edited')}"
    assert lines["playing"] == 0.0 and lines["texts"]["find"] == EN("transcript.find")


def test_the_transcript_knows_when_the_clip_begins(open_page, client):
    page = timeline(open_page, client)
    page.text_input(key=f"timeline.play_from.{CAT}").set_value("0:42").run()
    assert drawn(page)["playing"] == 42.0


def test_without_words_there_is_no_transcript(open_page, client):
    page = open_page("views/timeline.py", video=CAT[:12])
    assert not page.get("bidi_component") and not page.error


def test_a_transcript_that_cannot_be_had_does_not_take_the_timeline_along(open_page, client, monkeypatch):
    def refuse(_):
        raise InvalidRequest("There is no endpoint.")

    monkeypatch.setattr(client, "transcript", refuse)
    page = timeline(open_page, client)
    assert EN("problem.other") in page.error[0].value and page.text_input(key=f"timeline.play_from.{CAT}")


def test_a_transcript_that_is_not_complete_says_so(open_page, client):
    client.all_read = False
    assert EN("transcript.incomplete") in html_of(timeline(open_page, client))


def test_a_click_plays_from_the_first_sound_of_a_line():
    from frontend.components.transcript import on_play

    played = []
    for seconds in (2.06, 4.0, 0.3, None):
        on_play(seconds, played.append)
    assert played == [2.0, 4.0, 0.3]


def test_a_clip_does_not_end_before_the_line_that_is_said(open_page, client):
    client.cues = [
        Cue(start_seconds=9.0, end_seconds=20.0, text="before", source="speech"),
        Cue(start_seconds=20.06, end_seconds=32.0, text="a long line", source="speech"),
        Cue(start_seconds=20.0, end_seconds=59.0, text="EXIT", source="screen"),
        Cue(start_seconds=40.0, end_seconds=400.0, text="it stays", source="subtitle"),
    ]
    client.library[0].cues, client.library[0].duration_seconds = 4, 600.0
    page = open_page("views/timeline.py", video=CAT[:12])
    for written in ("0:20", "0:33", "0:41"):
        page.text_input(key=f"timeline.play_from.{CAT}").set_value(written).run()
    assert [(start, end) for _, start, end, _ in client.clips] == [(20.0, 32.0), (33.0, 41.0), (41.0, 71.0)]


def test_a_correction_is_stored_and_an_error_is_shown(draw, client):
    client.cues = [replace(cue) for cue in CUES]
    client.library[0].cues = 2

    def script():
        import streamlit as st

        from frontend.components.transcript import on_correct, transcript_list, transcript_of
        from frontend.services import services
        from frontend.texts import load_texts

        t = load_texts("en")
        if not st.session_state.get("done"):
            for correction in (None, {"cue_id": 1, "text": "right"}, {"cue_id": 9, "text": "x"}):
                on_correct("a" * 64, correction)
        st.session_state["done"] = True
        video = services().client.videos()[0]
        transcript_list(video, transcript_of(video, t), 0.0, print, t)

    page = draw(script)
    assert (client.cues[0].text, client.cues[0].edited) == ("right", True)
    assert drawn(page)["lines"][0]["text"] == "right"
    assert len(page.error) == 1
    page.run()
    assert not page.error  # it is told once


def test_the_library_says_what_is_read_and_in_which_languages(open_page, client):
    cat, dog = client.library
    cat.words, cat.cues, cat.word_languages = "read", 12, ["zh", "<b>"]
    dog.words = "reading"
    shown = html_of(open_page("views/library.py"))
    assert f"{EN('words.lines', count=12)} (zh, &lt;b&gt;)" in shown and EN("words.reading") in shown
    cat.cues, cat.word_languages, dog.words = 0, [], ""
    shown = html_of(open_page("views/library.py"))
    assert EN("words.none") in shown and EN("words.reading") not in shown


def test_words_are_read_from_the_library_where_they_are_not(open_page, client):
    client.library[0].words = "read"
    page = open_page("views/library.py")
    keys = [each.key for each in page.button]
    assert f"video.words.{CAT[:12]}" not in keys
    page.button(key=f"video.words.{DOG[:12]}").click().run()
    assert [(job.kind, job.video_id) for job in client.filed] == [("words", DOG)]


def job(state, number=0, **values):
    given = {"job_id": f"j{number}", "kind": "words", "video_id": CAT, "title": f"cat {number}.mp4", "state": state}
    return Job(**given | values)


def test_the_progress_of_words_is_shown_and_their_video_is_ready(open_page, client):
    client.filed = [job("running", done_seconds=30.0, total_seconds=60.0), *(job("waiting", n) for n in range(1, 9))]
    shown = html_of(open_page("views/library.py"))
    assert f"{EN('stage.words')} · 50 %" in shown and f"{EN('stage.words')} · {EN('jobs.waiting')}" in shown
    assert "cat 1.mp4" in shown and "cat 2.mp4" not in shown  # many may wait
    assert f'cs-ready">{EN("status.ready")}' in shown and 'cs-indexing">' not in shown


def test_words_that_could_not_be_read_are_tried_again(open_page, client, caplog):
    client.filed = [job("failed", error="Damaged.", error_kind="UnreadableVideo")]
    page = open_page("views/library.py")
    assert f"{EN('stage.words')} · {EN('jobs.failed')}" in html_of(page)
    client.error = ServerUnreachable("Nobody.")
    services().queue.retry("j0")
    assert "cannot be read: Nobody." in caplog.text
    client.error = None
    page.button(key="job.retry.j0").click().run()
    assert [each.state for each in client.filed] == ["failed", "waiting"]
