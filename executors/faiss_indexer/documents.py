"""The indexer's documents: from the wire to what the library computes with, and back."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from clipseek.api.base_document import copy_fields, shared_fields
from clipseek.api.errors import InvalidRequest, ModelMismatch
from clipseek.api.formats import excerpt
from clipseek.api.limits import EVEN
from clipseek.api.score_scale import ScoreScale
from clipseek.schema import Calibration, DocList, Match, Query, TextMeaning, Video, VideoSpan
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.merging import SearchAnswer
from executors.faiss_indexer.ranking.queries import Part, SearchOptions
from executors.faiss_indexer.ranking.queries import Vector as Array
from executors.faiss_indexer.store.records import Frames, StoredVideo, VideoRecord
from executors.faiss_indexer.store.spans import missing_spans, plan_spans
from executors.faiss_indexer.words.word_search import Sentence

_LENGTH_TOLERANCE = 0.02  # of a unit vector in float16


# Queries


def search_options(query: Query) -> SearchOptions:
    """The options of a query. Raises: InvalidTopK, InvalidTimeRange, InvalidRequest."""
    lists = {"video_ids": tuple(dict.fromkeys(query.video_ids)), "look_in": tuple(dict.fromkeys(query.look_in))}
    return SearchOptions(**shared_fields(query, SearchOptions) | lists)


def video_of_timeline(options: SearchOptions) -> str:
    """The one video of a timeline. Raises: InvalidRequest."""
    if len(options.video_ids) != 1:
        raise InvalidRequest(f"A timeline needs exactly one video, but the query names {len(options.video_ids)}.")
    return options.video_ids[0]


def parts_of(doc: Query, library: Library) -> list[Part]:
    """The parts of a query as vectors: those that the encoders made, and those that the store has already."""
    mean_phrase = mean_phrase_of(doc)
    parts = [embedded_part(doc, 1.0, mean_phrase)] if doc.text.strip() else []
    for part in doc.parts:
        if part.video_id:
            parts.append(library.moment(part.video_id, part.at_seconds, part.weight))
        else:
            parts.append(embedded_part(part, part.weight, mean_phrase))
    check_vectors(parts, library)
    return parts


def sentences_of(doc: Query) -> list[Sentence]:
    """The texts of a query, to find in words. Raises: InvalidRequest: a vector is not of unit length."""
    texts = [(doc, 1.0), *((part, part.weight) for part in doc.parts)]
    return [
        Sentence(text.text, unit_vector(text.sentence) if text.sentence else None, weight)
        for text, weight in texts
        if text.text.strip()
    ]


def model_of(doc: Query | Calibration) -> str:
    """The model that embedded a query; "" where none or several did."""
    parts = doc.phrases if isinstance(doc, Calibration) else [doc, *doc.parts]
    model_ids = {part.model_id for part in parts if part.model_id}
    return model_ids.pop() if len(model_ids) == 1 else ""


def check_vectors(parts: list[Part], library: Library) -> None:
    """Raises: InvalidRequest, ModelMismatch: the vectors differ in length, among themselves or from the store's."""
    vectors = [vector for part in parts for vector in (part.vector, part.mean_phrase) if vector is not None]
    for vector in vectors:
        check_dimensions(len(vector), library)
        if len(vector) != len(vectors[0]):
            raise InvalidRequest(f"The query's vectors have {len(vectors[0])} and {len(vector)} dimensions.")


def check_dimensions(dimensions: int, library: Library) -> None:
    """Raises: ModelMismatch: the store holds vectors of another length."""
    if library.index.dimensions not in (0, dimensions):
        raise ModelMismatch(
            f"The vectors have {dimensions} dimensions, but those of the store "
            f"{library.index.dimensions}: another model made them. Send to the whole Flow, and index again what an "
            "earlier model has indexed."
        )


def embedded_part(doc: TextMeaning, weight: float, mean_phrase: Array | None) -> Part:
    """A text or an image of a query, embedded by the encoders. Raises: InvalidRequest."""
    if not doc.embedding:
        raise InvalidRequest(
            "A text or an image of the query came to the indexer without its embedding. Send queries to the whole "
            "Flow, not to one executor."
        )
    is_text = doc.zero_cosine < doc.one_cosine
    scale = ScoreScale(doc.zero_cosine, doc.one_cosine, doc.above_background) if is_text else None
    return Part(unit_vector(doc.embedding), weight, doc.model_id, None, scale, mean_phrase)


def mean_phrase_of(doc: Query | Calibration) -> Array | None:
    """float32 [D], the mean of what neutral phrases mean to the model, or None."""
    return np.array(doc.neutral_embedding, dtype=np.float32) if doc.neutral_embedding else None


def unit_vector(values: list[float]) -> Array:
    """float32 [D]. Raises: InvalidRequest: it is not of unit length."""
    vector = np.array(values, dtype=np.float32)
    if not abs(np.linalg.norm(vector) - 1) < _LENGTH_TOLERANCE:
        raise InvalidRequest("An embedding of the query is not of unit length.")
    return vector


def matches_of(found: Iterable[VideoMatch]) -> DocList[Match]:
    return DocList[Match](
        Match(
            **shared_fields(match.video, Match)
            | shared_fields(match.segment, Match)
            | (shared_fields(match.line, Match) if match.line else {})
            | {"score": match.score, "reasons": list(match.reasons)}
        )
        for match in found
    )


def fill_in(query: Query, answer: SearchAnswer[VideoMatch]) -> None:
    """Put an answer into a query, and remove the embeddings that the encoders left there."""
    query.embedding, query.neutral_embedding, query.sentence = [], [], []
    for part in query.parts:
        part.embedding, part.sentence = [], []
    for name, value in shared_fields(answer, Query).items():
        setattr(query, name, matches_of(value) if isinstance(value, list) else value)
    query.answered = True


def check_calibration(doc: Calibration) -> None:
    """Raises: InvalidRequest: the calibration has no phrases."""
    if not doc.reset and not doc.phrases:
        raise InvalidRequest("There are no phrases to calibrate with. Send calibrations to the whole Flow.")


# Videos


def fill_in_video(doc: Video, stored: StoredVideo, model_id: str) -> None:
    """Put everything that a store knows of a video into its document; `model_id` is that of its vectors."""
    copy_fields(stored.record, doc)
    missing = missing_spans(stored.record.duration_seconds, stored.spans)
    doc.added_at = stored.added_at
    doc.frames = sum(stored.spans.values())
    doc.missing_start_seconds = [start for start, _ in missing]
    doc.missing_end_seconds = [end for _, end in missing]
    doc.status = "indexing" if missing else "ready"
    doc.model_id = doc.model_id or model_id


def check_span(doc: VideoSpan, video: VideoRecord) -> None:
    """Raises: InvalidRequest: the plan of the video has no such span, or samples it in another way."""
    span = doc.start_seconds, doc.end_seconds
    asked = doc.frames_per_second, doc.sampling or EVEN
    planned = video.frames_per_second, video.sampling or EVEN
    if span not in plan_spans(video.duration_seconds) or asked != planned:
        raise InvalidRequest(
            f"The span [{span[0]:g}, {span[1]:g}) s, {excerpt(asked[1])} at {asked[0]:g} frames a second, is none of "
            f"'{video.title}', {planned[1]} at {planned[0]:g}. Send the spans of /probe, as it lists them."
        )


def frames_of(doc: VideoSpan) -> Frames:
    """The frames of a span with their embeddings. Raises: InvalidRequest."""
    return Frames(
        np.array(doc.pts_seconds, dtype=np.float64),
        _embeddings(doc),
        np.array(doc.cut_seconds, dtype=np.float64),
        np.array(doc.blank, dtype=np.bool_),
    )


def _embeddings(doc: VideoSpan) -> npt.NDArray[np.float16]:
    """float16 [frames, dimensions], unit rows."""
    frames, size_bytes = len(doc.pts_seconds), len(doc.embeddings)
    dimensions, rest = divmod(size_bytes, 2 * frames) if frames else (0, size_bytes)
    if rest or bool(dimensions) != bool(frames):
        raise InvalidRequest(
            f"The embeddings of {frames} frames have {size_bytes} bytes: they need two for each dimension."
        )
    vectors = np.frombuffer(doc.embeddings, np.float16).reshape(frames, dimensions)
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    if not np.all(np.abs(lengths - 1) < _LENGTH_TOLERANCE):
        raise InvalidRequest("Some embeddings of the frames are not of unit length.")
    return vectors
