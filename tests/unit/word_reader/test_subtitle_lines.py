"""Subtitles become lines of words, and tell which speech need not be recognised."""

from executors.word_reader.subtitles.cleaning import clean_lines
from executors.word_reader.subtitles.coverage import find_covered, is_covered
from executors.word_reader.timed_line import TimedLine


def line(start: float, end: float, text: str, language: str = "en") -> TimedLine:
    return TimedLine(start, end, text, "subtitle", language)


def texts(*lines: TimedLine) -> list[str]:
    return [each.text for each in clean_lines(lines)]


def test_line_ends_go_and_music_signs_alone_are_dropped():
    assert texts(line(0, 1, "Hello\nthere"), line(1, 2, "♪ ♪"), line(2, 3, "- - -"), line(3, 4, "")) == ["Hello there"]


def test_a_sung_line_stays():
    assert texts(line(0, 1, "♪ Happy birthday ♪")) == ["♪ Happy birthday ♪"]


def test_equal_lines_of_several_tracks_in_a_language_are_one():
    assert texts(line(0, 1, "Hello"), line(0.1, 1, "hello"), line(0, 1, "Hello", "de")) == ["Hello", "Hello"]


def test_a_line_that_is_said_again_later_stays():
    assert texts(line(0, 1, "No."), line(3, 4, "No.")) == ["No.", "No."]


def test_lines_that_go_on_in_mid_sentence_are_joined():
    lines = clean_lines([line(0, 2, "This is the Webb"), line(2.1, 4, "space telescope."), line(4, 6, "it is big")])
    assert [(each.start_seconds, each.end_seconds, each.text) for each in lines] == [
        (0, 4, "This is the Webb space telescope."),
        (4, 6, "it is big"),
    ]


def test_chinese_lines_are_kept_apart():
    assert texts(line(0, 2, "今天天气很好", "zh"), line(2, 4, "我们去公园", "zh")) == ["今天天气很好", "我们去公园"]


def test_right_to_left_text_is_kept_as_it_is():
    assert texts(line(0, 2, "שלום עולם", "he")) == ["שלום עולם"]


def test_a_language_covers_speech_that_its_lines_are_shown_during():
    voices = [(0.0, 10.0), (20.0, 30.0)]
    lines = [line(0, 9, "a"), line(20, 24, "b"), line(0, 3, "x", "zh"), line(10, 20, "y", "fr")]
    assert find_covered(lines, voices) == {"en"}
    assert find_covered(lines, []) == frozenset()


def test_lines_at_the_same_time_count_once():
    assert find_covered([line(0, 2, "a"), line(0, 2, "b"), line(0, 2, "c")], [(0.0, 10.0)]) == frozenset()


def test_unknown_latin_lines_cover_latin_speech_only():
    assert is_covered("en", frozenset([""])) and not is_covered("zh", frozenset([""]))
    assert is_covered("zh", frozenset(["zh"])) and not is_covered("en", frozenset(["zh"]))
