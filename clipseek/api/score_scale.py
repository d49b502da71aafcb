"""Which cosines mean what: how a text encoder tells an indexer to read the cosines of one text."""

from dataclasses import dataclass

MATCHES_BEGIN = 0.7  # the relevance from which on a frame counts as a match; see docs/relevance.md


@dataclass(frozen=True)
class ScoreScale:
    """Where the relevance of frames to one text lies on their cosines: 0 at `zero`, 1 at `one`, linear everywhere.

    0 is what frames get that have nothing to do with the text, 1 what a right frame gets.

    Attributes:
        above_background: both are above the cosine that the library's frames have with the text on average.
    """

    zero: float = 0.0
    one: float = 1.0
    above_background: bool = False
