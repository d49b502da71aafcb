"""Requests about jobs, as the indexer answers them: apart from searches, and each library for itself."""

import asyncio
import json
import threading
import time
from dataclasses import replace

import pytest

from clipseek.api.errors import InvalidRequest, NotFound
from clipseek.api.formats import escape_hidden
from clipseek.api.limits import CANCELLED, CORRECT_TIMES, FAILED
from clipseek.config.access import SERVER
from clipseek.schema import Calibration, DocList, Health, Job, QueryPart, Video, VideoSpan, WordSpan
from executors.flow.callers import Caller
from executors.flow.endpoint import list_of
from tests.indexer_service import CALLER, PRESS, Service, fill, query, registered, sent, span_of, text, video_id

RUNNER = Caller(SERVER)
BOB = Caller("bob")


@pytest.fixture
def service(engine, tmp_path):
    kind, place = engine
    service = Service(tmp_path / "home", store=place if kind == "postgres" else "")
    fill(service, 2)
    service.ask("/lease_job", Job(runner="r"), RUNNER)  # from now on jobs are filed
    yield service
    service.close()


def audit_lines(service) -> list[dict]:
    log = service.executors[0].settings.home / "audit.log"
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def ask(executor, path, doc, caller=CALLER):
    return executor.requests[path].fn(executor, sent(list_of(type(doc))([doc])), caller=caller)


@pytest.mark.parametrize("endpoint", ["/job", "/cancel_job", "/lease_job", "/report_job", "/calibrate"])
def test_what_waits_for_the_store_does_not_hold_up_searches(service, endpoint):
    """Eight at once, as many as there are threads for what needs no queue."""
    service.ask("/job", Job(video_id=video_id(0)))
    running = service.ask("/lease_job", Job(runner="r"), RUNNER)
    waiting = service.ask("/job", Job(video_id=video_id(1)))
    docs = {
        "/job": (Job(video_id=video_id(1)), CALLER),
        "/cancel_job": (Job(job_id=waiting.job_id), CALLER),
        "/lease_job": (Job(runner="r"), RUNNER),
        "/report_job": (running, RUNNER),
        "/calibrate": (Calibration(answered_share=0.1, phrases=DocList[QueryPart]([text(1)])), CALLER),
    }
    [executor] = service.executors

    async def ask_all() -> float:
        with executor.library("main").store.database.write():
            waiting = [asyncio.create_task(ask(executor, endpoint, *docs[endpoint])) for _ in range(8)]
            started = time.monotonic()
            [found] = await asyncio.wait_for(ask(executor, "/search", query(text(1))), 10.0)
            seconds = time.monotonic() - started
            assert found.answered and not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
        return seconds

    assert asyncio.run(ask_all()) < 1.0


@pytest.mark.parametrize("slow", ["recall", "videos"])
def test_what_reads_all_of_a_store_does_not_hold_up_searches(service, monkeypatch, slow):
    begun, free = threading.Event(), threading.Event()
    [executor] = service.executors

    def read_slowly(*_):
        begun.set()
        assert free.wait(30)
        return {}

    path, doc = {"recall": ("/health", Health(check_recall=True)), "videos": ("/videos", Video())}[slow]
    owner, name = (executor, slow) if slow == "recall" else (executor.library("main").store, "stored_videos")
    monkeypatch.setattr(owner, name, read_slowly)

    async def ask_all() -> None:
        waiting = [asyncio.create_task(ask(executor, path, doc)) for _ in range(8)]
        assert await asyncio.to_thread(begun.wait, 30)
        try:
            [found] = await asyncio.wait_for(ask(executor, "/search", query(text(1))), 10.0)
            assert found.answered and not any(task.done() for task in waiting)
        finally:
            free.set()
            await asyncio.gather(*waiting)

    asyncio.run(ask_all())


def test_work_on_a_job_waits_in_the_line_of_who_filed_it(service, monkeypatch):
    """Else the jobs of all callers share one turn, against one who sends spans."""
    lines = []
    [executor] = service.executors
    in_queue = executor.in_queue

    def noted(queue, caller, task):
        lines.append(caller)
        return in_queue(queue, caller, task)

    monkeypatch.setattr(executor, "in_queue", noted)
    service.ask("/index", span_of(0), replace(RUNNER, filed_by="bob"))
    assert set(lines) == {"bob"}


def test_the_audit_log_names_who_filed_a_job_whatever_became_of_it(service):
    service.ask("/probe", registered(3))
    filed = service.ask("/job", Job(video_id=video_id(3)), BOB)
    service.ask("/lease_job", Job(runner="r"), RUNNER)
    service.ask("/cancel_job", Job(job_id=filed.job_id, forget=True), BOB)  # while its last span is on its way
    service.ask("/index", span_of(3), replace(RUNNER, filed_by="bob"))
    last = audit_lines(service)[-1]
    assert (last["what"], last["caller"], last["video_id"]) == ("indexed", "bob", video_id(3))


def test_the_audit_log_says_who_cancelled_a_job_of_another(service):
    filed = service.ask("/job", Job(video_id=video_id(0)), BOB)
    before = len(audit_lines(service))
    for forget in (False, False, True):  # the second one changes nothing
        service.ask("/cancel_job", Job(job_id=filed.job_id, forget=forget))
    said = [(line["caller"], line["library"], line["what"], line["video_id"]) for line in audit_lines(service)[before:]]
    assert said == [("anyone", "main", what, video_id(0)) for what in ("job cancelled", "job forgotten")]


def test_the_health_of_a_library_counts_its_own_jobs_only(service):
    service.ask("/probe", registered(5), PRESS)
    service.ask("/job", Job(video_id=video_id(5)), PRESS)
    [executor] = service.executors
    executor._runner_seen_at = executor._started_at = -float("inf")  # nobody does jobs

    def warnings(caller):
        return service.ask("/health", Health(), caller).components[0].warnings

    assert warnings(CALLER) == []
    [warning] = warnings(PRESS)
    assert warning.startswith("1 job cannot begin")


def test_jobs_of_another_library_are_as_if_there_were_none(service):
    service.ask("/probe", registered(5), PRESS)
    filed = service.ask("/job", Job(video_id=video_id(5)), PRESS)
    for path in ("/jobs", "/cancel_job"):
        for forget in (False, True):
            with pytest.raises(NotFound, match=f"There is no job '{filed.job_id}'"):
                service.ask(path, Job(job_id=filed.job_id, forget=forget))
    assert service.ask("/jobs", Job(job_id=filed.job_id), PRESS).state == "waiting"


@pytest.mark.parametrize("text", ["a\0b", "'; DROP TABLE jobs; --", "%s %(x)s ?", "\x1b]0;x\x07", "\ud7ff\uffff"])
def test_no_text_breaks_a_request_about_jobs(service, text):
    """Each is refused by name, in both kinds of store, and an error with it is stored."""
    filed = service.ask("/job", Job(video_id=video_id(0)))
    for path in ("/job", "/jobs", "/cancel_job"):
        for doc in (Job(job_id=text), Job(video_id=text, job_id=text, kind=text), Job(job_id=text, forget=True)):
            with pytest.raises((NotFound, InvalidRequest)):
                service.ask(path, doc)
    running = service.ask("/lease_job", Job(runner="r"), RUNNER)
    assert running.job_id == filed.job_id
    failed = running.model_copy(update={"state": FAILED, "error": text, "error_kind": "UnreadableVideo"})
    assert service.ask("/report_job", failed, RUNNER).state == FAILED
    [listed] = service._ask("/jobs", list_of(Job)([Job()]), CALLER)
    assert (listed.state, listed.error) == (FAILED, escape_hidden(text))


def read(service, number=0) -> None:
    """Store the words of a video: there are none."""
    span = WordSpan(video_id=video_id(number), start_seconds=0.0, end_seconds=20.0)
    assert service.ask("/words", span).stored


def words_of(service, number=0) -> tuple[str, str, bool]:
    """Whether the words of a video are read, their language, and whether they are not wanted."""
    [video] = service.videos(video_id(number))
    return video.words, video.language, video.no_words


def jobs_of(service) -> list[tuple[str, str, str]]:
    return [(job.kind, job.video_id, job.caller) for job in service._ask("/jobs", list_of(Job)([Job()]), CALLER)]


def turn_words_off(service) -> None:
    [executor] = service.executors
    executor.settings = replace(executor.settings, words="off")


def test_words_are_read_as_asked(service):
    read(service)
    assert words_of(service) == ("read", "", False)
    filed = service.ask("/job", Job(kind="words", video_id=video_id(0), again=True, language="zh"))
    assert (filed.kind, filed.state, filed.is_new, filed.total_seconds) == ("words", "waiting", True, 20.0)
    assert (filed.done_seconds, filed.again, filed.language) == (0.0, False, "")
    assert words_of(service) == ("reading", "zh", False)


def test_words_are_read_without_losing_any_by_default(service):
    read(service)
    assert service.ask("/job", Job(kind="words", video_id=video_id(0))).done_seconds == 20.0
    assert words_of(service) == ("read", "", False)


def test_words_are_forgotten_where_nobody_does_jobs_too(service):
    [executor] = service.executors
    executor._runner_seen_at = -float("inf")
    read(service)
    assert service.ask("/job", Job(kind="words", video_id=video_id(0), again=True)).state == ""
    assert words_of(service) == ("reading", "", False)


def test_a_service_that_reads_no_words_says_how_to_change_that(service):
    read(service)
    turn_words_off(service)
    with pytest.raises(InvalidRequest, match=r"CLIPSEEK_WORDS is off\. Set it to auto"):
        service.ask("/job", Job(kind="words", video_id=video_id(0), again=True))
    assert service.ask("/index", add(service, 3)).stored and jobs_of(service) == []


@pytest.mark.parametrize("path", ["/job", "/probe"])
def test_a_language_is_a_code(service, path):
    doc = (Job if path == "/job" else Video)(video_id=video_id(0), language="x; DROP")
    with pytest.raises(InvalidRequest, match="language is 'x; DROP', but must be a code such as en or zh"):
        service.ask(path, doc)


def add(service, number, **values) -> VideoSpan:
    """Register a video. Returns: its one span, to index."""
    service.ask("/probe", registered(number).model_copy(update=values))
    return span_of(number)


def test_the_words_of_a_new_video_are_filed_once_for_who_added_it(service):
    span = add(service, 3)
    for _ in range(2):
        service.ask("/index", span, replace(RUNNER, filed_by="bob"))
    assert jobs_of(service) == [("words", video_id(3), "bob")]


def test_words_that_nobody_wants_are_not_read_until_somebody_does(service):
    service.ask("/index", add(service, 3, no_words=True))
    assert jobs_of(service) == [] and words_of(service, 3) == ("", "", True)
    service.ask("/job", Job(kind="words", video_id=video_id(3)))
    assert words_of(service, 3) == ("reading", "", False)


def test_words_are_not_filed_where_nobody_does_jobs(service):
    [executor] = service.executors
    executor._runner_seen_at = -float("inf")
    service.ask("/index", add(service, 3))
    assert jobs_of(service) == []


def test_a_video_that_is_deleted_takes_the_job_for_its_words_along(service):
    service.ask("/job", Job(kind="words", video_id=video_id(0)))
    running = service.ask("/lease_job", Job(runner="r"), RUNNER)
    service.ask("/delete", Video(video_id=video_id(0)))
    assert service.ask("/report_job", running, RUNNER).state == CANCELLED


def test_a_library_with_videos_of_an_earlier_version_files_a_job_for_their_times(service):
    [executor] = service.executors
    executor.correct_times("main")
    assert service.ask("/lease_job", Job(runner="r"), RUNNER).job_id == ""  # there are none
    with executor.library("main").store.database.write() as db:
        db.execute("UPDATE videos SET first_seconds = -1")
    for _ in range(2):  # once, however often it is opened
        executor.correct_times("main")
    job = service.ask("/lease_job", Job(runner="r"), RUNNER)
    assert (job.kind, job.title, job.library, job.caller) == (CORRECT_TIMES, "times of 2 videos", "main", "")
    assert service.ask("/lease_job", Job(runner="r"), RUNNER).job_id == ""
