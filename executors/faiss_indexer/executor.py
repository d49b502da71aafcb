"""The indexer on the wire: documents in, the library's answers out."""

import asyncio
import logging
import time
from dataclasses import fields
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from clipseek.documents import DocList
from clipseek.errors import InvalidRequest, StoreError
from clipseek.query_parts import check_query
from clipseek.schema import Component, Match, Query, Video, VideoSpan
from executors.base import ChainExecutor, endpoint
from executors.faiss_indexer.library import Library, SearchAnswer
from executors.faiss_indexer.queries import Part, SearchOptions
from executors.faiss_indexer.spans import missing_spans
from executors.faiss_indexer.store import Frames, VideoRecord

logger = logging.getLogger(__name__)

_LOCK_SECONDS = 10.0  # a server that was killed a moment ago lets go of the lock within one


class FaissIndexer(ChainExecutor):
    """Stores spans, answers searches, lists and deletes videos."""

    def load(self) -> None:
        self._lock = FileLock(self.settings.home / "server.lock")
        try:
            self.settings.home.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout as error:
            raise StoreError(
                f"The store {self.settings.home} is in use by another server. Stop that one, or give this one a store "
                f"of its own with CLIPSEEK_HOME."
            ) from error
        self.library = Library(self.settings.home)

    @endpoint("/probe")
    async def probe(self, docs: DocList[Video], **_: Any) -> DocList[Video]:
        for doc in docs:
            await self.in_worker(self._register, doc)
        return docs

    @endpoint("/index")
    async def index(self, docs: DocList[VideoSpan], **_: Any) -> DocList[VideoSpan]:
        for doc in docs:
            await self.in_worker(self._store, doc)
        return docs

    @endpoint("/search")
    async def search(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        for doc in docs:
            await asyncio.to_thread(self._search, doc)
        return docs

    @endpoint("/timeline")
    async def timeline(self, docs: DocList[Query], **_: Any) -> DocList[Query]:
        for doc in docs:
            await asyncio.to_thread(self._timeline, doc)
        return docs

    @endpoint("/delete")
    async def delete(self, docs: DocList[Video], **_: Any) -> DocList[Video]:
        for doc in docs:
            await self.in_worker(self.library.delete, doc.video_id)
            doc.status = "deleted"
            logger.info("deleted %s", doc.video_id)
        return docs

    @endpoint("/videos")
    async def videos(self, docs: DocList[Video], **_: Any) -> DocList[Video]:
        return await asyncio.to_thread(self._list, docs[0].video_id if docs else "")

    def component(self) -> Component:
        store = self.library.store
        return Component(
            name=self.executor_name,
            facts={
                "store": str(store.path),
                "videos": str(len(store.videos())),
                "frames": str(store.frame_count()),
                "model_id": store.model_id if store.frame_count() else "",
            },
        )

    def close(self) -> None:
        super().close()
        self.library.close()
        self._lock.release()

    def _register(self, doc: Video) -> None:
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
        )
        if record.frames_per_second <= 0 and not self.library.store.known_videos([record.video_id]):
            record = VideoRecord(**vars(record) | {"frames_per_second": self.settings.frames_per_second})
        self._describe(doc, self.library.register(record, doc.model_id))

    def _store(self, doc: VideoSpan) -> None:
        started = time.monotonic()
        vectors = np.frombuffer(doc.embeddings, np.float16).reshape(len(doc.pts_seconds), -1 if doc.pts_seconds else 0)
        cuts = np.array(doc.cut_seconds, dtype=np.float64)
        frames = Frames(np.array(doc.pts_seconds, dtype=np.float64), vectors, cuts)
        self.library.put_span(doc.video_id, (doc.start_seconds, doc.end_seconds), frames, doc.model_id)
        doc.embeddings, doc.pts_seconds, doc.cut_seconds = b"", [], []
        doc.stored, doc.frames = True, len(vectors)
        seconds = time.monotonic() - started
        span = f"[{doc.start_seconds:.1f}, {doc.end_seconds:.1f})"
        logger.info("stored %d frames of %s of %s in %.3f s", doc.frames, span, doc.video_id, seconds)

    def _search(self, doc: Query) -> None:
        started = time.monotonic()
        options = _options(doc)
        answer = self.library.search(self._parts(doc), options)
        _fill_in(doc, answer)
        _log("search", answer, started)

    def _timeline(self, doc: Query) -> None:
        started = time.monotonic()
        options = _options(doc)
        if len(options.video_ids) != 1:
            raise InvalidRequest(f"A timeline is that of one video, but {len(options.video_ids)} are named.")
        made = self.library.timeline(self._parts(doc), options)
        doc.curve_pts_seconds, doc.curve_scores = made.pts_seconds.tolist(), made.scores.tolist()
        doc.shot_start_seconds = made.shot_start_seconds
        _fill_in(doc, made.answer)
        _log("timeline", made.answer, started)

    def _parts(self, doc: Query) -> list[Part]:
        """The parts of a query as vectors: those that the encoders made, and those that are in the store already."""
        check_query(doc)
        parts = [_part(doc.embedding, 1.0, doc.model_id)] if doc.text.strip() else []
        for part in doc.parts:
            if part.video_id:
                parts.append(self.library.moment(part.video_id, part.at_seconds, part.weight))
            else:
                parts.append(_part(part.embedding, part.weight, part.model_id))
        return parts

    def _list(self, video_id: str) -> DocList[Video]:
        store = self.library.store
        docs = DocList[Video]()
        for record in [store.video(video_id)] if video_id else store.videos():
            doc = Video()
            self._describe(doc, record)
            if video_id:
                doc.shot_start_seconds = [start for start, _ in store.shots(video_id)]
            docs.append(doc)
        return docs

    def _describe(self, doc: Video, record: VideoRecord) -> None:
        """Fill in what the store knows of a video."""
        for name, value in vars(record).items():
            setattr(doc, name, value)
        stored = self.library.store.stored_spans(record.video_id)
        missing = missing_spans(record.duration_seconds, stored)
        doc.frames = sum(stored.values())
        doc.missing_start_seconds = [start for start, _ in missing]
        doc.missing_end_seconds = [end for _, end in missing]
        doc.status = "indexing" if missing else "ready"
        doc.model_id = doc.model_id or self.library.store.model_id


def _options(doc: Query) -> SearchOptions:
    names = [field.name for field in fields(SearchOptions) if field.name != "video_ids"]
    return SearchOptions(video_ids=tuple(dict.fromkeys(doc.video_ids)), **{name: getattr(doc, name) for name in names})


def _part(embedding: list[float], weight: float, model_id: str) -> Part:
    if not embedding:
        raise InvalidRequest(
            "A text or an image of the query came to the indexer without its embedding. Send queries to the whole "
            "Flow, not to one executor."
        )
    return Part(np.array(embedding, dtype=np.float32), weight, model_id)


def _fill_in(doc: Query, answer: SearchAnswer) -> None:
    doc.embedding = []
    for part in doc.parts:
        part.embedding = []
    doc.matches = DocList[Match](
        Match(
            video_id=found.video.video_id,
            title=found.video.title,
            start_seconds=found.segment.start_seconds,
            end_seconds=found.segment.end_seconds,
            score=found.score,
            peak_seconds=found.segment.peak_seconds,
        )
        for found in answer.found
    )
    doc.answered = True
    for name in ("nothing_matches", "cut_off", "withheld", "more", "videos_searched", "frames_searched"):
        setattr(doc, name, getattr(answer, name))


def _log(what: str, answer: SearchAnswer, started: float) -> None:
    logger.info(
        "%s: %d matches in %d videos, %d frames, %d withheld, %.3f s",
        what,
        len(answer.found),
        answer.videos_searched,
        answer.frames_searched,
        answer.withheld,
        time.monotonic() - started,
    )
