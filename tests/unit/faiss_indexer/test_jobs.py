"""Jobs in the store: filed once, in fair order, leased to one runner, tried again, ended, bounded."""

import threading
from dataclasses import replace

import pytest

from clipseek.api.errors import NotFound, TooManyRequests
from clipseek.api.limits import CANCELLED, CHANGE_MODEL, DONE, FAILED, RUNNING, WAITING, WORDS
from executors.faiss_indexer.store import jobs as jobs_module
from executors.faiss_indexer.store.jobs import (
    FIRST_PAUSE_SECONDS,
    KEEP_SECONDS,
    LEASE_SECONDS,
    MAX_TRIES,
    SLICE_SECONDS,
    WORDS_TURN_SECONDS,
    WORDS_WAIT_SECONDS,
    JobRecord,
    Jobs,
)
from executors.faiss_indexer.store.store import Store
from tests.postgres import open_engine


@pytest.fixture
def store(engine):
    with Store(open_engine(engine)) as store:
        yield store


@pytest.fixture
def jobs(store):
    return Jobs(store.database)


def ask(video="v", caller="ann", library="main", total=60.0) -> JobRecord:
    return JobRecord(video_id=video, title=f"{video}.mp4", caller=caller, library=library, total_seconds=total)


def file(jobs, *asks, now=100.0, **options) -> list[str]:
    return [jobs.file(one, now, **options)[0].job_id for one in asks]


def claimed(jobs, now=200.0, runner="r") -> str:
    """The video of the next job."""
    job = jobs.claim(runner, now)
    return job.video_id if job else ""


def report(job, **changes) -> JobRecord:
    return replace(job, **changes)


def test_a_job_comes_back_as_it_was_filed(jobs):
    job, is_new = jobs.file(ask(), 100.0)
    assert is_new and (job.state, job.created_at, job.tries) == (WAITING, 100.0, 0)
    assert jobs.job("main", job.job_id) == job == jobs.of_library("main")[0]
    assert jobs.of_library("other") == []
    with pytest.raises(NotFound, match="no job"):
        jobs.job("other", job.job_id)


def test_an_unfinished_job_of_the_same_video_is_not_filed_twice(jobs):
    [first] = file(jobs, ask())
    again, is_new = jobs.file(ask(caller="bob"), 101.0)
    assert (again.job_id, again.caller, is_new) == (first, "ann", False)
    jobs.claim("r", 102.0)
    assert jobs.file(ask(), 103.0) == (jobs.job("main", first), False)
    assert jobs.file(ask(library="other"), 103.0)[1]
    jobs.report(report(jobs.job("main", first), state=DONE), 104.0)
    last, is_new = jobs.file(ask(), 105.0)
    assert is_new and [job.job_id for job in jobs.of_library("main")] == [last.job_id]  # it replaces the old one


def test_a_caller_may_have_so_many_unfinished_jobs(jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_UNFINISHED_JOBS", 2)
    [first, _] = file(jobs, ask("a"), ask("b"))
    with pytest.raises(TooManyRequests, match="'ann' has 2 unfinished jobs"):
        jobs.file(ask("c"), 101.0)
    file(jobs, ask("c", caller="bob"))
    jobs.cancel("main", first, 102.0)
    file(jobs, ask("c2"))


def test_callers_take_turns_however_much_one_of_them_files(jobs):
    file(jobs, *(ask(f"a{number}") for number in range(30)))
    file(jobs, ask("b", caller="bob"), ask("c", caller="cleo", library="other"), now=101.0)
    assert [claimed(jobs, now=200.0 + turn) for turn in range(5)] == ["a0", "b", "c", "a1", "a2"]
    file(jobs, ask("b2", caller="bob"), now=205.0)
    assert [claimed(jobs, now=206.0 + turn) for turn in range(2)] == ["b2", "a3"]


def test_nobody_comes_sooner_who_has_finished_jobs_forgotten(jobs):
    file(jobs, *(ask(f"a{number}") for number in range(4)), *(ask(f"b{number}", caller="bob") for number in range(4)))
    turns = []
    for turn in range(6):
        job = jobs.claim("r", 200.0 + turn)
        turns.append(job.video_id)
        jobs.report(report(job, state=DONE), 200.5 + turn)
        if job.caller == "ann":
            jobs.cancel("main", job.job_id, 200.6 + turn, forget=True)
    assert turns == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_a_store_without_turns_gets_them(store, jobs):
    """As an earlier version left it."""
    file(jobs, ask("a"), ask("b", caller="bob"))
    with store.database.write() as db:
        db.execute("DROP TABLE job_callers")
    jobs = Jobs(store.database)
    assert [claimed(jobs, now=200.0 + turn) for turn in range(2)] == ["a", "b"]


def test_who_had_a_turn_is_forgotten_in_time(store, jobs):
    file(jobs, ask("a"), ask("b", caller="bob"))
    assert [claimed(jobs, now=now) for now in (200.0, 300.0)] == ["a", "b"]
    file(jobs, ask("c", caller="cleo"), now=250.0 + KEEP_SECONDS)
    assert [name for (name,) in store.database.rows("SELECT caller FROM job_callers")] == ["bob"]


def test_of_one_callers_jobs_new_videos_come_first(jobs):
    file(jobs, ask("old"), is_known=True)
    done, _ = jobs.file(ask("again"), 100.0)
    assert claimed(jobs) == "again"
    jobs.report(report(jobs.job("main", done.job_id), state=DONE), 201.0)
    file(jobs, ask("again"), ask("new"), now=202.0)
    assert [claimed(jobs, now=203.0) for _ in range(4)] == ["new", "old", "again", ""]


def test_new_videos_that_keep_coming_do_not_hold_up_a_change_of_the_model(jobs):
    for turn in range(2):  # to another model, and back
        now = 1000.0 * (turn + 1)
        file(jobs, ask("early"), now=now)
        change = JobRecord(kind=CHANGE_MODEL, library="main", title=f"model{turn}", caller="ann")
        filed, _ = jobs.file(change, now + 1)
        file(jobs, ask("late"), now=now + 2)
        claims = [jobs.claim("r", now + 3) for _ in range(3)]
        assert [job and job.title for job in claims] == ["early.mp4", f"model{turn}", "late.mp4"]
        for job in claims:
            jobs.report(report(job, state=DONE), now + 4)
        assert jobs.job("main", filed.job_id).state == DONE
        for job in jobs.of_library("main"):
            if job.kind != CHANGE_MODEL:
                jobs.cancel("main", job.job_id, now + 5, forget=True)


def test_no_two_runners_get_the_same_job(engine, jobs):
    other = Jobs(open_engine(engine))  # as another process
    file(jobs, *(ask(f"v{number}") for number in range(40)))
    got: list[str] = []
    together = threading.Barrier(4)

    def run(table: Jobs, name: str) -> None:
        together.wait()
        while video := claimed(table, runner=name):
            got.append(video)

    threads = [threading.Thread(target=run, args=((jobs, other)[number % 2], f"r{number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other._database.close()
    assert sorted(got) == sorted(f"v{number}" for number in range(40))


def test_a_job_whose_runner_is_gone_is_given_to_another(jobs):
    file(jobs, ask())
    lost = jobs.claim("first", 200.0)
    assert lost.state == RUNNING
    beat = jobs.report(report(lost, done_seconds=30.0, frames_encoded=7), 205.0)
    assert (beat.done_seconds, beat.frames_encoded, beat.lease_until) == (30.0, 7, 205.0 + LEASE_SECONDS)
    assert jobs.claim("second", 205.0 + LEASE_SECONDS - 0.1) is None
    again = jobs.claim("second", 205.0 + LEASE_SECONDS)
    assert (again.runner, again.done_seconds, again.frames_encoded) == ("second", 30.0, 7)
    # The first one comes back: it gets the state, and changes nothing.
    answer = jobs.report(report(lost, state=DONE, done_seconds=60.0), 217.0)
    assert answer == again == jobs.job("main", again.job_id)


def test_a_job_that_takes_its_runner_down_each_time_has_failed_and_the_next_one_comes(jobs):
    [bad, _] = file(jobs, ask("bad"), ask("good", caller="bob"), now=100.0)
    now = 200.0
    for _ in range(MAX_TRIES):
        assert claimed(jobs, now) == "bad"
        assert jobs.claim("r", now) is None or jobs.report(report(jobs.of_library("main")[1], state=WAITING), now)
        now += LEASE_SECONDS
    assert claimed(jobs, now) == "good"
    failed = jobs.job("main", bad)
    assert failed.state == FAILED and f"ended {MAX_TRIES} times" in failed.error


def test_progress_makes_all_tries_available_again(jobs):
    [job_id] = file(jobs, ask())
    for step in range(3 * MAX_TRIES):
        job = jobs.claim("r", 200.0 + 20 * step)
        jobs.report(report(job, done_seconds=float(step + 1)), 201.0 + 20 * step)
    assert jobs.job("main", job_id).state == RUNNING


def test_a_failure_is_tried_again_with_growing_pauses_until_it_is_final(jobs):
    [job_id] = file(jobs, ask())
    now, pauses = 200.0, []
    for _ in range(MAX_TRIES):
        job = jobs.claim("r", now)
        job = jobs.report(report(job, state=WAITING, error="The disk is full.", error_kind="StoreFull"), now)
        pauses.append(job.lease_until - now)
        if job.state == WAITING:
            assert jobs.claim("r", job.lease_until - 0.1) is None
            now = job.lease_until
    assert pauses[:-1] == [FIRST_PAUSE_SECONDS * factor for factor in (1, 2, 4, 8)]
    failed = jobs.job("main", job_id)
    assert (failed.state, failed.error, failed.error_kind, failed.ended_at) == (
        FAILED,
        "The disk is full.",
        "StoreFull",
        now,
    )


def test_a_final_failure_is_not_tried_again(jobs):
    [job_id] = file(jobs, ask())
    job = jobs.claim("r", 200.0)
    jobs.report(report(job, state=FAILED, error="No video.", error_kind="NoVideoStream"), 201.0)
    assert jobs.claim("r", 1e6) is None
    assert jobs.job("main", job_id).tries == 1


def test_a_job_that_is_given_back_waits_without_counting_a_try(jobs):
    [job_id] = file(jobs, ask())
    for _ in range(2 * MAX_TRIES):
        jobs.report(report(jobs.claim("r", 200.0), state=WAITING), 201.0)
    assert (jobs.job("main", job_id).state, jobs.job("main", job_id).tries) == (WAITING, 0)


def test_a_long_job_makes_room_for_another_callers_only(jobs):
    file(jobs, ask("long"), ask("next"))
    job = jobs.claim("r", 200.0)
    assert not jobs.should_yield(job, 200.0 + SLICE_SECONDS)  # the caller's own next one waits
    file(jobs, ask("other", caller="bob"))
    assert not jobs.should_yield(job, 199.0 + SLICE_SECONDS)
    assert jobs.should_yield(job, 200.0 + SLICE_SECONDS)
    jobs.report(report(job, state=WAITING), 261.0)
    assert [claimed(jobs, now=262.0 + turn) for turn in range(3)] == ["other", "long", "next"]


def words(video="v", **values) -> JobRecord:
    return replace(ask(video, **values), kind=WORDS)


def test_words_wait_for_the_work_of_all_callers(jobs):
    file(jobs, words("a"), words("b", caller="bob"))
    file(jobs, ask("c"), ask("d", caller="bob"), now=101.0)
    assert [claimed(jobs), claimed(jobs)] == ["c", "d"]
    assert claimed(jobs) == ""  # as long as others run, too
    for job in jobs.of_library("main"):
        jobs.report(report(job, state=DONE), 201.0)
    assert claimed(jobs) == "a"


def test_a_runner_reads_the_words_of_one_video_at_a_time(jobs):
    file(jobs, words("a"), words("b"))
    assert (claimed(jobs, runner="one"), claimed(jobs, runner="one"), claimed(jobs, runner="two")) == ("a", "", "b")


def test_words_of_a_runner_that_is_gone_are_read_by_another(jobs):
    file(jobs, words("a"))
    assert claimed(jobs, now=200.0, runner="one") == "a"
    assert claimed(jobs, now=200.0 + LEASE_SECONDS, runner="one") == "a"


def test_work_whose_runner_is_gone_goes_before_words(jobs):
    file(jobs, ask("a"), words("b"))
    assert claimed(jobs, now=200.0) == "a"
    assert [claimed(jobs, now=200.0 + LEASE_SECONDS), claimed(jobs, now=200.0 + LEASE_SECONDS)] == ["a", ""]


def test_work_that_waits_to_be_tried_again_does_not_hold_up_words(jobs):
    file(jobs, ask("a"), words("b"))
    jobs.report(report(jobs.claim("r", 200.0), state=WAITING, error="The disk is full."), 200.0)
    assert claimed(jobs, now=201.0) == "b"


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("caller", ["ann", "bob"])
def test_words_make_room_at_once_for_all_other_work(jobs, begun, caller):
    file(jobs, words("a"), words("b", caller="bob"))
    job = jobs.claim("r", 200.0)
    assert not jobs.should_yield(job, 201.0)
    [other] = file(jobs, ask("c", caller=caller), now=200.5)
    if begun:
        assert claimed(jobs, now=200.5) == "c"
    assert jobs.should_yield(job, 201.0)
    jobs.cancel("main", other, 202.0)
    assert not jobs.should_yield(job, 203.0)


def test_overdue_words_get_a_short_turn_beside_other_work(jobs):
    file(jobs, words("a"), ask("b"), ask("c"))
    other, soon = jobs.claim("r", 100.0), 100.0 + WORDS_WAIT_SECONDS
    jobs.report(other, soon - 1.0)  # it still runs
    assert claimed(jobs, now=soon) == "a"  # before work that waits
    job = jobs.job("main", jobs.of_library("main")[0].job_id)
    assert not jobs.should_yield(job, soon + WORDS_TURN_SECONDS - 1.0)
    end = soon + WORDS_TURN_SECONDS
    jobs.report(other, end)
    assert jobs.should_yield(job, end)
    jobs.report(report(job, state=WAITING), end)
    assert [claimed(jobs, now=end), claimed(jobs, now=end)] == ["c", ""]


def test_words_of_callers_take_turns(jobs):
    file(jobs, words("a"), words("a2"), words("b", caller="bob"))
    job = jobs.claim("r", 200.0)
    assert jobs.should_yield(job, 200.0 + SLICE_SECONDS)
    jobs.report(report(job, state=WAITING), 261.0)
    assert claimed(jobs, now=262.0) == "b"


def test_other_work_makes_no_room_for_words(jobs):
    file(jobs, ask("a"), words("b", caller="bob"))
    assert not jobs.should_yield(jobs.claim("r", 200.0), 200.0 + SLICE_SECONDS)


def test_words_that_wait_are_listed_behind_other_work_and_count_for_nobody(jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_UNFINISHED_JOBS", 2)
    file(jobs, *(words(f"w{number}") for number in range(4)), now=100.0)
    assert claimed(jobs) == "w0"
    file(jobs, ask("a"), ask("b"), now=201.0)
    assert [job.video_id for job in jobs.of_library("main")] == ["w0", "a", "b", "w1", "w2", "w3"]


def test_words_and_pictures_of_a_video_are_two_jobs(jobs):
    assert len(set(file(jobs, ask("a"), words("a"), words("a")))) == 2
    jobs.drop_video("main", "a", 200.0)
    assert {job.state for job in jobs.of_library("main")} == {CANCELLED}


def test_words_that_take_a_runner_down_each_time_have_failed_and_say_so(jobs):
    [bad] = file(jobs, words("bad"))
    for number in range(MAX_TRIES + 1):
        jobs.claim("r", 200.0 + number * LEASE_SECONDS)
    assert jobs.job("main", bad).error.startswith("The process that reads the words of 'bad.mp4' ended")


def test_a_cancelled_job_is_not_begun_and_its_runner_is_told(jobs):
    [first, second] = file(jobs, ask("a"), ask("b"))
    assert jobs.cancel("main", second, 150.0).state == CANCELLED
    running = jobs.claim("r", 200.0)
    assert running.job_id == first and jobs.claim("r", 200.0) is None
    assert jobs.cancel("main", first, 201.0).ended_at == 201.0
    assert jobs.report(report(running, done_seconds=30.0), 202.0).state == CANCELLED
    assert jobs.cancel("main", first, 203.0).ended_at == 201.0  # once is enough
    with pytest.raises(NotFound):
        jobs.cancel("other", first, 204.0)
    jobs.cancel("main", first, 205.0, forget=True)
    assert [job.job_id for job in jobs.of_library("main")] == [second]
    assert jobs.report(running, 206.0) is None


def test_a_deleted_video_takes_its_jobs_along(jobs):
    file(jobs, ask("a"), ask("b"), ask("a", library="other"))
    jobs.report(report(jobs.claim("r", 200.0), state=DONE), 201.0)  # a
    for video in ("a", "b"):
        jobs.drop_video("main", video, 202.0)
    assert [(job.video_id, job.state) for job in jobs.of_library("main")] == [("b", CANCELLED)]
    assert [job.state for job in jobs.of_library("other")] == [WAITING]


def test_a_job_that_fails_while_its_video_is_being_deleted_is_cancelled(jobs):
    [job_id] = file(jobs, ask("a"))
    gone = report(jobs.claim("r", 200.0), state=FAILED, error="It is gone.", error_kind="VideoNotFound")
    assert jobs.report(gone, 201.0).state == CANCELLED
    for _ in range(2):  # a request to delete may be repeated
        jobs.drop_video("main", "a", 202.0)
    assert jobs.job("main", job_id).ended_at == 201.0


def test_finished_jobs_are_listed_last_first_and_forgotten_in_time(jobs, monkeypatch):
    file(jobs, *(ask(f"v{number}") for number in range(5)))
    for number in range(4):
        jobs.report(report(jobs.claim("r", 200.0 + number), state=DONE), 200.0 + number)
    assert [job.video_id for job in jobs.of_library("main")] == ["v4", "v3", "v2", "v1", "v0"]
    monkeypatch.setattr(jobs_module, "MAX_FINISHED", 2)
    file(jobs, ask("v5"), now=300.0)
    assert [job.video_id for job in jobs.of_library("main")] == ["v4", "v5", "v3", "v2"]
    file(jobs, ask("v6"), now=202.5 + KEEP_SECONDS)
    assert [job.video_id for job in jobs.of_library("main")] == ["v4", "v5", "v6", "v3"]


def test_a_library_keeps_its_finished_jobs_whatever_others_file(jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_FINISHED", 2)
    file(jobs, ask("mine"))
    jobs.report(report(jobs.claim("r", 200.0), state=DONE), 200.0)
    for number in range(5):
        file(jobs, ask(f"v{number}", caller="bob", library="other"), now=300.0 + number)
        jobs.report(report(jobs.claim("r", 300.0 + number), state=DONE), 300.0 + number)
    file(jobs, ask("last", caller="bob", library="other"), now=400.0)
    assert [job.video_id for job in jobs.of_library("main")] == ["mine"]
    assert [job.video_id for job in jobs.of_library("other")] == ["last", "v4", "v3"]


def test_jobs_filed_at_one_moment_keep_their_order(jobs):
    ids = file(jobs, *(ask(f"v{number}") for number in range(20)), now=100.0)
    ids += file(jobs, ask("v20"), now=50.0)  # the clock went back
    assert [job.job_id for job in jobs.of_library("main")] == ids
    assert [claimed(jobs) for _ in range(21)] == [f"v{number}" for number in range(21)]


def test_a_clock_that_is_set_back_holds_up_nothing(jobs):
    file(jobs, ask("a1"), ask("a2"), ask("a3"), ask("b1", caller="bob"), ask("b2", caller="bob"))
    assert [claimed(jobs, now=5000.0 + turn) for turn in range(2)] == ["a1", "b1"]
    assert [claimed(jobs, now=1000.0 + turn) for turn in range(5)] == ["a1", "b1", "a2", "b2", "a3"]


def test_jobs_outlive_the_process(tmp_path):
    with Store(tmp_path) as store:
        file(Jobs(store.database), ask("waits"))
    with Store(tmp_path) as store:
        assert claimed(Jobs(store.database)) == "waits"


def test_asking_for_work_where_there_is_none_writes_nothing(tmp_path):
    store = Store(tmp_path)
    jobs, log = Jobs(store.database), tmp_path / "index.db-wal"
    before = log.read_bytes()
    assert jobs.claim("r", 200.0) is None
    assert log.read_bytes() == before
    store.close()
