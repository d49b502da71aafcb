"""The jobs of the service: work on one video that it does by itself, filed by callers and done by runners.

All libraries share one table, in the store of the main library: so one query finds whose turn it is.
"""

import secrets
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import Any

from clipseek.api.errors import NotFound, TooManyRequests, VideoNotFound
from clipseek.api.formats import excerpt
from clipseek.api.limits import (
    CANCELLED,
    CHANGE_MODEL,
    DONE,
    FAILED,
    INDEX,
    MAX_UNFINISHED_JOBS,
    RUNNING,
    UNFINISHED,
    WAITING,
    WORDS,
)
from executors.faiss_indexer.store.database import Database

LEASE_SECONDS = 10.0  # a runner reports every second: one that is silent for so long is gone
MAX_TRIES = 5  # without progress in between
FIRST_PAUSE_SECONDS = 4.0  # before a job that failed is tried again; it doubles with each try
_LONGEST_LEASE_SECONDS = max(LEASE_SECONDS, FIRST_PAUSE_SECONDS * 2**MAX_TRIES)
SLICE_SECONDS = 60.0  # a job that has run for so long makes room for another caller's
# Words that have waited for so long get a turn beside other work: it takes a twentieth of the time.
WORDS_WAIT_SECONDS, WORDS_TURN_SECONDS = 600.0, 30.0
KEEP_SECONDS = 7 * 24 * 3600.0  # of a finished job
MAX_FINISHED = 10_000  # of a library; the oldest go first
MAX_LISTED = 500
FRESH, AGAIN = 0, 1  # ranks: a new video comes before one that was indexed before

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, kind TEXT NOT NULL, library TEXT NOT NULL, video_id TEXT NOT NULL, title TEXT NOT NULL,
    caller TEXT NOT NULL, state TEXT NOT NULL, done_seconds DOUBLE PRECISION NOT NULL,
    total_seconds DOUBLE PRECISION NOT NULL, frames_encoded INTEGER NOT NULL, tries INTEGER NOT NULL,
    error TEXT NOT NULL, error_kind TEXT NOT NULL, error_data TEXT NOT NULL, runner TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL, started_at DOUBLE PRECISION NOT NULL, ended_at DOUBLE PRECISION NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL, rank_number INTEGER NOT NULL,
    UNIQUE (library, video_id, kind)
)""",
    "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, lease_until)",
    "CREATE INDEX IF NOT EXISTS jobs_by_caller ON jobs (caller, state)",
    # Apart from the jobs, which callers may have removed: so nobody's turn comes sooner by that.
    "CREATE TABLE IF NOT EXISTS job_callers (caller TEXT PRIMARY KEY, served_at DOUBLE PRECISION NOT NULL)",
)


@dataclass(frozen=True)
class JobRecord:
    """A job as it is stored. Times of the clock are seconds since the epoch, 0 where there is none.

    Attributes:
        done_seconds, total_seconds: progress, in seconds of the video.
        tries: how often a runner has begun it since it last advanced.
        error, error_kind, error_data: why the last try failed, as errors cross the wire.
        started_at: when it last began.
        lease_until: while it runs, until when its runner need not report; while it waits, when it may begin.
        rank_number: of one caller's jobs, the lowest comes first.
    """

    job_id: str = ""
    kind: str = INDEX
    library: str = ""
    video_id: str = ""
    title: str = ""
    caller: str = ""
    state: str = WAITING
    done_seconds: float = 0.0
    total_seconds: float = 0.0
    frames_encoded: int = 0
    tries: int = 0
    error: str = ""
    error_kind: str = ""
    error_data: str = ""
    runner: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    lease_until: float = 0.0
    rank_number: int = FRESH


# Why a job fails whose video is being deleted: its file goes first, its jobs last.
_VIDEO_IS_GONE = VideoNotFound.__name__

_FIELDS = tuple(field.name for field in fields(JobRecord))
_SELECT = f"SELECT {', '.join(_FIELDS)} FROM jobs"
_IS_UNFINISHED = f"state IN ('{WAITING}', '{RUNNING}')"
# Or its lease is longer than any: the clock was set back.
_IS_FREE = f"{_IS_UNFINISHED} AND (lease_until <= ? OR lease_until > ?)"
# None of the words got a turn for long.
_IS_OVERDUE = f"""(jobs.kind = '{WORDS}' AND jobs.created_at <= ? AND NOT EXISTS (
    SELECT 1 FROM jobs AS other WHERE other.kind = '{WORDS}' AND other.started_at > ?
))"""
# Words wait for all other work, so that it does not become slower, and a runner reads those of one video at a time.
_IS_NEXT = f"""{_IS_FREE} AND (kind <> '{WORDS}' OR NOT EXISTS (
    SELECT 1 FROM jobs AS other WHERE other.state = '{RUNNING}' AND other.lease_until > ?
    AND other.kind = '{WORDS}' AND other.runner = ?
) AND ({_IS_OVERDUE} OR NOT EXISTS (
    SELECT 1 FROM jobs AS other WHERE other.state = '{RUNNING}' AND other.lease_until > ? AND other.kind <> '{WORDS}'
)))"""
# Of words the last, if they are not overdue, then the caller who was served least recently comes first.
_NEXT = f"""SELECT {", ".join(f"jobs.{name}" for name in _FIELDS)} FROM jobs
LEFT JOIN job_callers ON job_callers.caller = jobs.caller
WHERE {_IS_NEXT}
ORDER BY CASE WHEN {_IS_OVERDUE} THEN 0 WHEN kind <> '{WORDS}' THEN 1 ELSE 2 END,
    COALESCE(served_at, 0), rank_number, created_at, job_id
LIMIT 1"""
# Work that came after words had begun, or any after the turn that overdue words get.
_OTHER_WORK = f"""SELECT 1 FROM jobs WHERE kind <> '{WORDS}' AND (state = '{RUNNING}' OR {_IS_FREE})
AND created_at >= ? LIMIT 1"""
_SERVED = """INSERT INTO job_callers VALUES (?, ?)
ON CONFLICT (caller) DO UPDATE SET served_at = excluded.served_at"""


class Jobs:
    """The jobs in a database. Any thread, and any process, may use them at once; `now` is the time of the clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.write() as db:
            for statement in _SCHEMA:
                db.execute(statement)

    # For callers

    def file(self, job: JobRecord, now: float, *, is_known: bool = False) -> tuple[JobRecord, bool]:
        """Add a job, unless the same one is unfinished.

        Args:
            job: without id, state and times.
            is_known: whether the video was indexed before.

        Returns: the job as stored, and whether it is new.

        Raises: TooManyRequests: its caller has `MAX_UNFINISHED_JOBS`.
        """
        with self._database.write() as db:
            same = (job.library, job.video_id, job.kind)
            last = _read(db, f"{_SELECT} WHERE library = ? AND video_id = ? AND kind = ?", same)
            if last and last.state in UNFINISHED:
                return last, False
            if job.kind != WORDS:  # of which a library has one for each of its videos, filed by itself
                _check_count(db, job.caller)
            if last:
                db.execute("DELETE FROM jobs WHERE job_id = ?", (last.job_id,))
            _prune(db, job.library, now)
            again = job.kind != CHANGE_MODEL and (is_known or (last is not None and last.state == DONE))
            created_at = _after_all(db, "created_at", "jobs", now)
            job = replace(
                job,
                job_id=secrets.token_hex(6),
                state=WAITING,
                created_at=created_at,
                rank_number=AGAIN if again else FRESH,
            )
            places = ", ".join("?" * len(_FIELDS))
            db.execute(f"INSERT INTO jobs ({', '.join(_FIELDS)}) VALUES ({places})", astuple(job))
        return job, True

    def of_library(self, library: str) -> list[JobRecord]:
        """A library's jobs: the unfinished ones as they were filed, words that wait behind all other work, then those
        that have ended, the latest first.

        At most `MAX_LISTED`.
        """
        is_later = f"CASE WHEN kind = '{WORDS}' AND state = '{WAITING}' THEN 1 ELSE 0 END"
        unfinished = f"{_SELECT} WHERE library = ? AND {_IS_UNFINISHED} ORDER BY {is_later}, created_at LIMIT ?"
        ended = f"{_SELECT} WHERE library = ? AND ended_at > 0 ORDER BY ended_at DESC LIMIT ?"
        rows = [row for query in (unfinished, ended) for row in self._database.rows(query, (library, MAX_LISTED))]
        return [JobRecord(*row) for row in rows[:MAX_LISTED]]

    def job(self, library: str, job_id: str) -> JobRecord:
        """Raises: NotFound."""
        row = self._database.row(f"{_SELECT} WHERE library = ? AND job_id = ?", (library, job_id))
        if row is None:
            raise NotFound(f"There is no job '{excerpt(job_id)}'. `clipseek jobs` lists the jobs of the last days.")
        return JobRecord(*row)

    def cancel(self, library: str, job_id: str, now: float, *, forget: bool = False) -> JobRecord:
        """Cancel a job; one that has ended stays as it is. `forget` removes it from the list, too.

        Raises: NotFound.
        """
        job = self.job(library, job_id)
        with self._database.write() as db:
            _end(db, "job_id = ?", (job_id,), now)
            if forget:
                db.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
        return replace(job, state=CANCELLED) if forget else self.job(library, job_id)

    def drop_video(self, library: str, video_id: str, now: float) -> None:
        """Cancel the unfinished jobs of a video that is being deleted, and forget those that ended before."""
        ended_before = f"ended_at > 0 AND NOT (state = '{CANCELLED}' AND error_kind = '{_VIDEO_IS_GONE}')"
        with self._database.write() as db:
            db.execute(f"DELETE FROM jobs WHERE library = ? AND video_id = ? AND {ended_before}", (library, video_id))
            _end(db, "library = ? AND video_id = ?", (library, video_id), now)

    def model_change(self, library: str, *, unfinished: bool = True) -> JobRecord | None:
        """The job that changes the library's model, which may have ended."""
        values = (library, CHANGE_MODEL)
        row = self._database.row(
            f"{_SELECT} WHERE library = ? AND kind = ?{f' AND {_IS_UNFINISHED}' if unfinished else ''}", values
        )
        return JobRecord(*row) if row else None

    def count_waiting(self, library: str) -> int:
        """How many jobs of a library wait."""
        row = self._database.row(f"SELECT COUNT(*) FROM jobs WHERE library = ? AND state = '{WAITING}'", (library,))
        return int(row[0]) if row else 0

    # For runners

    def claim(self, runner: str, now: float) -> JobRecord | None:
        """Give a runner the next job: one that waits, or whose runner is gone. None where there is none.

        Callers take turns. Of one caller's jobs, new videos come first, then the one that was filed first. Words are
        read while nobody has other work, or when none got a turn for `WORDS_WAIT_SECONDS`. A job whose runners died
        `MAX_TRIES` times in a row has failed. No two runners get the same job: this is one transaction.
        """
        overdue = (now - WORDS_WAIT_SECONDS,) * 2
        values = (*_at(now), now, runner, *overdue, now)
        if self._database.row(f"SELECT 1 FROM jobs WHERE {_IS_NEXT} LIMIT 1", values) is None:
            return None
        with self._database.write() as db:
            while job := _read(db, _NEXT, (*values, *overdue)):
                if job.state == RUNNING and job.tries >= MAX_TRIES:
                    _save(db, _given_up(job, now))
                    continue
                served_at = _after_all(db, "served_at", "job_callers", now)
                job = replace(
                    job,
                    state=RUNNING,
                    runner=runner,
                    tries=job.tries + 1,
                    started_at=served_at,
                    lease_until=now + LEASE_SECONDS,
                )
                _save(db, job)
                db.execute(_SERVED, (job.caller, served_at))
                return job
        return None

    def report(self, report: JobRecord, now: float) -> JobRecord | None:
        """Store what a runner reports of its job: its progress, and its state.

        RUNNING extends the lease. DONE and FAILED end the job. WAITING gives it back: with an error it is tried again
        later, and has failed after `MAX_TRIES`.

        Returns: the job as it is now, which may be another runner's; None where it was removed.
        """
        with self._database.write() as db:
            job = _read(db, f"{_SELECT} WHERE job_id = ?", (report.job_id,))
            if job is None or job.state != RUNNING or job.runner != report.runner:
                return job
            advanced = report.done_seconds > job.done_seconds
            job = replace(
                job,
                done_seconds=report.done_seconds,
                total_seconds=report.total_seconds,
                frames_encoded=report.frames_encoded,
                tries=0 if advanced else job.tries,
                lease_until=now + LEASE_SECONDS,
            )
            if report.state != RUNNING:
                job = _left(job, report, now)
            _save(db, job)
        return job

    def should_yield(self, job: JobRecord, now: float) -> bool:
        """Whether a running job should make room: it has run for a while, and another caller's job may begin.

        Words make room at once for other work that comes, also where that has begun; those that were overdue and began
        beside it do so after `WORDS_TURN_SECONDS`.
        """
        if job.state != RUNNING:
            return False
        ran_seconds = now - job.started_at
        came_after = job.started_at if ran_seconds < WORDS_TURN_SECONDS else 0.0
        if job.kind == WORDS and self._database.row(_OTHER_WORK, (*_at(now), came_after)):
            return True
        if ran_seconds < SLICE_SECONDS:
            return False
        other = f"SELECT 1 FROM jobs WHERE {_IS_FREE} AND caller <> ? AND (kind = ? OR kind <> '{WORDS}') LIMIT 1"
        return self._database.row(other, (*_at(now), job.caller, job.kind)) is not None


def _at(now: float) -> tuple[float, float]:
    """The values of `_IS_FREE`."""
    return now, now + _LONGEST_LEASE_SECONDS


def _after_all(db: Any, column: str, table: str, now: float) -> float:
    """The time, or one after all of a column where the clock was set back: turns are ordered by it."""
    [latest] = db.execute(f"SELECT COALESCE(MAX({column}), 0) FROM {table}").fetchone()
    return max(now, float(latest) + 1e-6)


def _left(job: JobRecord, report: JobRecord, now: float) -> JobRecord:
    """A job that its runner no longer works on."""
    job = replace(job, error=report.error, error_kind=report.error_kind, error_data=report.error_data)
    if report.state == FAILED and report.error_kind == _VIDEO_IS_GONE:
        return replace(job, state=CANCELLED, ended_at=now)
    if report.state in (DONE, FAILED) or (report.error and job.tries >= MAX_TRIES):
        return replace(job, state=DONE if report.state == DONE else FAILED, ended_at=now)
    if report.error:
        pause = FIRST_PAUSE_SECONDS * 2 ** max(job.tries - 1, 0)
        return replace(job, state=WAITING, lease_until=now + pause)
    return replace(job, state=WAITING, tries=max(job.tries - 1, 0), lease_until=0.0)


def _given_up(job: JobRecord, now: float) -> JobRecord:
    work, again = {
        CHANGE_MODEL: ("indexes", f"run `clipseek model use {job.title}`"),
        WORDS: ("reads the words of", f"run `clipseek words '{job.title}'`"),
    }.get(job.kind, ("indexes", "index the video"))
    error = (
        f"The process that {work} '{job.title}' ended {job.tries} times without getting further. See the server's "
        f"log, then {again} again."
    )
    return replace(job, state=FAILED, ended_at=now, error=error, error_kind="ServerFailed", error_data="")


def _end(db: Any, condition: str, values: tuple[object, ...], now: float) -> None:
    db.execute(
        f"UPDATE jobs SET state = '{CANCELLED}', ended_at = ? WHERE {condition} AND {_IS_UNFINISHED}", (now, *values)
    )


def _check_count(db: Any, caller: str) -> None:
    own = f"caller = ? AND kind <> '{WORDS}' AND {_IS_UNFINISHED}"
    [count] = db.execute(f"SELECT COUNT(*) FROM jobs WHERE {own}", (caller,)).fetchone()
    if count >= MAX_UNFINISHED_JOBS:
        raise TooManyRequests(
            f"'{caller}' has {count} unfinished jobs, the most allowed. Wait until some of them are done, or cancel "
            "some: `clipseek jobs` lists them."
        )


def _prune(db: Any, library: str, now: float) -> None:
    """Forget jobs that ended long ago, the oldest of too many of a library, and callers who had none for long."""
    db.execute("DELETE FROM jobs WHERE ended_at > 0 AND ended_at < ?", (now - KEEP_SECONDS,))
    db.execute("DELETE FROM job_callers WHERE served_at < ?", (now - KEEP_SECONDS,))
    ended = "library = ? AND ended_at > 0"
    newest = f"SELECT ended_at FROM jobs WHERE {ended} ORDER BY ended_at DESC LIMIT ?"
    db.execute(
        f"DELETE FROM jobs WHERE {ended} AND ended_at < (SELECT MIN(ended_at) FROM ({newest}) AS newest)",
        (library, library, MAX_FINISHED),
    )


def _read(db: Any, statement: str, values: tuple[object, ...]) -> JobRecord | None:
    row = db.execute(statement, values).fetchone()
    return JobRecord(*row) if row else None


def _save(db: Any, job: JobRecord) -> None:
    values = asdict(job)
    names = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE jobs SET {names} WHERE job_id = ?", (*values.values(), job.job_id))
