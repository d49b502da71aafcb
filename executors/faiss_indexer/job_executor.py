"""The jobs on the wire: callers file, list and cancel them, and the service's runners lease and report them."""

import math
import time
from collections.abc import Mapping

from clipseek.api.base_document import copy_fields, shared_fields
from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import counted, escape_hidden, excerpt
from clipseek.api.limits import CANCELLED, CORRECT_TIMES, JOB_KINDS, WORDS
from clipseek.config.libraries import MAIN
from clipseek.machine.audit_log import AuditLog
from clipseek.schema import Job
from executors.faiss_indexer.library import Library
from executors.faiss_indexer.store.jobs import KEEP_SECONDS, JobRecord, Jobs
from executors.faiss_indexer.store.records import NOT_KNOWN, VideoRecord
from executors.faiss_indexer.store.spans import missing_spans
from executors.flow.callers import Caller
from executors.flow.endpoint import endpoint
from executors.flow.executor import ChainExecutor

_RUNNER_SECONDS = 15.0  # a runner asks every second: one that was silent for so long is away
_MAX_RUNNER_CHARACTERS, _MAX_ERROR_CHARACTERS = 100, 5000
JOBS = "jobs"  # a queue for what writes jobs: it waits for the store, and searches must not wait with it


class JobExecutor(ChainExecutor):
    """An executor with jobs. They are in the main library's store, whichever library they are for."""

    jobs: Jobs
    audit: AuditLog
    _runner_seen_at = _started_at = -math.inf  # monotonic

    def library(self, name: str) -> Library:
        """A library by the model that answers in it."""
        raise NotImplementedError

    @property
    def has_runner(self) -> bool:
        """Whether a runner has asked for work, or reported some, a moment ago."""
        return time.monotonic() - self._runner_seen_at < _RUNNER_SECONDS

    @property
    def reads_words(self) -> bool:
        """Whether this service reads the words of videos."""
        return self.settings.words != "off"

    def open_jobs(self) -> None:
        """Open the jobs in the main library's store."""
        self.jobs = Jobs(self.library(MAIN).store.database)
        self._started_at = time.monotonic()
        self.correct_times(MAIN)

    def correct_times(self, library: str) -> None:
        """File the job that gives a library's videos of earlier versions the times of players, if there are any."""
        videos = [video for video in self.library(library).store.videos() if video.first_seconds == NOT_KNOWN]
        if videos:
            seconds = sum(video.duration_seconds for video in videos)
            title = f"times of {counted(len(videos), 'video')}"
            job = JobRecord(kind=CORRECT_TIMES, library=library, title=title, total_seconds=seconds)
            self.jobs.file(job, time.time(), is_known=True)

    def queue_sizes(self) -> Mapping[str, int]:
        return {**super().queue_sizes(), JOBS: 2}

    def list_job_warnings(self, library: str) -> list[str]:
        """Why a library's jobs wait in vain."""
        if self.has_runner or time.monotonic() - self._started_at < _RUNNER_SECONDS:
            return []
        count = self.jobs.count_waiting(library)
        advice = "Start one with `clipseek jobs run`."
        return [f"{counted(count, 'job')} cannot begin: no runner has asked for work lately. {advice}"] if count else []

    @endpoint("/job", queue=JOBS)
    def file_job(self, doc: Job, caller: Caller) -> str:
        if doc.kind not in JOB_KINDS:
            raise InvalidRequest(f"There is no kind of job '{excerpt(doc.kind)}'. There is: {', '.join(JOB_KINDS)}.")
        library = self.library(caller.library)
        video = library.store.video(doc.video_id)
        if doc.kind == WORDS:
            self._prepare_words(doc, library)
        kind = doc.kind
        _clear(doc)
        if not self.has_runner:
            return ""
        job, doc.is_new = self._file(kind, library, video, caller)
        copy_fields(job, doc)
        return f"{job.job_id} for {job.video_id[:12]}, {'filed' if doc.is_new else 'filed before'}"

    def file_words(self, library: Library, video: VideoRecord, caller: Caller) -> None:
        """Have the words of a video read that has just been indexed, where they are wanted and somebody does jobs."""
        words = library.words.store
        facts = words.facts(video.video_id).get(video.video_id)
        is_wanted = self.reads_words and self.has_runner and (facts is None or facts.wanted)
        if is_wanted and words.missing(video):
            self._file(WORDS, library, video, caller)

    def _prepare_words(self, doc: Job, library: Library) -> None:
        """Note that the words are wanted, and in which language; forget what must be read again.

        Raises: InvalidRequest: this service reads none.
        """
        if not self.reads_words:
            raise InvalidRequest(
                "This server reads no words: CLIPSEEK_WORDS is off. Set it to auto, and restart the server."
            )
        library.words.store.wish(doc.video_id, language=doc.language, no_words=False)
        if doc.again:
            library.words.store.forget(doc.video_id)

    def _file(self, kind: str, library: Library, video: VideoRecord, caller: Caller) -> tuple[JobRecord, bool]:
        store = library.store
        missing = (
            library.words.store.missing(video)
            if kind == WORDS
            else missing_spans(video.duration_seconds, store.stored_spans(video.video_id))
        )
        ask = JobRecord(
            kind=kind,
            library=caller.library,
            video_id=video.video_id,
            title=video.title,
            caller=caller.owner,
            done_seconds=video.duration_seconds - sum(end - start for start, end in missing),
            total_seconds=video.duration_seconds,
        )
        now = time.time()
        return self.jobs.file(ask, now, is_known=now - store.added_at(video.video_id) > KEEP_SECONDS)

    @endpoint("/jobs")
    def list_jobs(self, doc: Job, caller: Caller) -> list[Job]:
        library = caller.library
        jobs = [self.jobs.job(library, doc.job_id)] if doc.job_id else self.jobs.of_library(library)
        return [Job(**shared_fields(job, Job)) for job in jobs]

    @endpoint("/cancel_job", queue=JOBS)
    def cancel_job(self, doc: Job, caller: Caller) -> str:
        now = time.time()
        job = self.jobs.cancel(caller.library, doc.job_id, now, forget=doc.forget)
        if doc.forget or job.ended_at == now:
            what = "job forgotten" if doc.forget else "job cancelled"
            self.audit.write(what, caller=caller.name, library=caller.library, video_id=job.video_id, title=job.title)
        _clear(doc)
        copy_fields(job, doc)
        return f"{job.job_id} for {job.video_id[:12]}, {job.state}"

    # For runners

    @endpoint("/lease_job", queue=JOBS)
    def lease_job(self, doc: Job, _caller: Caller) -> str:
        self._note_runner(doc)
        runner = doc.runner
        _clear(doc)
        job = self.jobs.claim(runner, time.time())
        if job is None:
            return ""
        copy_fields(job, doc)
        return f"{job.job_id} for {job.video_id[:12]} to {job.runner}, try {job.tries}"

    @endpoint("/report_job", queue=JOBS)
    def report_job(self, doc: Job, _caller: Caller) -> str:
        self._note_runner(doc)
        now = time.time()
        error = escape_hidden(doc.error[:_MAX_ERROR_CHARACTERS], keep="\n")  # PostgreSQL holds no NUL
        report = JobRecord(**shared_fields(doc, JobRecord) | {"error": error})
        job = self.jobs.report(report, now)
        _clear(doc)
        if job is None:
            doc.state = CANCELLED
            return ""
        copy_fields(job, doc)
        doc.should_yield = self.jobs.should_yield(job, now)
        return "" if doc.is_unfinished else f"{job.job_id} for {job.video_id[:12]}, {job.state}"

    def _note_runner(self, doc: Job) -> None:
        """Raises: InvalidRequest."""
        if not 0 < len(doc.runner) <= _MAX_RUNNER_CHARACTERS:
            raise InvalidRequest(f"runner must have 1 to {_MAX_RUNNER_CHARACTERS} characters, not {len(doc.runner)}.")
        self._runner_seen_at = time.monotonic()


def _clear(doc: Job) -> None:
    """Leave nothing in the answer that the caller wrote there."""
    copy_fields(JobRecord(state=""), doc)
    doc.forget, doc.again, doc.language = False, False, ""
