"""What a client does with jobs: files and follows them, or drives a service that has none."""

import asyncio
from dataclasses import replace

import pytest

from clipseek.api.documents import Job, Video, VideoSpan
from clipseek.api.errors import Cancelled, InvalidRequest, NotFound, NoVideoStream, ServerUnreachable, VideoNotFound
from clipseek.client import jobs
from clipseek.client.indexing import silent
from clipseek.client.transport import Transport

VIDEO = Video(video_id="v" * 64, title="v.mp4", duration_seconds=60.0, status="indexing", frames=5)
NO_ENDPOINT = InvalidRequest("There is no endpoint '/job'. There are: /upload, /probe.")


class Service(Transport):
    """A service without a network. `states` are the answers of `/jobs`, one after the other."""

    def __init__(
        self,
        *states: Job | Exception,
        filed: Job | Exception | None = None,
        missing: int = 2,
        status: str | Exception = "ready",
    ) -> None:
        super().__init__("127.0.0.1", 1, retry_seconds=0)
        self.status = status
        own = Job(job_id="j", video_id=VIDEO.video_id, state="waiting", is_new=True, title="v.mp4")
        self.states, self.filed = list(states), filed or own
        self.asked: list[str] = []
        self.missing = [30.0 * number for number in range(2 - missing, 2)]

    async def post(self, endpoint, doc, *, executor=None, timeout_seconds=None):
        self.asked.append(endpoint)
        await asyncio.sleep(0)
        answers = {
            "/probe": lambda: replace(
                VIDEO, missing_start_seconds=self.missing, missing_end_seconds=[start + 30.0 for start in self.missing]
            ),
            "/job": lambda: self.filed,
            "/jobs": lambda: self.states.pop(0),
            "/cancel_job": lambda: doc,
            "/index": lambda: VideoSpan(stored=True, frames_encoded=7),
            "/videos": lambda: (
                self.status if isinstance(self.status, Exception) else replace(VIDEO, status=self.status, frames=25)
            ),
        }
        answer = answers[endpoint]()
        if isinstance(answer, Exception):
            raise answer
        return [answer]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(jobs, "_FIRST_PAUSE_SECONDS", 0.0)


def index(service, progress=silent):
    before, job = jobs.start(service, Video(video_id=VIDEO.video_id), progress)
    return jobs.finish(service, before, job, progress, 0.0)


def state(state: str, done: float = 0.0, **values) -> Job:
    return Job(job_id="j", title="v.mp4", state=state, done_seconds=done, total_seconds=60.0, **values)


def test_a_job_is_followed_to_its_end():
    steps = []
    service = Service(state("running", 30.0), state("done", 60.0, frames_encoded=9))
    indexed = index(service, lambda step: steps.append((step.stage, step.done)))
    assert (indexed.video.frames, indexed.frames_added, indexed.frames_encoded) == (25, 20, 9)
    assert steps == [("index", 0.0), ("index", 30.0), ("index", 60.0)]
    assert service.asked == ["/probe", "/job", "/jobs", "/jobs", "/videos"]


@pytest.mark.parametrize("filed", [NO_ENDPOINT, Job()])
def test_a_service_without_jobs_is_driven(filed):
    service = Service(filed=filed)
    assert index(service).frames_encoded == 14
    assert service.asked.count("/index") == 2 and "/jobs" not in service.asked


def test_other_refusals_are_told():
    with pytest.raises(InvalidRequest, match="no kind"):
        index(Service(filed=InvalidRequest("There is no kind of job.")))


def test_a_video_that_is_complete_needs_no_job():
    service = Service(missing=0)
    assert index(service).frames_encoded == 0 and service.asked == ["/probe", "/videos"]


def test_a_failed_job_raises_its_error():
    failed = state("failed", error="No picture.", error_kind="NoVideoStream")
    with pytest.raises(NoVideoStream, match="No picture"):
        index(Service(failed))


def test_a_job_that_somebody_cancelled_is_cancelled():
    with pytest.raises(Cancelled, match=r"'v\.mp4' was cancelled\."):
        index(Service(state("cancelled")))


def test_of_a_job_that_is_not_listed_any_more_the_video_says_how_it_ended():
    service = Service(NotFound("gone"))
    assert index(service).video.status == "ready"
    service = Service(NotFound("gone"), status="indexing")
    with pytest.raises(Cancelled, match="is not in the list any more"):
        index(service)
    service = Service(NotFound("gone"), status=VideoNotFound("There is no video."))
    with pytest.raises(VideoNotFound):
        index(service)


@pytest.mark.parametrize("error", [Cancelled("Enough."), KeyboardInterrupt(), ValueError("a bug of the caller")])
@pytest.mark.parametrize("is_own", [True, False])
def test_who_stops_following_cancels_a_job_of_their_own(error, is_own):
    def stop(step):
        if step.done:
            raise error

    filed = Job(job_id="j", state="waiting", is_new=is_own)
    service = Service(state("running", 30.0), filed=filed)
    with pytest.raises(type(error)):
        index(service, stop)
    assert ("/cancel_job" in service.asked) == is_own


def test_a_server_that_goes_away_cancels_nothing():
    service = Service(ServerUnreachable("Nobody."))
    with pytest.raises(ServerUnreachable):
        index(service)
    assert "/cancel_job" not in service.asked


def test_a_job_that_is_tried_again_says_why_once(caplog):
    waits = state("waiting", error="The disk is full.", error_kind="StoreFull")
    index(Service(waits, waits, state("done", 60.0)))
    assert caplog.messages == ["The disk is full. The service tries it again."]


def test_the_jobs_of_a_service_without_any():
    assert jobs.list_jobs(Service(NO_ENDPOINT)) == []
    assert jobs.list_jobs(Service(Job())) == []
