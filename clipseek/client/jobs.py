"""Files jobs with the service, and follows them to their end."""

import contextlib
import logging
import time
from dataclasses import replace

from clipseek.api.documents import Job, Video
from clipseek.api.errors import Cancelled, ClipSeekError, InvalidRequest, NotFound, ServerFailed, error_from_name
from clipseek.api.limits import CANCELLED, CHANGE_MODEL, DONE, FAILED, WORDS
from clipseek.client import indexing, words
from clipseek.client.indexing import Indexed, OnProgress, Progress
from clipseek.client.transport import Transport, run

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 0.5  # between two questions about a job
_CANCEL_SECONDS = 5.0  # somebody waits for the command to end


def start(transport: Transport, ask: Video, progress: OnProgress) -> tuple[Video, Job]:
    """Have the missing spans of a video indexed whose file is on the server.

    Returns: the video as it was before, and the job. A service that does no jobs, such as one of version 0.1, is driven
        from here; the job is done then, and `progress` was called.
    """
    video = indexing.probe(transport, ask)
    if video.missing_start_seconds:
        job = _file(transport, video.video_id)
        if job:
            job.notes = video.notes
            return video, job
    encoded = 0

    def on_span(done: float, frames: int) -> None:
        nonlocal encoded
        encoded = frames
        progress(Progress("index", done, video.duration_seconds))

    indexing.index_missing(transport, video, on_span)
    seconds = video.duration_seconds
    job = Job(video_id=video.video_id, title=video.title, state=DONE, frames_encoded=encoded)
    job.done_seconds = job.total_seconds = seconds
    return video, job


def start_words(transport: Transport, ask: Job, progress: OnProgress) -> Job:
    """Have the words of a video read that are missing; `ask` has the video, `again` and `language`.

    Returns: the job. A service that does no jobs is driven from here; the job is done then, and `progress` was called.

    Raises: InvalidRequest: the server reads no words.
    """
    try:
        job = run(transport.post_one("/job", ask))
    except InvalidRequest as error:
        words.check_older(error, transport.address)
        raise
    if job.state:
        return job
    video = Video()

    def begin(before: Video) -> None:
        nonlocal video
        video = before

    def on_span(done: float, _: int) -> None:
        progress(Progress("words", done, video.duration_seconds))

    unread = words.read_missing(transport, ask.video_id, begin, on_span)
    return Job(
        kind=WORDS,
        video_id=video.video_id,
        title=video.title,
        state=DONE,
        done_seconds=video.duration_seconds,
        total_seconds=video.duration_seconds,
        error=unread,
    )


def finish(transport: Transport, video: Video, job: Job, progress: OnProgress, started: float) -> Indexed:
    """Follow a job to its end.

    Args:
        video: as it was before the job.
        started: of the whole work, monotonic.

    Raises: the job's error. Cancelled: somebody cancelled it.
    """
    job = follow(transport, job, progress)
    stored = indexing.check_complete(transport, video.video_id)
    elapsed_seconds = time.monotonic() - started
    return Indexed(stored, stored.frames - video.frames, job.frames_encoded, elapsed_seconds, tuple(video.notes))


def _file(transport: Transport, video_id: str) -> Job | None:
    """File a job. None: the service does none."""
    try:
        job = run(transport.post_one("/job", Job(video_id=video_id)))
    except InvalidRequest as error:
        if "There is no endpoint" not in str(error):
            raise
        return None
    return job if job.state else None


def follow(transport: Transport, job: Job, progress: OnProgress) -> Job:
    """Ask for a job until it has ended. If this ends before, by an interrupt or `progress`, cancel what it filed.

    Raises: as `finish`.
    """
    is_own, pause, told = job.is_new, _FIRST_PAUSE_SECONDS, ""
    stage = "words" if job.kind == WORDS else "index"
    try:
        while job.is_unfinished:
            progress(Progress(stage, job.done_seconds, job.total_seconds))
            if job.error not in ("", told):
                told = job.error
                logger.warning("%s The service tries it again.", told)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            job = _ask_again(transport, job)
        if job.state == DONE:
            progress(Progress(stage, job.total_seconds, job.total_seconds))
    except BaseException as error:
        if is_own and (isinstance(error, Cancelled) or not isinstance(error, ClipSeekError)):
            with contextlib.suppress(ClipSeekError):
                run(transport.post_one("/cancel_job", Job(job_id=job.job_id), timeout_seconds=_CANCEL_SECONDS))
        raise
    if job.state == FAILED:
        raise error_of(job) or ServerFailed(f"The job for '{job.title}' failed. The server's log has the details.")
    if job.state == CANCELLED:
        again = {CHANGE_MODEL: f"Run `clipseek model use {job.title}` again", WORDS: "Have its words read again"}.get(
            job.kind, "Index it again"
        )
        raise Cancelled(f"The job for '{job.title}' was cancelled. {again}: only the missing spans are done.")
    return job


def _ask_again(transport: Transport, job: Job) -> Job:
    """The job as it is now. Raises: Cancelled: it is not in the list any more, and its video is not complete."""
    try:
        return run(transport.post_one("/jobs", Job(job_id=job.job_id)))
    except NotFound:  # it has ended: how, the video says
        if job.video_id and _is_complete(transport, job):
            return replace(job, state=DONE)
        raise Cancelled(
            f"The job for '{job.title}' was cancelled or has failed: it is not in the list any more. Start it again: "
            "only the missing spans are done."
        ) from None


def _is_complete(transport: Transport, job: Job) -> bool:
    video = run(transport.post_one("/videos", Video(video_id=job.video_id)))
    return video.words == "read" if job.kind == WORDS else video.status == "ready"


def error_of(job: Job) -> ClipSeekError | None:
    """Why a job failed, or why its last try did; None where nothing failed."""
    if not job.error:
        return None
    return error_from_name(job.error_kind, job.error, job.error_data) or ServerFailed(job.error)


def list_jobs(transport: Transport) -> list[Job]:
    """The library's jobs; none of a service that does none."""
    try:
        return [job for job in run(transport.post("/jobs", Job())) if job.state]
    except InvalidRequest as error:
        if "There is no endpoint" not in str(error):
            raise
        return []
