"""Misspelt words are found, and correct ones are left alone."""

import random
import re
from collections import Counter

import pytest
from rapidfuzz.distance import OSA

from benchmarks.quality.cases import LANGUAGES, read_queries
from benchmarks.spelling import NONE, RIGHT, WRONG, judge, list_mistakes, misspell
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.spelling import Spelling, read_spelling
from tests.markdown import ROOT


@pytest.fixture(scope="session")
def spelling(starter):
    return read_spelling(starter.checkpoint.parent)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a white rabit in the gras", ("rabit", "rabbit")),
        ("Rabit", ("Rabit", "rabbit")),
        ("an elephent", ("elephent", "elephant")),
        ("mushrom on the table", ("mushrom", "mushroom")),
        ("a woman with an umbrela", ("umbrela", "umbrella")),
        ("a red vehicel", ("vehicel", "vehicle")),
        ("a buterfly", ("buterfly", "butterfly")),
        ("a bootle of water", ("bootle", "bottle")),
        ("a white rabbit", None),
        ("rabbits running and jumping past sandcastles", None),
        ("un gato negro en la playa", None),
        ("ein schwarzer Hund", None),
        ("the painter Rabit", None),  # a name
        ("rabit-42, rabit's, cabl", None),  # not plain words, or too short to tell
        ("一只 rabit", None),  # the text is Chinese
    ],
)
def test_a_misspelt_word_that_is_close_to_a_class_is_found(spelling, text, mistake):
    assert spelling.find_mistake(text) == mistake


def test_no_correct_query_is_corrected(spelling):
    sets = [read_queries(everyday, code) for code in LANGUAGES for everyday in (False, True)]
    labels = [label for true, absurd in sets for label in true + absurd]
    texts = [*(label.query for label in labels), *NEUTRAL_PHRASES]
    assert {text: spelling.find_mistake(text) for text in texts if spelling.find_mistake(text)} == {}


def test_no_correct_word_of_a_long_english_text_is_corrected(spelling):
    prose = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    words = set(
        re.findall(r"(?<![\w`/.-])[a-z]{5,}(?![\w`/.-])", re.sub(r"```.*?```|`[^`]*`", "", prose, flags=re.DOTALL))
    )
    assert len(words) > 1000
    assert {word: spelling.find_mistake(word) for word in words if spelling.find_mistake(word)} == {}


def test_of_several_close_words_the_one_with_fewest_edits_is_meant():
    spelling = Spelling(["castle", "cattle"], frozenset({"castle", "cattle"}))
    assert spelling.find_mistake("cattlee") == ("cattlee", "cattle")


def test_the_benchmark_makes_mistakes_of_one_letter():
    source = random.Random(1)
    assert {OSA.distance("rabbit", misspell("rabbit", source)) for _ in range(200)} == {0, 1}  # "bb" may change places


def test_most_mistakes_get_the_right_word_and_hardly_any_another(spelling):
    mistakes = list_mistakes(spelling)[::10]
    counts = Counter(judge(spelling, text, word) for text, word in mistakes)
    assert counts[RIGHT] > 0.7 * len(mistakes)
    assert counts[WRONG] < 0.03 * len(mistakes)
    assert counts[NONE] == len(mistakes) - counts[RIGHT] - counts[WRONG]


def test_a_model_without_words_corrects_nothing(tmp_path):
    assert read_spelling(tmp_path) is None
