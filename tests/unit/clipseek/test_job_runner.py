"""The runner over the real table of jobs and a service that is made up: what it does with a job, and what ends one."""

import threading
from dataclasses import dataclass, field

import pytest

from clipseek.api.base_document import copy_fields, shared_fields
from clipseek.api.documents import Job, Video
from clipseek.api.errors import (
    AccessDenied,
    InvalidRequest,
    LimitExceeded,
    MediaMissing,
    NoVideoStream,
    RequestLost,
    ServerUnreachable,
    StoreFull,
)
from clipseek.api.limits import CANCELLED, DONE, FAILED, RUNNING, WAITING, WORDS
from clipseek.client import error_of
from clipseek.service import job_runner
from clipseek.service.job_runner import Runner
from executors.faiss_indexer.store.jobs import SLICE_SECONDS, JobRecord, Jobs
from executors.faiss_indexer.store.store import Store


@dataclass
class World:
    """A service. `videos` has what happens at each span of a video: an error, or something to call."""

    jobs: Jobs
    videos: dict[str, list] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)  # spans
    libraries: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    unread: str = ""  # what the words of each video say at their end
    now: float = 1000.0
    away: Exception | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def file(self, video: str, *spans, **values) -> str:
        self.videos[video] = list(spans) or [None]
        ask = JobRecord(**{"video_id": video, "title": video, "library": "main", "caller": "ann"} | values)
        return self.jobs.file(ask, self.now)[0].job_id

    def state(self, job_id: str) -> str:
        return self.jobs.job("main", job_id).state

    def wait_for(self, job_id: str, *states: str) -> JobRecord:
        with self.changed:
            assert self.changed.wait_for(lambda: self.state(job_id) in states, 20), self.jobs.job("main", job_id)
        return self.jobs.job("main", job_id)

    def connect(self, library: str, caller: str) -> "Service":
        self.libraries.append(library)
        self.callers.append(caller)
        return Service(self)


class Service:
    """What the runner uses of a client."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def lease(self, runner):
        if self.world.away:
            raise self.world.away
        job = self.world.jobs.claim(runner, self.world.now)
        self._tell()
        return job and Job(**shared_fields(job, Job))

    def report(self, job, *, timeout_seconds=None):
        if self.world.away:
            raise self.world.away
        record = self.world.jobs.report(JobRecord(**shared_fields(job, JobRecord)), self.world.now)
        self._tell()
        answer = Job(state=CANCELLED)
        if record:
            copy_fields(record, answer)
            answer.should_yield = self.world.jobs.should_yield(record, self.world.now)
        return answer

    def index_missing(self, video_id, begin, on_span):
        spans = self.world.videos[video_id]
        begin(Video(video_id=video_id, duration_seconds=30.0 * len(spans)))
        done = self.world.stored.get(video_id, 0)
        on_span(30.0 * done, 0)
        for number in range(done, len(spans)):
            happens = spans[number]
            if isinstance(happens, Exception):
                raise happens
            if happens:
                happens()
            self.world.stored[video_id] = number + 1
            on_span(30.0 * (number + 1), 2 * (number + 1 - done))

    def read_missing_words(self, video_id, begin, on_span):
        self.index_missing(video_id, begin, on_span)
        return self.world.unread

    def _tell(self):
        with self.world.changed:
            self.world.changed.notify_all()


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(job_runner, "_LONGEST_POLL_SECONDS", 0.01)
    monkeypatch.setattr(job_runner, "_BEAT_SECONDS", 0.01)
    with Store(tmp_path) as store:
        yield World(Jobs(store.database))


@pytest.fixture
def run(world):
    """Start a runner."""
    started = []

    def start(jobs_at_a_time=1):
        runner = Runner(world.connect, jobs_at_a_time)
        thread = threading.Thread(target=runner.run)
        thread.start()
        started.append((runner, thread))
        return runner

    yield start
    for runner, thread in started:
        runner.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_jobs_are_done_one_after_another_in_their_libraries(world, run):
    first = world.file("a", None, None, library="main")
    second = world.file("b", library="main")
    run()
    done = world.wait_for(second, DONE)
    assert (done.done_seconds, done.total_seconds, done.frames_encoded, done.tries) == (30.0, 30.0, 2, 0)
    assert world.jobs.job("main", first).frames_encoded == 4
    assert world.libraries == ["", "main", "main"]
    assert world.callers == ["", "ann", "ann"]


def test_two_at_a_time_run_at_once(world, run):
    both = threading.Barrier(2, timeout=20)
    ids = [world.file(name, both.wait) for name in ("a", "b")]
    run(jobs_at_a_time=2)
    for job_id in ids:
        world.wait_for(job_id, DONE)


def test_an_error_of_the_video_is_final_and_keeps_its_class_and_data(world, run):
    error = LimitExceeded("Too large.", setting="CLIPSEEK_MAX_SPAN_FRAMES", limit=4.0, value=5.0)
    bad, large, good = world.file("bad", NoVideoStream("No picture.")), world.file("large", error), world.file("good")
    run()
    world.wait_for(good, DONE)
    failed = world.jobs.job("main", bad)
    assert (failed.state, failed.error, failed.error_kind, failed.tries) == (FAILED, "No picture.", "NoVideoStream", 1)
    found = error_of(Job(**shared_fields(world.jobs.job("main", large), Job)))
    assert isinstance(found, LimitExceeded) and (found.setting, found.limit) == ("CLIPSEEK_MAX_SPAN_FRAMES", 4.0)


def test_a_video_that_ends_the_server_is_not_tried_again(world, run):
    job_id = world.file("bad", RequestLost("It crashed."))
    run()
    assert world.wait_for(job_id, FAILED).tries == 1


@pytest.mark.parametrize("error", [StoreFull("Full."), InvalidRequest("No such span."), KeyError("a bug")])
def test_other_errors_are_tried_again_later_and_continue(world, run, error, caplog):
    job_id = world.file("a", None, error)
    run()
    with world.changed:
        assert world.changed.wait_for(lambda: world.jobs.job("main", job_id).error, 20)
    waits = world.jobs.job("main", job_id)
    assert waits.lease_until > world.now and waits.done_seconds == 30.0
    world.videos["a"][1] = None
    world.now = waits.lease_until
    assert world.wait_for(job_id, DONE).frames_encoded == 4
    caplog.clear()


def test_a_cancelled_job_stops_at_a_spans_edge_and_its_spans_stay(world, run):
    ids = []
    ids.append(world.file("a", None, lambda: cancel_and_wait(world, ids[0]), None, None))
    after = world.file("b", library="main")
    run()
    world.wait_for(after, DONE)
    assert world.state(ids[0]) == CANCELLED and world.stored["a"] == 2


def cancel_and_wait(world, job_id):
    world.jobs.cancel("main", job_id, world.now)
    wait_until_left(job_id)


def wait_until_left(job_id):
    """Wait until the runner has noticed that the job is not its own any more."""
    for thread in threading.enumerate():
        if thread.name == f"beat-{job_id}":
            thread.join(20)
            assert not thread.is_alive()


def test_a_job_that_another_runner_has_taken_over_is_left_alone(world, run):
    ids = []

    def lose():
        world.now += 60.0
        assert world.jobs.claim("other", world.now).runner == "other"
        wait_until_left(ids[0])

    ids.append(world.file("a", lose, None))
    after = world.file("b")
    run()
    world.wait_for(after, DONE)
    job = world.jobs.job("main", ids[0])
    assert (job.state, job.runner) == (RUNNING, "other")


def wait_for_beats(world):
    """Wait until a report that began after this has been answered."""
    beats = threading.Semaphore(0)
    report = world.jobs.report

    def counting(*args):
        beats.release()
        return report(*args)

    world.jobs.report = counting
    for _ in range(3):
        assert beats.acquire(timeout=20)
    world.jobs.report = report


def test_a_long_job_makes_room_and_continues(world, run):
    order = []

    def long():
        order.append("a")
        world.now += SLICE_SECONDS
        wait_for_beats(world)

    first = world.file("a", long, lambda: order.append("a2"))
    world.file("b", lambda: order.append("b"), caller="bob")
    run()
    done = world.wait_for(first, DONE)
    assert order == ["a", "b", "a2"] and done.tries == 0


def test_a_runner_that_stops_gives_its_job_back_at_once(world, run):
    inside, go_on = threading.Event(), threading.Event()

    def hold():
        inside.set()
        assert go_on.wait(20)

    job_id = world.file("a", hold, None)
    runner = run()
    assert inside.wait(20)
    runner.stop()
    job = world.jobs.job("main", job_id)
    assert (job.state, job.lease_until, job.tries) == (WAITING, 0.0, 0)
    go_on.set()
    run()
    assert world.wait_for(job_id, DONE).done_seconds == 60.0


def test_a_runner_waits_for_a_server_that_is_away(world, run):
    world.away = ServerUnreachable("Nobody.")
    job_id = world.file("a")
    run()
    world.away = None
    world.wait_for(job_id, DONE)


def test_a_runner_that_the_server_does_not_know_ends(world):
    world.away = AccessDenied("No.")
    with pytest.raises(AccessDenied):
        Runner(world.connect).run()


def test_words_are_read_after_all_else_and_say_what_could_not_be_read(world, run):
    order, world.unread = [], "Half of it cannot be read."
    job_id = world.file("a", lambda: order.append("words"), kind=WORDS)
    world.file("b", lambda: order.append("pictures"), caller="bob")
    run(jobs_at_a_time=2)
    job = world.wait_for(job_id, DONE)
    assert order == ["pictures", "words"] and job.error == "Half of it cannot be read."


def test_words_make_room_for_pictures_at_the_edge_of_a_span(world, run):
    order = []

    def read():
        order.append("words")
        world.file("b", lambda: order.append("pictures"), caller="bob")
        wait_for_beats(world)

    job_id = world.file("a", read, lambda: order.append("more words"), kind=WORDS)
    run(jobs_at_a_time=1)
    assert world.wait_for(job_id, DONE).tries == 0 and order == ["words", "pictures", "more words"]


def test_the_times_of_old_videos_are_corrected_one_after_another(monkeypatch, caplog):
    """One that cannot be read keeps its times, and the others follow."""
    library = [
        Video(video_id="new", first_seconds=0.0, duration_seconds=5.0),
        *(Video(video_id=name, title=name, first_seconds=-1.0, duration_seconds=10.0) for name in ("a", "b", "c")),
    ]
    probed, done = [], []

    def probe(_transport, video):
        probed.append(video.video_id)
        if video.video_id == "b":
            raise MediaMissing("The file of 'b' cannot be opened")

    monkeypatch.setattr(job_runner.indexing, "probe", probe)
    with job_runner.ServiceClient("", "main") as client:
        monkeypatch.setattr(client, "videos", lambda: library)
        client.correct_times(lambda video: done.append(video.duration_seconds), lambda *span: done.append(span))
    assert (probed, done) == (["a", "b", "c"], [30.0, (10.0, 0), (20.0, 0), (30.0, 0)])
    assert caplog.messages == ["the times of 'b' stay as they are: The file of 'b' cannot be opened"]
