"""The queue: one video after another is sent, cancelled and continued; then the service's jobs are shown."""

import errno
import io
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from clipseek import Client
from clipseek.api.documents import Job
from clipseek.api.errors import NotFound, NoVideoStream, RequestLost, ServerNotReady, ServerUnreachable, StoreFull
from clipseek.client import Progress
from clipseek.machine.ports import free_port
from frontend.uploads.job import CANCELLED, FAILED, RUNNING, WAITING
from frontend.uploads.queue import IndexQueue
from frontend.uploads.queue_folder import QueueFolder


class Steps:
    """A client whose `index` takes the steps that the test hands it, and a clock that the test sets."""

    def __init__(self):
        self.now = 0.0
        self.go, self.seen = threading.Semaphore(0), threading.Semaphore(0)
        self.script = []
        self.titles, self.contents = [], []
        self.away = None
        self.refused = threading.Semaphore(0)
        self.filed = []  # jobs of the service
        self.files = "done"  # the state of the job that `index` files
        self.changes = []

    def clock(self):
        return self.now

    def videos(self):
        if self.away:
            self.refused.release()
            raise self.away

    def jobs(self):
        if self.away:
            raise self.away
        return list(self.filed)

    def cancel_job(self, job_id, *, forget=False):
        self.changes.append((job_id, forget))
        for job in self.filed:
            if job.job_id == job_id:
                self.filed = [other for other in self.filed if other is not job] if forget else self.filed
                return replace(job, state="cancelled")
        raise NotFound("gone")

    def resume(self, video_id, *, progress, wait):
        self.changes.append((video_id, wait))
        return Job(job_id="again", video_id=video_id, title="again", state="waiting")

    def index(self, video, *, title, progress, wait, on_server=False):
        assert not wait
        self.videos()
        self.titles.append(title)
        self.contents.append(video if on_server else video.read_bytes())
        for step in self.script:
            assert self.go.acquire(timeout=10)
            if isinstance(step, Exception):
                raise step
            self.now += 1.0
            progress(step)
            self.seen.release()
        if self.files != "done":
            self.filed.append(Job(job_id=f"job {title}", title=title, video_id=f"id of {title}", state=self.files))
            return self.filed[-1]
        return Job(title=title, state="done")

    def server_videos(self, folder):
        return [SimpleNamespace(server_path=f"{folder}/{name}", title=name, size_bytes=1) for name in ("a", "b")]


@pytest.fixture
def client():
    return Steps()


@pytest.fixture
def queue(client, tmp_path):
    return IndexQueue(client, QueueFolder(tmp_path), client.clock)


def step(client):
    client.go.release()
    assert client.seen.acquire(timeout=10)


def test_stage_percent_and_time_left(client, queue):
    client.script = [
        Progress("upload", 0, 100),
        Progress("upload", 25, 100),
        Progress("index", 5, 10),
        Progress("index", 10, 10),
    ]
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    step(client)
    [job] = queue.jobs()
    assert (job.state, job.stage, job.fraction, job.left_seconds) == (RUNNING, "upload", 0.0, None)
    step(client)
    [job] = queue.jobs()
    assert (job.stage, job.fraction, job.left_seconds) == ("upload", 0.25, 3.0)
    step(client)
    [job] = queue.jobs()
    assert (job.stage, job.fraction, job.left_seconds) == ("index", 0.5, None)
    step(client)
    assert queue.wait(10) and queue.jobs() == [] and queue.finished == 1


def test_a_running_job_is_cancelled_and_continued(client, queue):
    client.script = [Progress("index", 1, 4), Progress("index", 2, 4)]
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    queue.add_upload(io.BytesIO(b"y"), "next.mp4")
    step(client)
    queue.cancel(1)
    queue.cancel(2)
    client.go.release()
    assert queue.wait(10)
    assert [(job.title, job.state, job.fraction) for job in queue.jobs()] == [
        ("video.mp4", CANCELLED, 0.25),
        ("next.mp4", CANCELLED, 0.0),
    ]
    client.script = []
    queue.retry(1)
    assert queue.wait(10)
    assert [job.title for job in queue.jobs()] == ["next.mp4"]
    assert client.titles == ["video.mp4", "video.mp4"]
    queue.dismiss(2)
    assert queue.jobs() == []


def test_a_failure_is_kept_and_the_next_one_goes_on(client, queue):
    error = StoreFull("no room")
    client.script = [error]
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    client.go.release()
    assert queue.wait(10)
    [job] = queue.jobs()
    assert (job.state, job.error) == (FAILED, error)
    client.script = []
    assert queue.add_server_videos("/videos") == 2
    assert queue.wait(10)
    assert client.titles == ["video.mp4", "a", "b"] and queue.finished == 2


def test_jobs_of_an_earlier_process_continue(client, queue, tmp_path):
    client.script = [Progress("index", 1, 4), Progress("index", 2, 4)]
    queue.add_upload(io.BytesIO(b"half"), "half.mp4")
    step(client)
    queue.add_server_videos("/videos")
    queue.add_upload(io.BytesIO(b"cancelled"), "cancelled.mp4")
    queue.cancel(4)
    (tmp_path / "from a browser.part").write_bytes(b"rest")
    (tmp_path / "9.upload").write_bytes(b"nobody's")

    later = Steps()
    again = IndexQueue(later, QueueFolder(tmp_path), later.clock)
    assert again.wait(10)
    assert later.titles == ["half.mp4", "a", "b"] and later.contents == [b"half", "/videos/a", "/videos/b"]
    assert [(job.key, job.title, job.state) for job in again.jobs()] == [(4, "cancelled.mp4", CANCELLED)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["4.json", "4.upload"]
    again.retry(4)
    assert again.wait(10)
    assert later.contents[-1] == b"cancelled" and list(tmp_path.iterdir()) == []


def test_an_upload_that_0_1_left_continues(tmp_path):
    (tmp_path / "3.json").write_text('{"title": "a.mp4", "size_bytes": 5, "is_upload": true}')
    (tmp_path / "3.film").write_bytes(b"video")
    client = Steps()
    assert IndexQueue(client, QueueFolder(tmp_path), client.clock).wait(10)
    assert (client.titles, client.contents) == (["a.mp4"], [b"video"]) and list(tmp_path.iterdir()) == []


def test_an_upload_that_is_on_disk_is_moved_not_copied(client, queue, tmp_path):
    arrived = tmp_path / "x.part"
    arrived.write_bytes(b"video")
    queue.add_upload(arrived, "video.mp4")
    assert queue.wait(10) and client.contents == [b"video"] and list(tmp_path.iterdir()) == []


def test_an_upload_that_does_not_fit_is_refused(queue):
    class Full(io.BytesIO):
        def read(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreFull, match="No space left"):
        queue.add_upload(Full(b"x"), "video.mp4")
    assert queue.jobs() == []


@pytest.mark.parametrize("error", [ServerUnreachable("none"), ServerNotReady("starting")])
def test_videos_wait_for_a_server_that_is_away(client, queue, tmp_path, error):
    client.script = [Progress("index", 1, 4)]
    queue.add_server_videos("/videos")  # left by an earlier process
    later = Steps()
    later.away = error
    again = IndexQueue(later, QueueFolder(tmp_path), later.clock, retry_seconds=0.01)
    for _ in range(3):
        assert later.refused.acquire(timeout=10)
    assert FAILED not in [job.state for job in again.jobs()]
    later.away = None
    assert again.wait(10) and again.jobs() == [] and later.titles == ["a", "b"]


def test_what_waits_for_the_server_says_so_and_can_be_cancelled(tmp_path):
    with Client(f"grpc://127.0.0.1:{free_port('127.0.0.1')}") as nobody:
        queue = IndexQueue(nobody, QueueFolder(tmp_path), retry_seconds=600)
        for name in ("a.mp4", "b.mp4"):
            queue.add_upload(io.BytesIO(b"video"), name)
        waits = [(WAITING, ServerUnreachable), (WAITING, type(None))]
        with queue._changed:  # the second one may have woken the queue, so that it tried the first one again
            jobs = queue._jobs.values()
            assert queue._changed.wait_for(lambda: [(job.state, type(job.error)) for job in jobs] == waits, 10)
        queue.cancel(1)
        queue.cancel(2)
        assert queue.wait(10) and [job.state for job in queue.jobs()] == [CANCELLED, CANCELLED]


def test_a_video_that_ends_the_server_each_time_has_failed(client, queue):
    client.script = [RequestLost("it ended")]
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    client.go.release()
    assert queue.wait(10) and [job.state for job in queue.jobs()] == [FAILED]


def fill_disk_for(tmp_path, number):
    """Make the next save of this task find a full disk."""
    (tmp_path / f"{number}.draft").symlink_to("/dev/full")


def test_a_job_can_be_cancelled_and_retried_on_a_full_disk(client, queue, tmp_path, caplog):
    client.script = [Progress("index", 1, 4), Progress("index", 2, 4)]
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    step(client)
    fill_disk_for(tmp_path, 1)
    queue.cancel(1)
    client.go.release()
    assert queue.wait(10) and [job.state for job in queue.jobs()] == [CANCELLED]
    assert "No space left on device" in caplog.text
    client.script = []
    fill_disk_for(tmp_path, 1)
    queue.retry(1)
    assert queue.wait(10) and queue.jobs() == [] and list(tmp_path.iterdir()) == []


def test_an_upload_whose_task_cannot_be_saved_is_deleted(client, queue, tmp_path):
    fill_disk_for(tmp_path, 1)
    with pytest.raises(StoreFull, match="No space left"):
        queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    assert queue.jobs() == [] and list(tmp_path.iterdir()) == []


def test_a_queue_folder_that_cannot_be_changed_does_not_stop_the_videos(client, queue, tmp_path, caplog):
    client.script = [Progress("index", 1, 4)]
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    (tmp_path / "1.json").unlink()
    (tmp_path / "1.json").mkdir()  # which no `unlink` removes
    queue.add_upload(io.BytesIO(b"y"), "next.mp4")
    step(client)
    step(client)
    assert queue.wait(10) and queue.jobs() == [] and queue.finished == 2
    assert "The queue cannot delete its files of 'video.mp4'" in caplog.text


def service_job(**values):
    return Job(**{"job_id": "j", "video_id": "v", "title": "v.mp4", "state": "running", "total_seconds": 60.0} | values)


def test_a_video_that_is_sent_leaves_the_queue_and_its_job_is_shown(client, queue, tmp_path):
    client.files = "waiting"
    queue.add_upload(io.BytesIO(b"x"), "video.mp4")
    assert queue.wait(10) and list(tmp_path.iterdir()) == []
    [job] = queue.jobs()
    assert (job.key, job.title, job.state, queue.finished) == ("job video.mp4", "video.mp4", WAITING, 0)
    later = IndexQueue(client, QueueFolder(tmp_path), client.clock)  # the page starts again
    assert [job.key for job in later.jobs()] == ["job video.mp4"]


def test_the_progress_of_a_job_and_the_time_left(client, queue):
    def shown(done, now):
        client.now, client.filed = now, [service_job(done_seconds=done)]
        [job] = queue.jobs()
        return job.state, job.stage, job.fraction, job.left_seconds

    assert shown(15.0, 0.0) == (RUNNING, "index", 0.25, None)
    assert shown(30.0, 0.4) == (RUNNING, "index", 0.25, None)  # asked a moment ago
    assert shown(30.0, 5.0) == (RUNNING, "index", 0.5, 10.0)


def test_a_job_that_ends_counts_as_finished_once_and_old_ones_do_not(client, queue):
    client.filed = [service_job(), service_job(job_id="old", state="done")]
    assert [job.key for job in queue.jobs()] == ["j"] and queue.finished == 0
    client.now, client.filed = 1.0, [service_job(state="done"), service_job(job_id="old", state="done")]
    assert queue.jobs() == [] and queue.finished == 1
    client.now = 2.0
    assert queue.jobs() == [] and queue.finished == 1


def test_a_job_that_failed_says_why_is_filed_again_and_removed(client, queue):
    client.filed = [service_job(state="failed", error="No picture.", error_kind="NoVideoStream")]
    [job] = queue.jobs()
    assert (job.state, type(job.error), str(job.error)) == (FAILED, NoVideoStream, "No picture.")
    queue.dismiss("j")
    assert queue.jobs() == [] and client.changes == [("j", True)]
    client.now, client.filed = 1.0, [service_job(state="failed", error="No picture.", error_kind="NoVideoStream")]
    queue.jobs()
    queue.retry("j")
    assert queue.wait(10) and client.changes[-1] == ("v", False)
    assert "again" in [job.key for job in queue.jobs()]


def test_a_job_is_cancelled_at_the_service(client, queue):
    client.filed = [service_job()]
    queue.jobs()
    queue.cancel("j")
    assert [job.state for job in queue.jobs()] == [CANCELLED] and client.changes == [("j", False)]
    client.filed = []
    queue.cancel("j")  # somebody removed it meanwhile
    assert queue.jobs() == []


def test_jobs_stay_as_they_were_while_the_server_is_away(client, queue, caplog):
    client.filed = [service_job()]
    [job] = queue.jobs()
    client.now, client.away = 1.0, ServerUnreachable("none")
    assert queue.jobs() == [job]
    client.now, client.away, client.filed = 2.0, None, []
    assert queue.jobs() == [job]  # not asked again at once
    client.now = 7.0
    assert queue.jobs() == []
