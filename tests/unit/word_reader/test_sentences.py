"""Recognised words become lines of one sentence each, none too long to read at once."""

import pytest

from executors.word_reader.speech.sentences import Word, join_sentences


def words_of(text: str, step: float = 0.4, pauses: dict[int, float] | None = None) -> list[Word]:
    """Words one after another, with a pause before those of some numbers."""
    words, time = [], 0.0
    for number, word in enumerate(text.split(" ")):
        time += (pauses or {}).get(number, 0.0)
        words.append(Word(time, time + step, f" {word}", 0.9))
        time += step
    return words


def test_a_line_ends_with_its_sentence():
    lines = join_sentences(words_of("We won. Did we? Yes!"))
    assert [(s.text, s.start, s.end) for s in lines] == [
        ("We won.", 0.0, 0.8),
        ("Did we?", 0.8, pytest.approx(1.6)),
        ("Yes!", pytest.approx(1.6), pytest.approx(2.0)),
    ]


@pytest.mark.parametrize("text", ["Dr. Who met J. F. Kennedy at 3.5 percent", "In the U.S. it rains", "etc. and so on"])
def test_a_full_stop_within_a_sentence_does_not_end_it(text):
    assert [s.text for s in join_sentences(words_of(text))] == [text]


def test_a_pause_ends_a_line():
    lines = join_sentences(words_of("and then he said nothing", pauses={3: 0.8}))
    assert [s.text for s in lines] == ["and then he", "said nothing"]


def test_what_is_too_long_is_cut_at_a_comma_near_its_middle():
    text = " ".join(["one"] * 19) + " two, " + " ".join(["three"] * 20)
    lines = join_sentences(words_of(text))
    assert [s.text.count(" ") + 1 for s in lines] == [20, 20]
    assert lines[0].text.endswith("two,")


def test_no_line_is_longer_than_twelve_seconds():
    lines = join_sentences(words_of(" ".join(["word"] * 500)))
    assert max(s.end - s.start for s in lines) <= 12.0
    assert sum(s.text.count("word") for s in lines) == 500


def test_chinese_has_no_spaces_and_ends_at_its_own_signs():
    words = [Word(n / 5, (n + 1) / 5, sign, 0.9) for n, sign in enumerate("今天很好。明天呢？")]
    assert [s.text for s in join_sentences(words)] == ["今天很好。", "明天呢？"]


def test_nothing_said_is_no_line():
    assert join_sentences([]) == []
