"""The indexer on the wire: documents in, the library's answers out."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from clipseek.api.base_document import DocList
from clipseek.api.documents import Calibration, Component, Health, Match, Query, QueryPart, Video, VideoSpan
from clipseek.api.errors import InvalidRequest, InvalidTimeRange, ModelMismatch, StoreError
from clipseek.api.query_parts import check_query
from clipseek.api.score_scale import ScoreScale
from clipseek.config.libraries import MAIN, libraries_below, library_folder
from clipseek.config.limits import check_limit
from clipseek.config.shards import check_division, locks_of, shard_folder, shard_of
from clipseek.machine.audit_log import AuditLog
from executors.faiss_indexer.documents import (
    ShardQuery,
    check_calibration,
    fill_in,
    search_options,
    video_of_timeline,
)
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.merging import SearchAnswer
from executors.faiss_indexer.ranking.queries import Part, Vector
from executors.faiss_indexer.ranking.relevance import Relevance
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.store.spans import missing_spans
from executors.faiss_indexer.store.store import Store
from executors.flow import metrics
from executors.flow.callers import Caller
from executors.flow.document_checks import check_document, check_times
from executors.flow.executor import ChainExecutor, endpoint

logger = logging.getLogger(__name__)

_LENGTH_TOLERANCE = 0.02  # of a unit vector in float16
_LOCK_SECONDS = 10.0  # a server that was killed a moment ago lets go of the lock within one


class FaissIndexer(ChainExecutor):
    """Stores spans, answers searches, lists and deletes videos.

    As one of several shards it does so for its own videos, and answers the head's steps (head.py) by the endpoints
    below `/shard/`.
    """

    def load(self) -> None:
        self._shard = int(getattr(self.runtime_args, "shard_id", 0))
        home = self.settings.home
        [lock] = locks_of(home, [self._shard])
        self._lock = FileLock(lock)
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout as error:
            raise StoreError(
                f"The store {home} is in use by another server. Stop that one, or give this one a store "
                f"of its own with CLIPSEEK_HOME."
            ) from error
        check_division(home, self.settings.shards)
        if self.settings.shards == 1:  # the head alone asks for these, and there is none
            for path in [path for path in self.requests if path.startswith("/shard/")]:
                del self.requests[path]
        self._libraries: dict[str, Library] = {}
        self._opening = threading.Lock()
        self._measuring = threading.Lock()
        self._audit = AuditLog(home)
        self.library(MAIN)

    def library(self, name: str) -> Library:
        """A library by its name, or this shard of it, made if there is none yet."""
        if name not in self._libraries:
            with self._opening:
                if name not in self._libraries:
                    folder = shard_folder(library_folder(self.settings.home, name), self._shard, self.settings.shards)
                    folder.mkdir(parents=True, exist_ok=True)
                    self._libraries[name] = self._opened(folder)
        return self._libraries[name]

    def _opened(self, folder: Path) -> Library:
        return Library(folder, self.settings.exact_frames)

    @endpoint("/probe")
    async def probe(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        for doc in docs:
            await self.in_worker(self._register, doc, caller)
        return docs

    @endpoint("/index")
    async def index(self, docs: DocList[VideoSpan], caller: Caller) -> DocList[VideoSpan]:
        for doc in docs:
            await self.in_worker(self._store, doc, caller)
        return docs

    @endpoint("/search")
    async def search(self, docs: DocList[Query], caller: Caller) -> DocList[Query]:
        for doc in docs:
            await asyncio.to_thread(self._search, doc, caller)
        return docs

    @endpoint("/timeline")
    async def timeline(self, docs: DocList[Query], caller: Caller) -> DocList[Query]:
        for doc in docs:
            await asyncio.to_thread(self._timeline, doc, caller)
        return docs

    @endpoint("/calibrate")
    async def calibrate(self, docs: DocList[Calibration], caller: Caller) -> DocList[Calibration]:
        for doc in docs:
            await asyncio.to_thread(self._calibrate, doc, caller)
        return docs

    @endpoint("/delete")
    async def delete(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        for doc in docs:
            await self.in_worker(self._delete, doc, caller)
        return docs

    @endpoint("/videos")
    async def videos(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        return await asyncio.to_thread(self._list, docs[0].video_id if docs else "", caller)

    @endpoint("/health")
    async def health(self, docs: DocList[Health], caller: Caller) -> DocList[Health]:
        docs = await super().health(docs, caller=caller)
        for doc in docs:
            if doc.check_recall:
                doc.components[-1].facts |= await asyncio.to_thread(self._recall, caller)
        return docs

    @endpoint("/shard/claim")
    async def claim(self, docs: DocList[Video], caller: Caller) -> DocList[Video]:
        """Make ready for a model's frames on whichever shard; answers when the last video was added to this one."""
        for doc in docs:
            await self.in_worker(self._claim, doc, caller)
        return docs

    @endpoint("/shard/moments")
    async def moments(self, docs: DocList[ShardQuery], caller: Caller) -> DocList[ShardQuery]:
        """Find the moments that parts of a query name, those of this shard's videos."""
        for doc in docs:
            await asyncio.to_thread(self._moments, doc, caller)
        return docs

    @endpoint("/shard/frames")
    async def frames(self, docs: DocList[ShardQuery], caller: Caller) -> DocList[ShardQuery]:
        """Say what the head must know of this shard's frames before a query, whatever that is."""
        for doc in docs:
            await asyncio.to_thread(self._frames, doc, caller)
        return docs

    @endpoint("/shard/search")
    async def shard_search(self, docs: DocList[ShardQuery], caller: Caller) -> DocList[ShardQuery]:
        """As `/search`, of this shard's videos: all matches that may have a place on the page or before it."""
        for doc in docs:
            await asyncio.to_thread(self._shard_search, doc, caller)
        return docs

    @endpoint("/shard/timeline")
    async def shard_timeline(self, docs: DocList[ShardQuery], caller: Caller) -> DocList[ShardQuery]:
        """As `/timeline`, of a video of this shard."""
        for doc in docs:
            await asyncio.to_thread(self._timeline, doc, caller)
        return docs

    @endpoint("/shard/shift")
    async def shift(self, docs: DocList[ShardQuery], caller: Caller) -> DocList[ShardQuery]:
        """Keep what was fitted to the library. The head asks the first shard alone, so that all have the same."""
        for doc in docs:
            await self.in_worker(self._keep_shift, doc, caller)
        return docs

    def store_folders(self) -> list[Path]:
        libraries = (library_folder(self.settings.home, name) for name in libraries_below(self.settings.home))
        folders = (shard_folder(folder, self._shard, self.settings.shards) for folder in libraries)
        return [folder for folder in folders if (folder / "index.db").exists()]

    def component(self, caller: Caller, /) -> Component:
        library = self.library(caller.library)
        store = library.store
        return Component(
            name=self.executor_name,
            facts={
                "store": str(store.path),
                "videos": str(len(store.videos())),
                "frames": str(library.frame_count),
                "index": library.index_kind,
                "model_id": store.model_id if library.frame_count else "",
                "fitted_shift": f"{library.relevance.fitted_shift:.3f}",
            },
        )

    def close(self) -> None:
        super().close()
        for library in self._libraries.values():
            library.close()
        self._lock.release()

    def _recall(self, caller: Caller) -> dict[str, str]:
        with self._measuring:  # one at a time: each reads all of a store
            found = self.library(caller.library).recall()
        return {
            "recall_before": f"{found.before:.4f}",
            "recall": f"{found.share:.4f}",
            "recall_queries": str(found.queries),
            "index": found.kind,
        }

    def _register(self, doc: Video, caller: Caller) -> None:
        check_document(doc, self.settings)
        library = self.library(caller.library)
        record = VideoRecord(
            video_id=doc.video_id,
            title=doc.title,
            size_bytes=doc.size_bytes,
            duration_seconds=doc.duration_seconds,
            width=doc.width,
            height=doc.height,
            fps=doc.fps,
            codec=doc.codec,
            container=doc.container,
            rotation_degrees=doc.rotation_degrees,
            has_audio=doc.has_audio,
            frames_per_second=doc.frames_per_second,
            sampling=doc.sampling,
        )
        known = library.store.known_videos([record.video_id])
        if record.frames_per_second <= 0 and not known:
            record = VideoRecord(**vars(record) | {"frames_per_second": self.settings.frames_per_second})
        kept = library.register(record, doc.model_id, doc.added_at if self.settings.shards > 1 else 0.0)
        if not known:
            self._note("added", kept, caller)
        elif known[0].title != kept.title:
            self._note("renamed", kept, caller)
        _describe(doc, kept, library.store)

    def _store(self, doc: VideoSpan, caller: Caller) -> None:
        check_document(doc, self.settings)
        check_times(doc)
        library = self.library(caller.library)
        started = time.monotonic()
        vectors = _embeddings(doc)
        if len(vectors):
            _check_dimensions(vectors.shape[1], library)
        cuts = np.array(doc.cut_seconds, dtype=np.float64)
        blank = np.array(doc.blank, dtype=np.bool_)
        frames = Frames(np.array(doc.pts_seconds, dtype=np.float64), vectors, cuts, blank)
        was_complete = _is_complete(doc.video_id, library.store)
        with metrics.step("store"):
            library.put_span(doc.video_id, (doc.start_seconds, doc.end_seconds), frames, doc.model_id)
        if not was_complete and _is_complete(doc.video_id, library.store):
            self._note("indexed", library.store.video(doc.video_id), caller)
        doc.embeddings, doc.pts_seconds, doc.cut_seconds, doc.blank = b"", [], [], []
        doc.stored, doc.frames = True, len(vectors)
        seconds = time.monotonic() - started
        span = f"[{doc.start_seconds:.1f}, {doc.end_seconds:.1f})"
        logger.info("stored %d frames of %s of %s in %.3f s", doc.frames, span, doc.video_id, seconds)

    def _delete(self, doc: Video, caller: Caller) -> None:
        library = self.library(caller.library)
        known = library.store.known_videos([doc.video_id])
        library.delete(doc.video_id)
        doc.status = "deleted"
        for video in known:
            self._note("deleted", video, caller)
        logger.info("deleted %s", doc.video_id)

    def _note(self, what: str, video: VideoRecord, caller: Caller) -> None:
        """Put a change into the audit log."""
        self._audit.write(what, caller=caller.name, library=caller.library, video_id=video.video_id, title=video.title)

    def _search(self, doc: Query, caller: Caller) -> None:
        check_document(doc, self.settings)
        check_limit(self.settings, "max_top_k", doc.top_k, f"top_k, {doc.top_k},")
        started = time.monotonic()
        options = search_options(doc)
        library = self.library(caller.library)
        with metrics.step("index"):
            answer = library.search(_parts(doc, library), options)
        fill_in(doc, answer, _matches(answer.matches))
        _log("search", answer, started)

    def _timeline(self, doc: Query, caller: Caller) -> None:
        check_document(doc, self.settings)
        started = time.monotonic()
        options = search_options(doc)
        video_of_timeline(options)
        library = self.library(caller.library)
        relevance = _relevance(doc) if isinstance(doc, ShardQuery) else None
        made = library.timeline(_parts(doc, library), options, relevance)
        doc.curve_pts_seconds, doc.curve_scores = made.pts_seconds.tolist(), made.scores.tolist()
        doc.shot_start_seconds = made.shot_start_seconds
        fill_in(doc, made.answer, _matches(made.answer.matches))
        _log("timeline", made.answer, started)

    def _claim(self, doc: Video, caller: Caller) -> None:
        check_document(doc, self.settings)
        library = self.library(caller.library)
        library.claim(doc.model_id)
        doc.added_at = library.store.last_added_at()

    def _moments(self, doc: ShardQuery, caller: Caller) -> None:
        check_document(doc, self.settings)
        library = self.library(caller.library)
        for place, part in enumerate(doc.parts):
            if part.video_id and self._is_own(part.video_id):
                found = library.moment(part.video_id, part.at_seconds)
                part.embedding = found.vector.tolist()
                if found.moment:
                    doc.moment_start_seconds[place], doc.moment_end_seconds[place] = found.moment[1]

    def _frames(self, doc: ShardQuery, caller: Caller) -> None:
        library = self.library(caller.library)
        total, doc.frame_count = library.frame_sum()
        doc.frame_sum, doc.fitted_shift = total.tobytes(), library.relevance.fitted_shift

    def _shard_search(self, doc: ShardQuery, caller: Caller) -> None:
        check_document(doc, self.settings)
        library = self.library(caller.library)
        options, parts = search_options(doc), _parts(doc, library)
        # The head has the query: vectors take long to travel.
        doc.parts, doc.embedding, doc.curve_embedding, doc.neutral_embedding = DocList[QueryPart](), [], [], []
        own = tuple(filter(self._is_own, options.video_ids))
        if options.video_ids and not own:
            return
        options = replace(options, video_ids=own)
        try:
            with metrics.step("index"):
                found = library.rank(parts, options, _relevance(doc)).list_all()
            doc.videos_searched, doc.frames_searched = library.count_searched(options)
        except InvalidTimeRange as error:  # videos of another shard may reach that far
            doc.outside = str(error)
        else:
            doc.matches, doc.values = _matches(found), [each.segment.score for each in found]

    def _keep_shift(self, doc: ShardQuery, caller: Caller) -> None:
        check_document(doc, self.settings)
        self.library(caller.library).keep_shift(doc.shift, doc.model_id)
        self._audit.write("calibrated", caller=caller.name, library=caller.library)
        doc.answered = True

    def _is_own(self, video_id: str) -> bool:
        return shard_of(video_id, self.settings.shards) == self._shard

    def _calibrate(self, doc: Calibration, caller: Caller) -> None:
        check_document(doc, self.settings)
        check_calibration(doc)
        library = self.library(caller.library)
        phrase = np.array(doc.neutral_embedding, dtype=np.float32)
        parts = [_part(part, 1.0, phrase if len(phrase) else None) for part in doc.phrases]
        _check_vectors(parts, library)
        doc.phrases, doc.neutral_embedding = DocList[QueryPart](), []
        if doc.reset:
            library.forget_calibration()
        else:
            for name, value in vars(library.calibrate(parts, doc.answered_share)).items():
                setattr(doc, name, value)
        doc.done = True
        self._audit.write("calibrated", caller=caller.name, library=caller.library)
        logger.info("calibrated: shift %.3f, %d of %d phrases answered", doc.shift, doc.answered, doc.phrase_count)

    def _list(self, video_id: str, caller: Caller) -> DocList[Video]:
        store = self.library(caller.library).store
        docs = DocList[Video]()
        for record in [store.video(video_id)] if video_id else store.videos():
            doc = Video()
            _describe(doc, record, store)
            if video_id:
                doc.shot_start_seconds = [start for start, _ in store.shots(video_id)]
            docs.append(doc)
        return docs


def _describe(doc: Video, record: VideoRecord, store: Store) -> None:
    """Fill in what a store knows of a video."""
    for name, value in vars(record).items():
        setattr(doc, name, value)
    doc.added_at = store.added_at(record.video_id)
    stored = store.stored_spans(record.video_id)
    missing = missing_spans(record.duration_seconds, stored)
    doc.frames = sum(stored.values())
    doc.missing_start_seconds = [start for start, _ in missing]
    doc.missing_end_seconds = [end for _, end in missing]
    doc.status = "indexing" if missing else "ready"
    doc.model_id = doc.model_id or store.model_id


def _is_complete(video_id: str, store: Store) -> bool:
    return not missing_spans(store.video(video_id).duration_seconds, store.stored_spans(video_id))


def _parts(doc: Query, library: Library) -> list[Part]:
    """The parts of a query as vectors: those that the encoders made, and those that are in the store already."""
    check_query(doc)
    phrase = np.array(doc.neutral_embedding, dtype=np.float32) if doc.neutral_embedding else None
    parts = [_part(doc, 1.0, phrase)] if doc.text.strip() else []
    for place, part in enumerate(doc.parts):
        if part.video_id and isinstance(doc, ShardQuery):
            span = doc.moment_start_seconds[place], doc.moment_end_seconds[place]
            parts.append(Part(_vector(part.embedding), part.weight, moment=(part.video_id, span)))
        elif part.video_id:
            parts.append(library.moment(part.video_id, part.at_seconds, part.weight))
        else:
            parts.append(_part(part, part.weight, phrase))
    _check_vectors(parts, library)
    return parts


def _check_vectors(parts: list[Part], library: Library) -> None:
    vectors = [v for p in parts for v in (p.vector, p.mean_phrase, p.curve_vector) if v is not None]
    for vector in vectors:
        _check_dimensions(len(vector), library)
        if len(vector) != len(vectors[0]):
            raise InvalidRequest(f"The query's vectors have {len(vectors[0])} and {len(vector)} dimensions")


def _check_dimensions(dimensions: int, library: Library) -> None:
    if library.dimensions not in (0, dimensions):
        raise ModelMismatch(
            f"The vectors have {dimensions} dimensions, but those of the store {library.dimensions}: another model "
            "made them. Send to the whole Flow, and index anew what an earlier model has indexed."
        )


def _embeddings(doc: VideoSpan) -> npt.NDArray[np.float16]:
    """float16 [frames, dimensions] out of a document."""
    frames, size_bytes = len(doc.pts_seconds), len(doc.embeddings)
    dimensions, rest = divmod(size_bytes, 2 * frames) if frames else (0, size_bytes)
    if rest or bool(dimensions) != bool(frames):
        raise InvalidRequest(f"The embeddings of {frames} frames have {size_bytes} bytes: two for each dimension")
    vectors = np.frombuffer(doc.embeddings, np.float16).reshape(frames, dimensions)
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    if not np.all(np.abs(lengths - 1) < _LENGTH_TOLERANCE):
        raise InvalidRequest("The embeddings of the frames must be of unit length, and some are not")
    return vectors


def _vector(values: list[float]) -> Vector:
    vector = np.array(values, dtype=np.float32)
    if not abs(np.linalg.norm(vector) - 1) < _LENGTH_TOLERANCE:
        raise InvalidRequest("An embedding of the query is not of unit length")
    return vector


def _part(holder: Query | QueryPart, weight: float, mean_phrase: Vector | None) -> Part:
    if not holder.embedding:
        raise InvalidRequest(
            "A text or an image of the query came to the indexer without its embedding. Send queries to the whole "
            "Flow, not to one executor."
        )
    vector = _vector(holder.embedding)
    is_text = holder.zero_cosine < holder.one_cosine
    scale = ScoreScale(holder.zero_cosine, holder.one_cosine, holder.above_background) if is_text else None
    curve_vector = _vector(holder.curve_embedding) if holder.curve_embedding else None
    return Part(vector, weight, holder.model_id, None, scale, mean_phrase, curve_vector)


def _relevance(doc: ShardQuery) -> Relevance:
    """That of the whole library, as the head tells it."""
    mean_frame = np.frombuffer(doc.mean_frame, np.float32)
    return Relevance(lambda: mean_frame, doc.shift)


def _matches(found: Iterable[VideoMatch]) -> DocList[Match]:
    return DocList[Match](
        Match(
            video_id=each.video.video_id,
            title=each.video.title,
            start_seconds=each.segment.start_seconds,
            end_seconds=each.segment.end_seconds,
            score=each.score,
            peak_seconds=each.segment.peak_seconds,
        )
        for each in found
    )


def _log(what: str, answer: SearchAnswer[VideoMatch], started: float) -> None:
    logger.info(
        "%s: %d matches in %d videos, %d frames, %d withheld, %.3f s",
        what,
        len(answer.matches),
        answer.videos_searched,
        answer.frames_searched,
        answer.withheld,
        time.monotonic() - started,
    )
