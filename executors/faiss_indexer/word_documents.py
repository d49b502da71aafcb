"""The indexer's documents about words: from the wire to what the store keeps, and back."""

from collections.abc import Iterable

import numpy as np

from clipseek.api.base_document import shared_fields
from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt, sendable
from clipseek.api.limits import MAX_CUE_CHARACTERS, WORD_SOURCES, WORD_SPAN_SECONDS
from clipseek.schema import Cue, DocList, Video, WordSpan
from executors.faiss_indexer.store.records import VideoRecord
from executors.faiss_indexer.store.spans import MAX_SPAN_FRAMES, is_planned, plan_spans
from executors.faiss_indexer.words.cue_store import StoredCue, Vectors, WordFacts

_LENGTH_TOLERANCE = 0.02  # of a unit vector in float16


def check_span(doc: WordSpan, video: VideoRecord) -> None:
    """Raises: InvalidRequest: the video has no such span of words, or there is no such source."""
    span = doc.start_seconds, doc.end_seconds
    if not is_planned(span, video.duration_seconds, WORD_SPAN_SECONDS):
        raise InvalidRequest(
            f"The span [{span[0]:g}, {span[1]:g}) s of words is none of '{video.title}'. Send the spans that /videos "
            "lists for it."
        )
    if unknown := [source for source in doc.sources if source not in WORD_SOURCES]:
        raise InvalidRequest(
            f"There is no source of words '{excerpt(unknown[0])}'. Choose from: {', '.join(WORD_SOURCES)}."
        )


def check_text(text: str) -> str:
    """The text of a line, as it is stored. Raises: InvalidRequest: it is too long."""
    text = " ".join(sendable(text).split())
    if len(text) > MAX_CUE_CHARACTERS:
        raise InvalidRequest(f"The text has {len(text)} characters, but a line may have {MAX_CUE_CHARACTERS}.")
    return text


def cues_of(doc: WordSpan) -> tuple[list[StoredCue], list[Vectors]]:
    """The lines of a span, and the vectors of what each means. Raises: InvalidRequest."""
    for cue in doc.cues:
        if cue.source not in WORD_SOURCES or not 0 <= cue.confidence <= 1 or cue.end_seconds < cue.start_seconds:
            raise InvalidRequest(
                f"A line at {cue.start_seconds:g} s is damaged: it needs a source, a confidence from 0 to 1, and an "
                "end after its start."
            )
    lines = [
        StoredCue(
            0,
            doc.video_id,
            cue.start_seconds,
            cue.end_seconds,
            check_text(cue.text),
            cue.source,
            cue.language[:8],
            cue.confidence,
        )
        for cue in doc.cues
    ]
    return lines, _vectors_of(doc)


def _vectors_of(doc: WordSpan) -> list[Vectors]:
    counts = doc.vector_counts or [1] * len(doc.cues)
    total, size_bytes = sum(counts), len(doc.embeddings)
    dimensions, rest = divmod(size_bytes, 2 * total) if total else (0, size_bytes)
    are_counts = len(counts) == len(doc.cues) and min(counts, default=1) >= 1 and total <= MAX_SPAN_FRAMES
    if rest or bool(dimensions) != bool(total) or not are_counts:
        raise InvalidRequest(
            f"{len(doc.cues)} lines with {total} vectors have {size_bytes} bytes of them: each line needs one or more "
            "vectors, and each of these two bytes for each dimension."
        )
    vectors = np.frombuffer(doc.embeddings, np.float16).reshape(total, dimensions)
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    if not np.all(np.abs(lengths - 1) < _LENGTH_TOLERANCE):
        raise InvalidRequest("Some vectors of the lines are not of unit length.")
    return np.split(vectors, np.cumsum(counts)[:-1]) if counts else []


def as_documents(cues: Iterable[StoredCue]) -> DocList[Cue]:
    return DocList[Cue](Cue(**shared_fields(cue, Cue)) for cue in cues)


def fill_in_words(doc: Video, facts: WordFacts, video: VideoRecord, *, is_reading: bool, alone: bool) -> None:
    """Put what is known of a video's words into its document; if it is described alone, all of it.

    Args:
        is_reading: whether the service reads words at all.
    """
    plan = plan_spans(video.duration_seconds, WORD_SPAN_SECONDS)
    missing = [span for span in plan if span not in facts.spans]
    doc.words = "read" if not missing else "reading" if facts.wanted and is_reading else ""
    doc.cues = sum(facts.spans.values())
    doc.language, doc.no_words = facts.language, not facts.wanted
    doc.word_languages, doc.word_sources = facts.languages, facts.sources
    if alone:
        doc.word_notes = facts.notes
        doc.missing_word_start_seconds = [start for start, _ in missing]
        doc.missing_word_end_seconds = [end for _, end in missing]
