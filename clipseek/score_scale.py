"""Which cosines mean what: how a text encoder tells an indexer to read the cosines of one text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreScale:
    """Where the relevance of frames to one text lies on their cosines: 0 at `zero`, 1 at `one`, linear everywhere.

    At relevance 1 a frame shows what the text says, at 0 it does not; half-way is where matches begin.

    Attributes:
        above_background: both are above the cosine that frames have with the text where nothing fits.
    """

    zero: float = 0.0
    one: float = 1.0
    above_background: bool = False
