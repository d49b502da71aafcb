"""Jobs of a real service: they outlive their client, their runner and the service, and can be cancelled."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import AccessDenied, Cancelled, LimitExceeded, NotFound
from clipseek.client import Client, indexing
from clipseek.client.upload_source import upload_source
from clipseek.schema import Job, Video
from tests.flow.conftest import ROOT, run

SECONDS = 600  # of the video, twenty spans
DEADLINE_SECONDS = 120


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, tiny_model):
    options = {"CLIPSEEK_MODEL": str(tiny_model), "CLIPSEEK_MAX_SPAN_FRAMES": "100"}
    return launch(tmp_path_factory.mktemp("store"), **options)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "long.mp4"
    return videos.make(path, frames=10 * SECONDS, fps=10, size=(320, 240), gop=50).path


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """A video that no test sees indexed: an hour of pictures."""
    path = tmp_path_factory.mktemp("videos") / "endless.mp4"
    return videos.make(path, frames=2 * 3600, fps=2, size=(320, 240), gop=20).path


@pytest.fixture(scope="module")
def frames(server, video):
    """How many frames the video has, indexed by a client that drives each span, as those of 0.1 do."""
    with server.client() as client:
        video_id = indexing.upload(client._transport, upload_source(video), None, "", indexing.silent)
        indexing.index_missing(client._transport, indexing.probe(client._transport, Video(video_id=video_id)), print)
        indexed = indexing.check_complete(client._transport, video_id)
        assert client.jobs() == []
        client.delete(video_id)
    return indexed.frames


@pytest.fixture
def client(server, frames):
    with server.client() as client:
        until(lambda: has_runner(server))
        yield client
        if server.process.poll() is None:
            for known in client.videos():
                client.delete(known.video_id)
            for job in client.jobs():
                client.cancel_job(job.job_id, forget=True)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runner_of(server) -> psutil.Process | None:
    children = psutil.Process(server.process.pid).children()
    return next((child for child in children if child.is_running() and "jobs" in child.cmdline()), None)


def has_runner(server) -> bool:
    runner = runner_of(server)
    return bool(runner and any(c.raddr and c.raddr.port == server.port for c in runner.net_connections("tcp")))


def the_job(client: Client) -> Job:
    [job] = client.jobs()
    return job


def wait_for_progress(client: Client, share: float = 0.15) -> Job:
    until(lambda: client.jobs() and the_job(client).done_seconds > share * SECONDS)
    job = the_job(client)
    assert job.state == "running" and job.done_seconds < SECONDS
    return job


def wait_until_it_runs(client: Client) -> Job:
    """Wait until the job has stored something; of a long video it then runs for long."""
    until(lambda: client.jobs() and the_job(client).done_seconds > 0)
    job = the_job(client)
    assert job.state == "running"
    return job


def check_complete(client: Client, job: Job, frames: int) -> None:
    """The job has ended, and each frame of its video is there once."""
    until(lambda: not client.job(job.job_id).is_unfinished)
    assert client.job(job.job_id).state == "done", client.job(job.job_id)
    stored = client.video(job.video_id)
    assert (stored.status, stored.missing_start_seconds, stored.frames) == ("ready", [], frames)


def test_a_job_ends_by_itself_after_its_client_was_killed(server, client, video, frames):
    command = [sys.executable, "-m", "clipseek", "index", str(video)]
    with subprocess.Popen(command, env={**os.environ, "CLIPSEEK_HOST": server.host}, cwd=ROOT) as process:
        job = wait_for_progress(client, 0.0)
        process.kill()
    check_complete(client, job, frames)
    assert client.job(job.job_id).caller == "anyone"


def test_a_job_continues_after_its_runner_was_killed(server, client, video, frames):
    job = client.index(video, wait=False)
    assert job.state == "waiting" and job.is_new
    wait_for_progress(client)
    runner_of(server).kill()
    server.wait_for("The job runner died: exit code -9. It restarts in 0.5 s.")
    check_complete(client, job, frames)
    assert client.job(job.job_id).frames_encoded <= frames
    until(lambda: has_runner(server))


def test_a_follower_gets_the_result_and_its_interrupt_cancels_the_job(client, video, frames):
    steps = []
    job = client.index(video, wait=False)

    def stop_in_the_middle(step) -> None:
        steps.append(step)
        if step.stage == "index" and step.done > 0.15 * SECONDS:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled, match="Enough"):
        client.index(video, progress=stop_in_the_middle)
    assert client.job(job.job_id).is_unfinished  # another call has filed it
    client.cancel_job(job.job_id)
    with pytest.raises(Cancelled, match="Enough"):
        client.index(video, progress=stop_in_the_middle)
    cancelled = the_job(client)
    assert cancelled.state == "cancelled"
    indexed = client.index(video)
    assert (indexed.video.frames, indexed.video.status) == (frames, "ready")
    assert 0 < indexed.frames_added < frames and 0 < indexed.frames_encoded <= indexed.frames_added
    assert the_job(client).state == "done"


def test_a_cancelled_job_stops_soon_and_says_so_to_its_follower(server, client, endless):
    command = [sys.executable, "-m", "clipseek", "index", str(endless)]
    environ = {**os.environ, "CLIPSEEK_HOST": server.host}
    with subprocess.Popen(command, env=environ, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        job = wait_until_it_runs(client)
        assert "endless.mp4: cancelled" in run(server, "jobs", "cancel", job.job_id).stderr
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "The job for 'endless.mp4' was cancelled." in told
    stored = client.video(job.video_id).frames
    until(lambda: not server_is_busy(server))
    more = client.video(job.video_id).frames - stored
    assert more <= 20 * 60, more  # of the 60 spans of 60 frames, those of a second and those under way
    with pytest.raises(NotFound, match="There is no job 'nothing'"):
        client.cancel_job("nothing")


def server_is_busy(server) -> bool:
    """Whether a span is still on its way: then the video gets more frames."""
    with server.client() as client:
        before = [video.frames for video in client.videos()]
        time.sleep(2.0)
        return before != [video.frames for video in client.videos()]


def test_a_video_that_cannot_be_indexed_has_failed_with_the_reason(client, video, server):
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_SPAN_FRAMES"):
        client.index(video, frames_per_second=5.0)
    job = the_job(client)
    assert (job.state, job.error_kind, job.tries) == ("failed", "LimitExceeded", 1)
    listed = run(server, "jobs", "--json").stdout
    assert '"state": "failed"' in listed and "CLIPSEEK_MAX_SPAN_FRAMES" in listed


def test_detached_videos_are_indexed_in_the_background(server, client, video, tmp_path):
    other = videos.make(tmp_path / "short.mp4", frames=60, fps=10).path
    told = run(server, "index", str(video), str(other), "--detach").stderr
    assert told.count("will be indexed: job") == 2
    run(server, "jobs", "--follow")
    listed = json.loads(run(server, "jobs", "--json").stdout)
    assert sorted((job["title"], job["state"]) for job in listed) == [("long.mp4", "done"), ("short.mp4", "done")]
    assert "is indexed." in run(server, "index", str(other), "--detach").stderr
    assert sorted(known.status for known in client.videos()) == ["ready", "ready"]


def test_nobody_but_the_service_does_jobs(client):
    for path in ("/lease_job", "/report_job"):
        with pytest.raises(AccessDenied, match="Only the service's own runner"):
            client._one(path, Job(runner="mine", state="done"))


def test_a_deleted_video_ends_its_job(client, endless):
    job = client.index(endless, wait=False)
    wait_until_it_runs(client)
    client.delete(job.video_id)
    assert client.job(job.job_id).state == "cancelled"
    assert client.videos() == []


def test_jobs_continue_when_the_service_starts_again(server, launch, client, video, frames, tiny_model):
    job = client.index(video, wait=False)
    wait_for_progress(client)
    started = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - started < 6.0
    assert server.lines[-1] == "Stopped."
    again = launch(server.home, CLIPSEEK_MODEL=str(tiny_model))
    with again.client() as later:
        check_complete(later, job, frames)
        assert later.job(job.job_id).tries == 0
        later.delete(job.video_id)
    again.stop()
