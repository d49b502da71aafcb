"""The scale by which an indexer turns the cosines of one text into relevance; the text encoder provides it."""

from dataclasses import dataclass

MATCHES_BEGIN = 0.7  # the relevance from which a moment counts as a match; see docs/relevance.md
CUT_OFF = 0.5  # the score of that relevance


@dataclass(frozen=True)
class ScoreScale:
    """Relevance as a linear function of the cosine of a frame and a text: 0 at `zero`, 1 at `one`.

    Relevance is 0 for frames that have nothing to do with the text, 1 for a right frame.

    Attributes:
        above_background: `zero` and `one` count from the mean cosine of the text with the library's frames.
    """

    zero: float = 0.0
    one: float = 1.0
    above_background: bool = False
