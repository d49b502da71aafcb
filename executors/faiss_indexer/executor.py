"""The indexer on the wire: documents in, the library's answers out."""

import asyncio
import logging
import time
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from clipseek.documents import DocList
from clipseek.errors import StoreError
from clipseek.schema import Component, Match, Query, Video, VideoSpan
from executors.base import ChainExecutor, endpoint
from executors.faiss_indexer.library import Library, SearchAnswer
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
            sampling=doc.sampling,
        )
        if record.frames_per_second <= 0 and not self.library.store.known_videos([record.video_id]):
            record = VideoRecord(**vars(record) | {"frames_per_second": self.settings.frames_per_second})
        self._describe(doc, self.library.register(record, doc.model_id))

    def _store(self, doc: VideoSpan) -> None:
        started = time.monotonic()
        vectors = np.frombuffer(doc.embeddings, np.float16).reshape(len(doc.pts_seconds), -1 if doc.pts_seconds else 0)
        cuts = np.array(doc.cut_seconds, dtype=np.float64)
        blank = np.array(doc.blank, dtype=np.bool_)
        frames = Frames(np.array(doc.pts_seconds, dtype=np.float64), vectors, cuts, blank)
        self.library.put_span(doc.video_id, (doc.start_seconds, doc.end_seconds), frames, doc.model_id)
        doc.embeddings, doc.pts_seconds, doc.cut_seconds, doc.blank = b"", [], [], []
        doc.stored, doc.frames = True, len(vectors)
        seconds = time.monotonic() - started
        span = f"[{doc.start_seconds:.1f}, {doc.end_seconds:.1f})"
        logger.info("stored %d frames of %s of %s in %.3f s", doc.frames, span, doc.video_id, seconds)

    def _search(self, doc: Query) -> None:
        started = time.monotonic()
        vector = np.array(doc.embedding, dtype=np.float32)
        answer = self.library.search(vector, doc.model_id, doc.top_k, doc.video_ids)
        doc.embedding = []
        _answer(doc, answer)
        logger.info(
            "%d matches in %d videos, %d frames, %.3f s",
            len(doc.matches),
            answer.videos_searched,
            answer.frames_searched,
            time.monotonic() - started,
        )

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


def _answer(doc: Query, answer: SearchAnswer) -> None:
    doc.matches = DocList[Match](
        Match(
            video_id=found.video.video_id,
            title=found.video.title,
            start_seconds=found.segment.start_seconds,
            end_seconds=found.segment.end_seconds,
            score=found.segment.score,
            peak_seconds=found.segment.peak_seconds,
        )
        for found in answer.found
    )
    doc.answered = True
    doc.videos_searched, doc.frames_searched = answer.videos_searched, answer.frames_searched
