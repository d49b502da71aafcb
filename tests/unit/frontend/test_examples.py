"""Example searches are those that the library answers well, few of them, and none where nothing does."""

from types import SimpleNamespace

import pytest

from clipseek.api.errors import ServerUnreachable
from frontend.components.search.examples import LEAST_SCORE, MOST_SHOWN, PHRASES, answered_phrases
from frontend.texts import LANGUAGES, load_texts


class Library:
    """Answers each phrase with its score; 0 is no match."""

    def __init__(self, **scores):
        self.scores, self.asked = scores, []

    def search(self, text, *, top_k):
        assert top_k == 1
        self.asked.append(text)
        score = self.scores[text]
        return SimpleNamespace(matches=[SimpleNamespace(score=score)] if score else [])


def test_only_what_is_answered_well_is_offered():
    library = Library(a=LEAST_SCORE, b=LEAST_SCORE - 0.01, c=0.0, d=0.9)
    assert answered_phrases(library, "abcd") == ["a", "d"]
    assert answered_phrases(Library(a=0.0, b=0.5), "ab") == []


def test_no_more_is_asked_than_needed():
    library = Library(**dict.fromkeys("abcdef", 0.9))
    assert answered_phrases(library, "abcdef") == ["a", "b", "c"] == library.asked
    assert MOST_SHOWN == 3 and len(PHRASES) <= 6


def test_a_service_that_does_not_answer_offers_nothing():
    def fail(*_, **__):
        raise ServerUnreachable("down")

    assert answered_phrases(SimpleNamespace(search=fail), "ab") == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_own_phrases(language):
    phrases = [load_texts(language)(key) for key in PHRASES]
    assert len(set(phrases)) == len(PHRASES)
    assert all(phrase.isascii() == (language == "en") for phrase in phrases)
