"""Cues in both databases, and the search in them with the real sentence encoder."""

from collections.abc import Iterator

import numpy as np
import pytest

from clipseek.api.errors import InvalidRequest, NotFound, VideoNotFound
from clipseek.api.limits import HEARD, SCREEN, SEEN, SPEECH, SUBTITLE, WRITTEN
from clipseek.api.score_scale import CUT_OFF, ScoreScale
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.moments.segments import Segment
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.store import Store
from executors.faiss_indexer.words.cue_store import CueStore, Reading, StoredCue
from executors.faiss_indexer.words.joining import join_matches
from executors.faiss_indexer.words.terms import find_marks, fold_phrase, read_query, read_terms, term_set
from executors.faiss_indexer.words.word_search import Sentence
from executors.machine.sentence_encoder import shared_encoder
from executors.word_reader.parts import divide_line
from tests.postgres import open_engine
from tests.unit.faiss_indexer.test_store import MODEL, frames, video

SENTENCES = "sentences/test"
VIDEO, OTHER = "a" * 64, "b" * 64
TALK = [
    (2.0, 6.5, "My name is Lee Feinberg and I manage the optical telescope element.", SPEECH, "en"),
    (6.9, 9.0, "We built it for the Webb Space Telescope.", SPEECH, "en"),
    (20.0, 24.0, "First, preheat the oven to two hundred degrees and butter the pan.", SUBTITLE, "en"),
    (40.0, 44.0, "廣州市房地產中介協會分析", SPEECH, "zh"),
    (60.0, 75.0, "Quarterly revenue: 4711 units", SCREEN, "en"),
    (80.0, 84.0, "He had an idée fixe about the café in Zürich.", SPEECH, "fr"),
    (90.0, 93.0, "Thank you very much for coming tonight.", SPEECH, "en"),
]


def cues(rows=TALK, video_id: str = VIDEO) -> list[StoredCue]:
    return [StoredCue(0, video_id, start, end, text, source, language) for start, end, text, source, language in rows]


def vectors(lines) -> list[np.ndarray]:
    """Of each line, and of its parts."""
    return [shared_encoder().read(divide_line(cue.text))[0].astype(np.float16) for cue in lines]


def put(store: CueStore, rows=TALK, video_id: str = VIDEO, span=(0.0, 100.0)) -> int:
    lines = cues(rows, video_id)
    return store.put_words(video_id, span, lines, vectors(lines), SENTENCES, Reading((SPEECH,), ("en",), ("a note",)))


def sentence(text: str, weight: float = 1.0) -> Sentence:
    return Sentence(text, shared_encoder().read([text])[0][0], weight)


@pytest.fixture
def store(engine) -> Iterator[CueStore]:
    with Store(open_engine(engine)) as pictures:
        pictures.register(video(VIDEO, duration_seconds=100.0), MODEL)
        pictures.register(video(OTHER, duration_seconds=100.0, title="other"), MODEL)
        yield CueStore(pictures.database)


@pytest.fixture
def library(tmp_path) -> Iterator[Library]:
    with Library(tmp_path) as made:
        made.register(video(VIDEO, duration_seconds=100.0), MODEL)
        made.register(video(OTHER, duration_seconds=100.0, title="other"), MODEL)
        for number, name in enumerate((VIDEO, OTHER)):
            made.put_span(name, (0.0, 30.0), frames(30, seed=number, dimensions=8), MODEL)
        put(made.words.store)
        yield made


def search(library: Library, text: str, *more: Sentence, **options):
    """A query that no picture fits."""
    mean = library.index.mean_frame()
    part = Part(-mean / np.linalg.norm(mean), model_id=MODEL, scale=ScoreScale(0.9, 1.0))
    return library.search([part], SearchOptions(**options), [sentence(text), *more])


# Terms


def test_forms_accents_width_and_scripts_of_a_word_are_alike():
    assert term_set("Mirrors") == term_set("mirror") == term_set("ＭＩＲＲＯＲ")
    assert term_set("café naïve ZÜRICH") == term_set("cafe naive zurich")
    assert term_set("房地产") <= term_set("廣州市房地產中介協會分析")
    assert "望远" in term_set("望遠鏡")


def test_marks_are_places_in_the_text_as_it_is_written():
    text = "廣州市房地產, and MIRRORS!"
    marks = find_marks(text, term_set("房地产") | term_set("mirror"))
    assert [text[start:end] for start, end in zip(marks[::2], marks[1::2], strict=True)] == ["房地產", "MIRRORS"]


def test_words_that_say_nothing_are_not_looked_for_unless_there_are_no_others():
    assert [unit.terms for unit in read_query("when she talks about the mirror").units] == [("mirror",)]
    assert [unit.terms for unit in read_query("the").units] == [("the",)]


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "́", "🎬", '""', "'", "a" * 100_000, "नमस्ते", "สวัสดี", "한국어", "שלום", "ﷺ"]
)
def test_any_text_has_terms_that_a_database_takes(store, text):
    terms = [term.text for term in read_terms(text)]
    assert all(0 < len(term) <= 64 and not set(term) & set("\"' \x00") for term in terms)
    put(store, [(1.0, 2.0, text.replace("\x00", "").replace("\ud800", ""), SPEECH, "")])
    for term in terms[:3]:
        store.count_term(term)


def test_phrases_are_whole_words_in_their_order():
    assert fold_phrase("space telescope") in fold_phrase("A Space Telescope, indeed")
    assert fold_phrase("ace tele") not in fold_phrase("a space telescope")
    assert fold_phrase("房地产") in fold_phrase("廣州市房地產中介")


# The store


def test_cues_come_out_as_they_went_in_and_in_order_of_time(store):
    put(store, [*TALK[::-1]])
    stored = store.transcript(VIDEO)
    assert [(c.start_seconds, c.end_seconds, c.text, c.source, c.language) for c in stored] == TALK
    assert store.transcript(OTHER) == []


def test_reading_a_span_again_replaces_it_and_keeps_corrections(store):
    put(store)
    cue = next(cue for cue in store.transcript(VIDEO) if "Webb" in cue.text)
    assert store.correct(VIDEO, cue.cue_id, "We built it for the James Webb Telescope.").edited
    assert store.with_terms(["jame"], 5) == [cue.cue_id]
    store.forget(VIDEO)
    assert store.missing(video(VIDEO, duration_seconds=100.0)) == [(0.0, 100.0)]
    assert len(store.transcript(VIDEO)) == len(TALK)  # until it was read again
    assert put(store) == len(TALK)
    texts = [cue.text for cue in store.transcript(VIDEO)]
    assert "We built it for the James Webb Telescope." in texts and TALK[1][2] not in texts
    assert store.missing(video(VIDEO, duration_seconds=100.0)) == []


def test_a_line_that_was_removed_stays_away(store):
    put(store)
    thanks = store.transcript(VIDEO)[-1]
    store.correct(VIDEO, thanks.cue_id, "")
    put(store)
    assert TALK[-1][2] not in [cue.text for cue in store.transcript(VIDEO)]
    assert store.with_terms(["tonight"], 5) == []


def test_a_span_in_which_only_a_correction_is_left_is_read_again(store):
    put(store)
    first = store.transcript(VIDEO)[0]
    store.correct(VIDEO, first.cue_id, "The right words.")
    assert store.put_words(VIDEO, (0.0, 100.0), [], [], "", Reading()) == 1
    assert [cue.text for cue in store.transcript(VIDEO)] == ["The right words."]


@pytest.mark.parametrize("text", ["The right slide", ""])
def test_a_line_on_screen_over_two_spans_is_corrected_as_one(store, text):
    with Store(store.database) as pictures:
        pictures.register(video("d" * 64, duration_seconds=200.0), MODEL)
        pictures.close = lambda: None
    put(store, [(110.0, 120.0, "Slide", SCREEN, "en")], "d" * 64, (0.0, 120.0))
    put(store, [(120.0, 130.0, "Slide", SCREEN, "en"), (150.0, 160.0, "Slide", SCREEN, "en")], "d" * 64, (120.0, 200.0))
    first = store.transcript("d" * 64)[0]
    store.correct("d" * 64, first.cue_id, text)
    shown = [(cue.start_seconds, cue.end_seconds, cue.text) for cue in store.transcript("d" * 64)]
    assert shown == [*([(110.0, 130.0, text)] if text else []), (150.0, 160.0, "Slide")]


def test_what_is_said_twice_stays_twice(store):
    lines = [(1.0, 1.5, "No.", SPEECH, "en"), (1.55, 2.0, "No.", SPEECH, "en")]
    put(store, lines)
    assert len(store.transcript(VIDEO)) == 2


@pytest.mark.parametrize("line", ["สวัสดีครับ วันนี้อากาศดี", "नमस्ते दुनिया", "廣州市房地產", "שלום עולם", "Straße für Ärzte"])
def test_every_term_of_a_line_finds_it(store, line):
    put(store, [(1.0, 2.0, line, SPEECH, "")])
    [cue] = store.transcript(VIDEO)
    terms = sorted(term_set(line))
    assert terms and store.with_terms(terms, 9, all_of=True) == [cue.cue_id]


def test_nothing_of_a_deleted_video_stays(store):
    put(store)
    put(store, TALK[:1], OTHER)
    with Store(store.database) as pictures:
        pictures.delete(VIDEO)
        assert store.transcript(VIDEO) == [] and store.facts(VIDEO) == {}
        assert len(store.with_terms(["telescop"], 9)) == 1
        [(count,)] = list(store.database.rows("SELECT COUNT(*) FROM cue_terms"))
        assert count == 1
        pictures.close = lambda: None


def test_a_change_of_the_sampling_leaves_words(store):
    put(store)
    with Store(store.database) as pictures:
        pictures.register(video(VIDEO, duration_seconds=100.0, frames_per_second=2.0), MODEL)
        pictures.close = lambda: None
    assert len(store.transcript(VIDEO)) == len(TALK)


def test_wrong_names_are_refused(store):
    with pytest.raises(VideoNotFound):
        put(store, TALK, "c" * 64)
    with pytest.raises(NotFound, match="no such line"):
        store.correct(VIDEO, 12345, "text")


def test_facts_tell_what_was_read_and_what_is_wished(store):
    store.wish(OTHER, language="zh", no_words=True)
    store.wish(OTHER)
    put(store)
    facts = store.facts()
    assert facts[OTHER].language == "zh" and not facts[OTHER].wanted
    assert facts[VIDEO].languages == ["en"] and facts[VIDEO].notes == ["a note"] and facts[VIDEO].wanted
    assert facts[VIDEO].spans == {(0.0, 100.0): len(TALK)}


def test_a_line_on_screen_over_two_spans_is_one(store):
    with Store(store.database) as pictures:
        pictures.register(video("d" * 64, duration_seconds=200.0), MODEL)
        pictures.close = lambda: None
    put(store, [(110.0, 120.0, "Chapter 2", SCREEN, "en")], "d" * 64, (0.0, 120.0))
    put(store, [(120.0, 130.0, "Chapter 2", SCREEN, "en")], "d" * 64, (120.0, 200.0))
    assert [(c.start_seconds, c.end_seconds) for c in store.transcript("d" * 64)] == [(110.0, 130.0)]


# The search


@pytest.mark.parametrize(
    ("text", "line", "reasons"),
    [
        ("Webb Space Telescope", 1, [HEARD]),
        ("Feinberg", 0, [HEARD]),
        ("preheating ovens", 2, [HEARD]),
        ("房地产", 3, [HEARD]),
        ("廣州市", 3, [HEARD]),
        ("4711", 4, [WRITTEN]),
        ("ZURICH cafe", 5, [HEARD]),
        ('"two hundred degrees"', 2, [HEARD]),
        ("“房地产中介”", 3, [HEARD]),
    ],
)
def test_words_find_their_line_with_its_edges(library, text, line, reasons):
    best = search(library, text).matches[0]
    assert best.score >= CUT_OFF and list(best.reasons) == reasons
    start, end = TALK[line][:2]
    assert best.line.line == TALK[line][2] and best.line.line_marks and not best.line.by_meaning
    assert best.segment.start_seconds <= start and best.segment.end_seconds >= end
    assert best.segment.start_seconds in [row[0] for row in TALK] and best.segment.end_seconds in [r[1] for r in TALK]


def test_another_language_finds_a_line_by_its_meaning(library):
    best = search(library, "望远镜").matches[0]
    assert "elescope" in best.line.line and best.line.by_meaning and best.line.line_marks == []


@pytest.mark.parametrize(
    "text",
    [
        "a purple elephant dancing",
        "潜水艇",
        "red sports car",
        "dinosaur",
        "雪山",
        "tax form for divorce",
        "a bowl of noodles",
    ],
)
def test_what_nobody_says_finds_nothing_that_counts(library, text):
    assert search(library, text).matches == []


def test_a_phrase_must_be_there_as_it_is(library):
    assert search(library, '"hundred two degrees"').matches == []
    assert search(library, '"Webb Telescope"', all_matches=True).matches == []


def test_the_reasons_that_are_asked_for_are_the_only_ones(library):
    assert search(library, "4711", look_in=(HEARD,)).matches == []
    assert search(library, "4711", look_in=(WRITTEN,)).matches
    assert search(library, "4711", look_in=(SEEN,)).matches == []
    assert all(SEEN in match.reasons for match in search(library, "4711", look_in=(SEEN,), all_matches=True).matches)
    with pytest.raises(InvalidRequest, match="'felt'"):
        search(library, "4711", look_in=("felt",))


def test_what_is_avoided_is_left_out(library):
    """Of the moment of two lines, the one that names the avoided thing goes."""
    [best] = search(library, "telescope", sentence("Webb Space", -1.0)).matches
    assert (best.segment.start_seconds, best.segment.end_seconds) == TALK[0][:2]


def test_lines_that_follow_one_another_are_one_moment(library):
    [best] = search(library, "telescope").matches
    assert (best.segment.start_seconds, best.segment.end_seconds) == (2.0, 9.0)


def test_the_range_and_the_named_videos_hold_for_words(library):
    assert search(library, "oven", end_seconds=15.0).matches == []
    assert search(library, "oven", video_ids=(OTHER,)).matches == []
    assert search(library, "oven", video_ids=(VIDEO,)).matches[0].line.line == TALK[2][2]


def test_more_videos_than_are_compared_one_by_one_may_be_named(library, monkeypatch):
    monkeypatch.setattr("executors.faiss_indexer.words.word_search._MOST_NAMED", 1)
    for text in ("oven", "望远镜"):
        assert search(library, text, video_ids=(VIDEO, OTHER)).matches[0].video_id == VIDEO
    put(library.words.store, TALK[2:3], OTHER)
    assert {match.video_id for match in search(library, "oven", video_ids=(VIDEO, OTHER)).matches} == {VIDEO, OTHER}
    with pytest.raises(VideoNotFound):
        search(library, "oven", video_ids=tuple(f"{number:064x}" for number in range(100_000)))


def test_a_picture_and_words_at_the_same_time_are_one_match_with_both_reasons(library):
    library.put_span(VIDEO, (0.0, 30.0), frames_like_one(15.0, 27.0), MODEL)
    part = Part(np.eye(8, dtype=np.float32)[0], model_id=MODEL, scale=ScoreScale(0.0, 1.0))
    best = library.search([part], SearchOptions(), [sentence("oven")]).matches[0]
    assert set(best.reasons) == {SEEN, HEARD}
    assert best.segment.start_seconds == pytest.approx(15.0, abs=1.0)
    assert best.segment.end_seconds == pytest.approx(27.0, abs=1.0)
    assert best.line.line == TALK[2][2]


def seen_and_heard(seen: tuple[float, float, float], heard: tuple[float, float, float], maximum: float = 0.0):
    """The matches of one video by pictures and words, each given by start, end and score."""

    def match(start: float, end: float, score: float, reason: str, peak: float) -> VideoMatch:
        return VideoMatch(video(VIDEO, duration_seconds=300.0), Segment(start, end, score, peak), score, (reason,))

    return join_matches([match(*seen, SEEN, seen[0])], [match(*heard, HEARD, heard[0])], maximum)


@pytest.mark.parametrize(
    ("seen", "heard", "maximum", "edges"),
    [
        ((0.0, 20.0, 0.9), (15.0, 25.0, 0.6), 0.0, (0.0, 25.0)),
        ((0.0, 200.0, 0.95), (150.0, 154.0, 0.85), 0.0, (150.0, 154.0)),  # a name or a number says when
        ((0.0, 200.0, 0.95), (150.0, 154.0, 0.7), 0.0, (0.0, 200.0)),  # a common word does not
        ((0.0, 20.0, 0.9), (15.0, 25.0, 0.6), 22.0, (0.0, 20.0)),
        ((0.0, 20.0, 0.3), (15.0, 25.0, 0.6), 0.0, (15.0, 25.0)),  # a weaker candidate gives way
        ((0.0, 20.0, 0.9), (15.0, 25.0, 0.4), 0.0, (0.0, 20.0)),
    ],
)
def test_what_overlaps_becomes_one_match_that_holds_its_peak(seen, heard, maximum, edges):
    [joined] = seen_and_heard(seen, heard, maximum)
    segment = joined.segment
    assert (segment.start_seconds, segment.end_seconds) == edges
    assert segment.start_seconds <= segment.peak_seconds < segment.end_seconds
    assert joined.score == max(seen[2], heard[2])


def frames_like_one(start: float, end: float) -> Frames:
    """Frames of 30 s, of which some show what the query asks for."""
    rows = np.tile(np.eye(8)[1], (30, 1))
    rows[int(start) : int(end)] = np.eye(8)[0]
    return Frames(np.arange(30.0), rows.astype(np.float16))


def test_a_library_without_words_answers_as_before(tmp_path):
    with Library(tmp_path) as made:
        made.register(video(VIDEO, duration_seconds=30.0), MODEL)
        made.put_span(VIDEO, (0.0, 30.0), frames(30, dimensions=8), MODEL)
        part = Part(frames(30, dimensions=8).vectors[3].astype(np.float32), model_id=MODEL, scale=ScoreScale(0.0, 1.0))
        plain, with_text = (made.search([part], SearchOptions(), texts) for texts in ([], [sentence("a telescope")]))
        assert plain == with_text


def test_words_stay_when_the_library_is_opened_again(tmp_path):
    with Library(tmp_path) as made:
        made.register(video(VIDEO, duration_seconds=100.0), MODEL)
        put(made.words.store)
    with Library(tmp_path) as again:
        assert search(again, "Webb Space Telescope").matches[0].line.line == TALK[1][2]
