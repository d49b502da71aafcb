"""Real speech is recognised with its times and language; music, noise and silence give nothing."""

import re
from itertools import pairwise

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from clipseek.api.limits import SOUND_AFTER_SECONDS, SOUND_BEFORE_SECONDS
from executors.word_reader.speech.recogniser import SpanSound, group_pieces, read_speech
from executors.word_reader.speech.voice import RATE, Piece
from executors.word_reader.timed_line import TimedLine
from tests.unit.word_reader.conftest import to_bytes

KENNEDY = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
MANDARIN = "广州市房地产中介协会分析"
TIME = np.arange(20 * RATE) / RATE


def whole(sound: bytes) -> SpanSound:
    return SpanSound(sound, 0.0, 0.0, len(sound) / 2 / RATE)


def plain(lines: list[TimedLine]) -> str:
    return re.sub(r"[^\w ]", "", " ".join(line.text for line in lines).lower())


def tone(hertz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * TIME)


def drums() -> np.ndarray:
    beat = np.exp(-12 * (TIME % 0.5)) * np.sin(2 * np.pi * 60 * TIME)
    return 0.8 * beat + 0.3 * np.random.default_rng(1).uniform(-1, 1, TIME.size) * np.exp(-30 * ((TIME + 0.25) % 0.5))


def melody() -> np.ndarray:
    notes = 220 * 2 ** (np.floor((TIME * 2) % 8) / 12)
    return 0.4 * np.sin(2 * np.pi * np.cumsum(notes) / RATE)


SOUNDS = {
    "silence": np.zeros(TIME.size),
    "hum": 0.4 * tone(50) + 0.2 * tone(100) + 0.1 * tone(150),
    "chords": 0.3 * (tone(261.6) + tone(329.6) + tone(392.0)) * (0.6 + 0.4 * tone(2)),
    "melody": melody(),
    "drums": drums(),
    "music": 0.5 * drums() + 0.5 * melody() + 0.1 * (tone(130.8) + tone(196.0)),
    "noise": 0.3 * np.random.default_rng(2).normal(size=TIME.size),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_no_sound_without_speech_gives_words(recogniser, kind):
    assert read_speech(recogniser, whole(to_bytes(SOUNDS[kind])), "", "") == []


@pytest.mark.parametrize("length", [0, 1, 100, RATE // 10])
def test_hardly_any_sound_gives_no_words(recogniser, length):
    assert read_speech(recogniser, whole(to_bytes(np.full(length, 0.5))), "", "") == []


def test_english_is_recognised_with_its_times(recogniser, kennedy):
    lines = read_speech(recogniser, whole(kennedy), "", "")
    assert plain(lines) == KENNEDY
    assert {line.language for line in lines} == {"en"}
    assert lines[0].start_seconds == pytest.approx(0.32, abs=0.3)
    assert lines[-1].end_seconds == pytest.approx(10.4, abs=0.5)
    assert all(0.5 < line.confidence <= 1 for line in lines)


def test_mandarin_is_recognised_but_for_some_signs(recogniser, mandarin):
    import opencc

    lines = read_speech(recogniser, whole(mandarin), "", "")
    text = opencc.OpenCC("t2s").convert("".join(line.text for line in lines))
    assert {line.language for line in lines} == {"zh"}
    assert Levenshtein.distance(re.sub(r"\W", "", text), MANDARIN) <= 3


def test_speech_after_a_minute_of_silence_has_its_own_times(recogniser, kennedy):
    sound = bytes(2 * RATE * 60) + kennedy
    lines = read_speech(recogniser, whole(sound), "en", "")
    assert plain(lines) == KENNEDY
    assert lines[0].start_seconds == pytest.approx(60.32, abs=0.3)


@pytest.mark.parametrize("boundary", [3.0, 8.2, 14.0])
def test_spans_neither_lose_nor_repeat_a_sentence(recogniser, kennedy, boundary):
    """The sound of a span reaches beyond it on both sides, as the loader sends it."""
    sound = kennedy + bytes(2 * RATE) + kennedy
    length = len(sound) / 2 / RATE
    lines = []
    for start, end in ((0.0, boundary), (boundary, length)):
        begin = max(0.0, start - SOUND_BEFORE_SECONDS)
        until = min(length, end + SOUND_AFTER_SECONDS)
        part = sound[2 * round(begin * RATE) : 2 * round(until * RATE)]
        lines += read_speech(recogniser, SpanSound(part, begin, start, end), "en", "")
    assert plain(lines) == f"{KENNEDY} {KENNEDY}"
    assert all(a.start_seconds < b.start_seconds for a, b in pairwise(lines))


def test_subtitles_in_its_language_replace_it(recogniser, kennedy):
    shown = [TimedLine(0.0, 11.0, "And so", "subtitle", "en")]
    other = [TimedLine(0.0, 11.0, "所以", "subtitle", "zh")]
    sparse = [TimedLine(0.0, 1.0, "And so", "subtitle", "en")]
    assert read_speech(recogniser, whole(kennedy), "", "", shown) == []
    assert plain(read_speech(recogniser, whole(kennedy), "", "", other)) == KENNEDY
    assert plain(read_speech(recogniser, whole(kennedy), "", "", sparse)) == KENNEDY


@pytest.mark.parametrize("language", ["en-US", "English", "Klingon", "xx"])
def test_a_language_may_be_written_in_any_way_and_an_unknown_one_is_heard(recogniser, kennedy, language):
    lines = read_speech(recogniser, whole(kennedy), language, "xx")
    assert ({line.language for line in lines}, plain(lines)) == ({"en"}, KENNEDY)


def test_the_likely_language_is_taken_where_the_sound_leaves_it_open(recogniser, monkeypatch):
    answers = iter([("en", 0.4, [("en", 0.4), ("de", 0.3)]), ("en", 0.9, [("en", 0.9), ("de", 0.1)])])
    monkeypatch.setattr(recogniser._model, "detect_language", lambda sound: next(answers))
    passage = [np.zeros(RATE, np.float32)]
    assert recogniser.choose_language(passage, "de") == "de"
    assert recogniser.choose_language(passage, "de") == "en"


def test_pieces_are_heard_together_and_parted_at_a_long_pause():
    def piece(start: float, end: float) -> Piece:
        return Piece(*(round(second * RATE) for second in (start, end, start, end)))

    pieces = [piece(0, 8), piece(8.5, 16), piece(18, 24), piece(24.5, 28), piece(40, 44)]
    assert [len(group) for group in group_pieces(pieces)] == [4, 1]
    pieces = [piece(0, 8), piece(8.5, 16), piece(18, 24), piece(24.5, 34)]
    assert [len(group) for group in group_pieces(pieces)] == [2, 2]
