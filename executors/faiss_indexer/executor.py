"""The indexer on the wire: documents in, the library's answers out."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from clipseek.api.base_document import copy_fields, shared_fields
from clipseek.api.errors import InvalidSetting, StoreError
from clipseek.api.limits import WORD_SOURCES
from clipseek.config.libraries import MAIN, library_folder
from clipseek.config.limits import check_limit
from clipseek.config.store_files import check_undivided, lock_of
from clipseek.machine.audit_log import AuditLog
from clipseek.schema import (
    Calibration,
    Component,
    Cue,
    DocList,
    Query,
    QueryPart,
    Transcript,
    Video,
    VideoSpan,
    WordSpan,
)
from executors.faiss_indexer import documents, word_documents
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.model_executor import ModelExecutor
from executors.faiss_indexer.model_libraries import ModelLibraries
from executors.faiss_indexer.ranking.matches import VideoMatch
from executors.faiss_indexer.ranking.merging import SearchAnswer
from executors.faiss_indexer.store.database import list_libraries, open_database
from executors.faiss_indexer.store.records import VideoRecord
from executors.faiss_indexer.store.spans import missing_spans
from executors.faiss_indexer.store.store import Store
from executors.faiss_indexer.words.cue_store import Reading, WordFacts
from executors.flow.callers import Caller
from executors.flow.document_checks import check_frame_times
from executors.flow.endpoint import endpoint
from executors.flow.executor import AT_ONCE, WORKER

CALIBRATION = "calibration"  # a queue of its own: it takes seconds, and waits for the store
LISTS = "lists"  # a queue for lists of all videos: thousands take seconds
_LOCK_SECONDS = 10.0  # a server that was killed a moment ago releases the lock within one


class FaissIndexer(ModelExecutor):
    """Stores spans, answers searches, lists and deletes videos.

    With a store in PostgreSQL there may be several of it, on any machines. Each has an index of its own, which follows
    the store, so each may answer any request.
    """

    def load(self) -> None:
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True)
        self._replica = int(getattr(self.runtime_args, "replica_id", 0))
        self._store_lock = FileLock(lock_of(home))
        if not self.settings.store:
            self._reserve(home)
        self._libraries: dict[str, ModelLibraries] = {}
        self._opening = threading.Lock()
        self.audit = AuditLog(home, self.settings.audit_days)
        self.open_jobs()

    def _reserve(self, home: Path) -> None:
        """Keep other servers away from the SQLite store in `home`. Raises: InvalidSetting, StoreError."""
        if self.settings.indexer_replicas > 1:
            raise InvalidSetting(
                f"CLIPSEEK_INDEXER_REPLICAS is {self.settings.indexer_replicas}, but a store in SQLite serves one "
                "indexer. Set it to 1, or keep the store in PostgreSQL with CLIPSEEK_STORE."
            )
        try:
            self._store_lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout as error:
            raise StoreError(
                f"The store {home} is in use by another server. Stop that one, or give this one a store "
                f"of its own with CLIPSEEK_HOME."
            ) from error
        try:
            check_undivided(home)
        except StoreError:
            self._store_lock.release()
            raise

    def queue_sizes(self) -> Mapping[str, int]:
        return {**super().queue_sizes(), CALIBRATION: 1, LISTS: 2}

    def models_of(self, name: str) -> ModelLibraries:
        if name not in self._libraries:
            with self._opening:
                if name not in self._libraries:
                    folder = library_folder(self.settings.home, name)
                    folder.mkdir(parents=True, exist_ok=True)
                    database = open_database(self.settings, name) if self.settings.store else None
                    self._libraries[name] = ModelLibraries(folder, self.settings.exact_frames, database, self._replica)
            if name != MAIN:  # of that one, `open_jobs` does it
                self.correct_times(name)
        return self._libraries[name]

    # Videos

    @endpoint("/probe", queue=WORKER)
    def probe(self, doc: Video, caller: Caller) -> str:
        library = self.models_of(caller.library).of_model(doc.model_id)
        record = VideoRecord(**shared_fields(doc, VideoRecord))
        known = library.store.known_videos([record.video_id])
        if record.frames_per_second <= 0 and not known:
            record = replace(record, frames_per_second=self.settings.frames_per_second)
        record = library.register(record, doc.model_id)
        if not known:
            self._audit_change("added", [record], caller)
        elif known[0].title != record.title:
            self._audit_change("renamed", [record], caller)
        if not doc.model and (doc.language or doc.no_words or not known):
            library.words.store.wish(record.video_id, language=doc.language, no_words=doc.no_words)
        [stored] = library.store.stored_videos(record.video_id)
        documents.fill_in_video(doc, stored, library.store.model_id)
        if not doc.model and (change := self.jobs.model_change(caller.library)):
            doc.next_model = change.title
        return f"{doc.video_id[:12]}, {len(doc.missing_start_seconds)} spans missing"

    @endpoint("/index", queue=WORKER, step="store")
    def index(self, doc: VideoSpan, caller: Caller) -> str:
        check_frame_times(doc)
        library = self.models_of(caller.library).of_model(doc.model_id)
        documents.check_span(doc, library.store.video(doc.video_id))
        frames = documents.frames_of(doc)
        if len(frames.vectors):
            documents.check_dimensions(frames.vectors.shape[1], library)
        was_complete = _is_complete(doc.video_id, library.store)
        library.put_span(doc.video_id, (doc.start_seconds, doc.end_seconds), frames, doc.model_id)
        if not (doc.model or was_complete) and _is_complete(doc.video_id, library.store):
            video = library.store.video(doc.video_id)
            self._audit_change("indexed", [video], caller)
            self.file_words(library, video, caller)
        doc.embeddings, doc.pts_seconds, doc.cut_seconds, doc.blank = b"", [], [], []
        doc.stored, doc.frames = True, len(frames.vectors)
        return f"{doc.video_id[:12]} [{doc.start_seconds:.1f}, {doc.end_seconds:.1f}) s, {doc.frames} frames"

    # Words

    @endpoint("/words", queue=WORKER, step="store")
    def words(self, doc: WordSpan, caller: Caller) -> str:
        library = self.library(caller.library)
        word_documents.check_span(doc, library.store.video(doc.video_id))
        cues, vectors = word_documents.cues_of(doc)
        sources = tuple(source for source in WORD_SOURCES if any(cue.source == source for cue in cues))
        reading = Reading(sources, tuple(doc.languages), tuple(doc.notes))
        span = doc.start_seconds, doc.end_seconds
        doc.cue_count = library.words.store.put_words(doc.video_id, span, cues, vectors, doc.model_id, reading)
        library.words.follow()
        doc.stored, doc.cues, doc.embeddings, doc.vector_counts = True, DocList[Cue](), b"", []
        return f"{doc.video_id[:12]} [{span[0]:.1f}, {span[1]:.1f}) s, {doc.cue_count} lines"

    @endpoint("/transcript", queue=LISTS)
    def transcript(self, doc: Transcript, caller: Caller) -> str:
        library = self.library(caller.library)
        video = library.store.video(doc.video_id)
        doc.title = video.title
        doc.cues = word_documents.as_documents(library.words.store.transcript(doc.video_id))
        doc.complete = not library.words.store.missing(video)
        return f"{doc.video_id[:12]}, {len(doc.cues)} lines"

    @endpoint("/correct_cue", queue=WORKER)
    def correct_cue(self, doc: Cue, caller: Caller) -> str:
        library = self.library(caller.library)
        video = library.store.video(doc.video_id)
        text = word_documents.check_text(doc.text)
        copy_fields(library.words.store.correct(doc.video_id, doc.cue_id, text), doc)
        self._audit_change("line corrected", [video], caller)
        return f"{doc.video_id[:12]}, line {doc.cue_id}"

    @endpoint("/videos", queue=lambda doc: AT_ONCE if doc.video_id else LISTS)
    def videos(self, doc: Video, caller: Caller) -> list[Video]:
        store = self.library(caller.library).store
        answers, model_id = [], store.model_id
        facts = self.library(caller.library).words.store.facts(doc.video_id)
        for stored in store.stored_videos(doc.video_id):
            answer = Video()
            documents.fill_in_video(answer, stored, model_id)
            known = facts.get(stored.record.video_id, WordFacts())
            word_documents.fill_in_words(
                answer, known, stored.record, is_reading=self.reads_words, alone=bool(doc.video_id)
            )
            answers.append(answer)
        if doc.video_id:
            answers[0].shot_start_seconds = [start for start, _ in store.shots(doc.video_id)]
        return answers

    @endpoint("/delete", queue=WORKER)
    def delete(self, doc: Video, caller: Caller) -> str:
        library = self.library(caller.library)
        known = library.store.known_videos([doc.video_id])
        self.jobs.drop_video(caller.library, doc.video_id, time.time())
        library.delete(doc.video_id)
        doc.status = "deleted"
        self._audit_change("deleted", known, caller)
        return doc.video_id[:12]

    # Queries

    @endpoint("/search", step="index")
    def search(self, doc: Query, caller: Caller) -> str:
        check_limit(self.settings, "max_top_k", doc.top_k, f"top_k, {doc.top_k},")
        library = self._library_of_query(doc, caller)
        options = documents.search_options(doc)
        answer = library.search(documents.parts_of(doc, library), options, documents.sentences_of(doc))
        documents.fill_in(doc, answer)
        return _counts(answer)

    @endpoint("/timeline")
    def timeline(self, doc: Query, caller: Caller) -> str:
        options = documents.search_options(doc)
        documents.video_of_timeline(options)
        library = self._library_of_query(doc, caller)
        timeline = library.timeline(documents.parts_of(doc, library), options, documents.sentences_of(doc))
        doc.curve_pts_seconds, doc.curve_scores = timeline.pts_seconds.tolist(), timeline.scores.tolist()
        doc.shot_start_seconds = timeline.shot_start_seconds
        documents.fill_in(doc, timeline.answer)
        return _counts(timeline.answer)

    @endpoint("/calibrate", queue=CALIBRATION)
    def calibrate(self, doc: Calibration, caller: Caller) -> str:
        documents.check_calibration(doc)
        library = self._library_of_query(doc, caller)
        mean_phrase = documents.mean_phrase_of(doc)
        phrases = [documents.embedded_part(phrase, 1.0, mean_phrase) for phrase in doc.phrases]
        documents.check_vectors(phrases, library)
        doc.phrases, doc.neutral_embedding = DocList[QueryPart](), []
        if doc.reset:
            library.forget_calibration()
        else:
            copy_fields(library.calibrate(phrases, doc.answered_share), doc)
        doc.done = True
        self.audit.write("calibrated", caller=caller.name, library=caller.library)
        return f"shift {doc.shift:.3f}, {doc.answered} of {doc.phrase_count} phrases answered"

    def _library_of_query(self, doc: Query | Calibration, caller: Caller) -> Library:
        """The library by the model that embedded a query: after a change, the encoders are a moment behind."""
        return self.models_of(caller.library).of_model(documents.model_of(doc))

    # State

    def stored_libraries(self) -> list[str]:
        return list_libraries(self.settings)

    def component(self, caller: Caller, /) -> Component:
        library = self.library(caller.library)
        library.follow()
        store = library.store
        return Component(
            name=self.executor_name,
            facts={
                "store": store.place,
                "videos": str(len(store.videos())),
                "frames": str(len(library.index)),
                "index": library.index.kind,
                "model_id": store.model_id if len(library.index) else "",
                "fitted_shift": f"{library.relevance.fitted_shift:.3f}",
            },
            warnings=self.list_job_warnings(caller.library),
        )

    def recall(self, caller: Caller, /) -> dict[str, str]:
        found = self.library(caller.library).index.recall()
        return {
            "recall_before": f"{found.before:.4f}",
            "recall": f"{found.share:.4f}",
            "recall_queries": str(found.queries),
            "index": found.kind,
        }

    def close(self) -> None:
        super().close()
        self.audit.close()
        for library in self._libraries.values():
            library.close()
        self._store_lock.release()

    def _audit_change(self, change: str, videos: Iterable[VideoRecord], caller: Caller) -> None:
        for video in videos:
            self.audit.write(
                change, caller=caller.owner, library=caller.library, video_id=video.video_id, title=video.title
            )


def _is_complete(video_id: str, store: Store) -> bool:
    return not missing_spans(store.video(video_id).duration_seconds, store.stored_spans(video_id))


def _counts(answer: SearchAnswer[VideoMatch]) -> str:
    return (
        f"{len(answer.matches)} matches in {answer.videos_searched} videos, {answer.frames_searched} frames, "
        f"{answer.withheld} not shown"
    )
