"""The runner: it does the jobs of all libraries, through the same door as every client.

It keeps nothing that is not in the store. Whatever dies, the lease of its job runs out, and another runner, or this one
after a restart, continues with the spans that are missing. Any number of runners may run at once, on any machines.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from clipseek.api.documents import Job, Video
from clipseek.api.errors import (
    AccessDenied,
    Cancelled,
    ClipSeekError,
    DeadlineExceeded,
    DecoderCrashed,
    LimitExceeded,
    ModelError,
    NotFound,
    PathNotAllowed,
    RequestLost,
    ServerError,
    ServerFailed,
    UnreadableVideo,
    UploadCorrupted,
)
from clipseek.api.limits import CHANGE_MODEL, CORRECT_TIMES, DONE, FAILED, RUNNING, WAITING, WORDS
from clipseek.client import Client, indexing, words
from clipseek.client.transport import run
from clipseek.service.model_change import OF_ONE_VIDEO, ModelChange, embed_video

logger = logging.getLogger(__name__)

# One long video fills the executors, but short ones leave gaps: 24 videos of 8 s took 51 s one at a time, 34 s two at a
# time, and 32 s three at a time, on two busy cores.
JOBS_AT_A_TIME = 2
# Between two questions for a job: soon after one, then less often. At one a second all processes together take less
# than 2 % of a processor.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.25, 1.0
_BEAT_SECONDS = 1.0  # a cancelled job is noticed within it
_RELEASE_SECONDS = 1.0  # of a stop
# Trying again would end in the same way. InvalidRequest itself is not among them: a span is refused if somebody has
# just changed the video's sampling. RequestLost comes after three crashes of the server: a fourth may end it.
_FINAL = (
    *(UnreadableVideo, DecoderCrashed, DeadlineExceeded, LimitExceeded, NotFound, UploadCorrupted, PathNotAllowed),
    *(ModelError, AccessDenied, RequestLost),
)


class ServiceClient(Client):
    """A client with the service's own token, which alone may do jobs.

    Args:
        caller: who filed the job; "" for none.
    """

    def __init__(self, token: str, library: str, caller: str = "") -> None:
        super().__init__(token=token, library=library)
        if caller:
            self._transport.work_for(caller)

    def lease(self, runner: str) -> Job | None:
        """The next job of any library, or None."""
        job = self._one("/lease_job", Job(runner=runner))
        return job if job.job_id and job.state == RUNNING else None

    def report(self, job: Job, *, timeout_seconds: float | None = None) -> Job:
        """Report a job of this client's library. Returns: the job as it is now."""
        return run(self._transport.post_one("/report_job", job, timeout_seconds=timeout_seconds))

    def index_missing(self, video_id: str, begin: Callable[[Video], None], on_span: indexing.OnSpan) -> None:
        """Index the missing spans of a video; `begin` gets the video as it is before.

        While the library changes to another model, that one embeds them first: so it never lacks a whole video.
        """
        video = indexing.probe(self._transport, Video(video_id=video_id))
        begin(video)
        if video.next_model:
            embed_video(self._transport, video_id, video.next_model, lambda *_: on_span(0.0, 0))
        indexing.index_missing(self._transport, video, on_span)
        indexing.check_complete(self._transport, video_id)

    def read_missing_words(self, video_id: str, begin: Callable[[Video], None], on_span: indexing.OnSpan) -> str:
        """Read the words of a video that are missing. Returns: what could not be read, or ""."""
        return words.read_missing(self._transport, video_id, begin, on_span)

    def change_model(self, name: str, begin: Callable[[Video], None], on_span: indexing.OnSpan) -> None:
        """Embed the library with a model, then let that one answer; `begin` and `on_span` count the whole library."""
        ModelChange(self._transport, name, begin, on_span).run()

    def correct_times(self, begin: Callable[[Video], None], on_span: indexing.OnSpan) -> None:
        """Have the videos of earlier versions opened again: the store then gives them the times of players.

        One whose file cannot be read keeps its times, until it is indexed again or the service starts again.
        """
        old = [video for video in self.videos() if video.first_seconds < 0]
        done_seconds = 0.0
        begin(Video(duration_seconds=sum(video.duration_seconds for video in old)))
        for video in old:
            try:
                indexing.probe(self._transport, Video(video_id=video.video_id))
            except (*OF_ONE_VIDEO, NotFound) as error:
                logger.warning("the times of '%s' stay as they are: %s", video.title, error)
            done_seconds += video.duration_seconds
            on_span(done_seconds, 0)


Connect = Callable[[str, str], ServiceClient]  # makes a client for a library, and for the job of a caller


class Runner:
    """Does jobs until it is stopped.

    Args:
        connect: makes a client for a library, "" is the main one, and for the job of a caller, "" is none.
        jobs_at_a_time: at most; each in a thread.
    """

    def __init__(self, connect: Connect, jobs_at_a_time: int = JOBS_AT_A_TIME) -> None:
        self.name = f"runner-{uuid.uuid4().hex[:12]}"
        self._connect = connect
        self._free = threading.Semaphore(jobs_at_a_time)
        self._stopping = threading.Event()
        self._running: set[JobRun] = set()
        self._problem = ""  # the last one

    def run(self) -> None:
        """Do jobs until `stop`. While the server is away, wait for it.

        Raises: AccessDenied: the server does not know the token as its own.
        """
        pause = _FIRST_POLL_SECONDS
        with self._connect("", "") as service:
            while not self._stopping.is_set():
                self._free.acquire()
                if job := self._lease(service):
                    threading.Thread(target=self._do, args=(job,), name=f"job-{job.job_id}", daemon=True).start()
                    pause = _FIRST_POLL_SECONDS
                else:
                    self._free.release()
                    self._stopping.wait(pause)
                    pause = min(2 * pause, _LONGEST_POLL_SECONDS)

    def stop(self) -> None:
        """Begin no more jobs, and give back those that run."""
        self._stopping.set()
        for job_run in list(self._running):
            job_run.release()

    def _lease(self, service: ServiceClient) -> Job | None:
        try:
            return None if self._stopping.is_set() else service.lease(self.name)
        except AccessDenied:
            raise
        except ClipSeekError as error:
            is_news, self._problem = str(error) != self._problem, str(error)
            level = logging.INFO if isinstance(error, ServerError) else logging.WARNING  # it starts, or restarts
            logger.log(level if is_news else logging.DEBUG, "no job can be begun: %s", error)
            return None

    def _do(self, job: Job) -> None:
        try:
            with self._connect(job.library, job.caller) as client, JobRun(client, job) as job_run:
                self._running.add(job_run)
                job_run.run()
                self._running.discard(job_run)
        except Exception:
            logger.exception("the job %s failed", job.job_id)
        finally:
            self._free.release()


class JobRun(AbstractContextManager["JobRun"]):
    """One job in work. A thread reports it every second, and finds out whether to stop."""

    def __init__(self, client: ServiceClient, job: Job) -> None:
        self._client, self._job = client, job
        self._encoded_before = job.frames_encoded
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._left = False  # somebody cancelled it, or another runner has it
        self._yields = False

    def __enter__(self) -> "JobRun":
        threading.Thread(target=self._beat, name=f"beat-{self._job.job_id}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def run(self) -> None:
        """Do the job, and report its end."""
        started = time.monotonic()
        try:
            try:
                self._work()
            finally:
                self._ended.set()
        except Cancelled:
            self._report(WAITING)
        except ClipSeekError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("the job %s failed", self._job.job_id)
            self._fail(ServerFailed(f"The service failed at the job '{self._job.title}' ({error!r})."))
        else:
            self._report(DONE)
            logger.info("job %s: '%s' in %.1f s", self._job.job_id, self._job.title, time.monotonic() - started)

    def _work(self) -> None:
        job = self._job
        if job.kind == CHANGE_MODEL:
            self._client.change_model(job.title, self._begin, self._on_span)
        elif job.kind == CORRECT_TIMES:
            self._client.correct_times(self._begin, self._on_span)
        elif job.kind == WORDS:
            self._change(error=self._client.read_missing_words(job.video_id, self._begin, self._on_span), error_kind="")
        else:
            self._client.index_missing(job.video_id, self._begin, self._on_span)

    def release(self) -> None:
        """Give the job back, so that it need not wait until its lease runs out."""
        self._ended.set()
        self._report(WAITING, timeout_seconds=_RELEASE_SECONDS)

    def _begin(self, video: Video) -> None:
        self._change(total_seconds=video.duration_seconds)

    def _on_span(self, done_seconds: float, frames_encoded: int) -> None:
        """Called at each span's edge. Raises: Cancelled: this runner has to stop here."""
        self._change(done_seconds=done_seconds, frames_encoded=self._encoded_before + frames_encoded)
        if self._left or self._yields:
            raise Cancelled("The job stops here.")

    def _change(self, **values: Any) -> None:
        with self._changing:
            self._job = replace(self._job, **values)

    def _fail(self, error: ClipSeekError) -> None:
        is_final = isinstance(error, _FINAL)
        logger.warning("job %s: '%s' %s: %s", self._job.job_id, self._job.title, type(error).__name__, error)
        data = str(error.args[1]) if len(error.args) > 1 else ""
        self._change(error=str(error), error_kind=type(error).__name__, error_data=data)
        self._report(FAILED if is_final else WAITING)

    def _beat(self) -> None:
        while not self._left and not self._ended.wait(_BEAT_SECONDS):
            self._report(RUNNING)

    def _report(self, state: str, *, timeout_seconds: float | None = None) -> None:
        """Report the job as it is. Where the server is away, its lease may run out: then another runner continues."""
        if self._left:
            return
        with self._changing:
            report = replace(self._job, state=state)
        with suppress(ClipSeekError):
            answer = self._client.report(report, timeout_seconds=timeout_seconds)
            self._left = answer.state != RUNNING or answer.runner != report.runner
            self._yields = answer.should_yield
