"""What the reader takes and gives. This imports nothing that takes memory, so that an idle executor needs little."""

from dataclasses import dataclass, field
from pathlib import Path

from executors.word_reader.timed_line import TimedLine

MODEL_ID = "sentences/use-multilingual-3"  # of the embeddings


@dataclass(frozen=True)
class ReaderOptions:
    """What to read with.

    Attributes:
        sources: that can be read here.
        speech_model: as in CLIPSEEK_SPEECH_MODEL.
        cache: as CLIPSEEK_CACHE.
        device: as CLIPSEEK_DEVICE.
    """

    sources: tuple[str, ...]
    speech_model: str
    cache: Path
    device: str


@dataclass(frozen=True)
class SpanMaterial:
    """What the loader gathered of the span `[start_seconds, end_seconds)`: see WordSpan."""

    start_seconds: float
    end_seconds: float
    lines: list[TimedLine]
    sound: bytes = b""
    sound_start_seconds: float = 0.0
    stills: list[bytes] = field(default_factory=list)
    still_start_seconds: list[float] = field(default_factory=list)
    still_end_seconds: list[float] = field(default_factory=list)
    language: str = ""
    likely_language: str = ""


@dataclass
class SpanReading:
    """The words of a span; `languages`: the most frequent first.

    `embeddings`: float16 [vectors, 512] as bytes, of each line and its parts; `vector_counts`: how many each line has.
    """

    lines: list[TimedLine] = field(default_factory=list)
    embeddings: bytes = b""
    vector_counts: list[int] = field(default_factory=list)
    model_id: str = ""  # of the embeddings
    languages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
