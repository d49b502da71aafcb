"""The job that changes a library's model: what it embeds, in which order, and what happens when something fails."""

from dataclasses import replace

import pytest

from clipseek.api.documents import Model, Video, VideoSpan
from clipseek.api.errors import MediaMissing, ServerFailed, VideoNotFound
from clipseek.service.job_runner import ServiceClient
from clipseek.service.model_change import ModelChange


class World:
    """A service whose library has videos of two spans each; `spans` are those that the new model has."""

    def __init__(self, videos: int = 3) -> None:
        self.videos = [f"v{number}" for number in range(videos)]
        self.spans: set[tuple[str, float]] = set()
        self.failing: dict[str, Exception] = {}
        self.nothing_missing: set[str] = set()  # as /probe says, while /switch_model says the opposite
        self.on_switch = lambda: None
        self.asked: list[str] = []
        self.answers = False
        self.failed: list[str] = []

    def _model(self, name: str) -> Model:
        missing = [name for name in self.videos if not {(name, 0.0), (name, 30.0)} <= self.spans]
        missing.sort(key=lambda name: name in self.failed)
        model = Model(name=name, state="answers" if self.answers else "changing", missing_video_ids=missing[:2])
        model.covered_seconds, model.total_seconds = 30.0 * len(self.spans), 60.0 * len(self.videos)
        return model

    async def post_one(self, endpoint, doc, *, executor=None, timeout_seconds=None):
        self.asked.append(f"{endpoint} {executor or 'all'}" if isinstance(doc, Model) else f"{endpoint} {doc.video_id}")
        assert len(self.asked) < 100, "it goes on without end"
        if isinstance(doc, Model):
            self.failed = doc.failed_video_ids
            if not executor:
                self.on_switch()
                self.answers = not self._model(doc.name).missing_video_ids
            return self._model(doc.name)
        assert doc.model == "new"
        if isinstance(doc, Video):
            if doc.video_id in self.failing:
                raise self.failing[doc.video_id]
            starts = [start for start in (0.0, 30.0) if (doc.video_id, start) not in self.spans]
            ends = [start + 30.0 for start in starts]
            if doc.video_id in self.nothing_missing:
                starts = ends = []
            return replace(
                doc, status="indexing", duration_seconds=60.0, missing_start_seconds=starts, missing_end_seconds=ends
            )
        assert isinstance(doc, VideoSpan)
        self.spans.add((doc.video_id, doc.start_seconds))
        return replace(doc, stored=True, frames_encoded=5)


def change(world: World) -> list[tuple[float, int]]:
    """Run the job. Returns: each progress."""
    steps: list[tuple[float, int]] = []
    ModelChange(world, "new", lambda _: None, lambda done, frames: steps.append((done, frames))).run()
    return steps


def test_every_video_is_embedded_before_the_switch_and_progress_counts_the_library():
    world = World()
    steps = change(world)
    assert world.answers and len(world.spans) == 6
    assert steps == sorted(steps) and steps[0] == (0.0, 0) and steps[-1] == (180.0, 30)
    assert [ask for ask in world.asked if "switch" in ask][-1] == "/switch_model all"
    assert world.asked.count("/switch_model all") == 1  # the text half is loaded once nothing is missing


def test_a_second_run_continues_with_what_is_missing():
    world = World()
    world.spans = {("v0", 0.0), ("v0", 30.0), ("v1", 30.0)}
    steps = change(world)
    assert steps[0] == (90.0, 0) and steps[-1] == (180.0, 15)
    assert "/probe v0" not in world.asked and world.asked.count("/index v1") == 1


def test_going_back_embeds_nothing():
    world = World()
    world.spans = {(name, start) for name in world.videos for start in (0.0, 30.0)}
    change(world)
    assert world.asked == ["/switch_model image_encoder|indexer", "/switch_model all"]


def test_what_was_added_at_the_last_moment_is_embedded_before_the_switch():
    world = World(1)

    def add_one():
        world.on_switch = lambda: None
        world.videos.append("late")

    world.on_switch = add_one
    change(world)
    assert ("late", 0.0) in world.spans and world.answers


def test_a_video_without_its_file_fails_the_job_once_all_others_are_embedded():
    world = World(4)
    world.failing["v1"] = MediaMissing("The file of 'v1' is gone.")
    with pytest.raises(MediaMissing, match="'v1' is gone"):
        change(world)
    assert {name for name, _ in world.spans} == {"v0", "v2", "v3"} and not world.answers
    assert world.asked.count("/probe v1") <= 3


def test_videos_that_fail_keep_no_other_from_being_embedded_and_are_tried_once():
    world = World(7)
    world.failing = {f"v{number}": MediaMissing(f"The file of 'v{number}' is gone.") for number in range(5)}
    with pytest.raises(MediaMissing, match="'v0' is gone"):
        change(world)
    assert {name for name, _ in world.spans} == {"v5", "v6"}
    assert [world.asked.count(f"/probe v{number}") for number in range(7)] == [1] * 7


def test_a_video_of_which_nothing_is_left_to_embed_ends_the_run():
    world = World(3)
    world.failing["v0"] = VideoNotFound("The file and its record are lost.")
    with pytest.raises(VideoNotFound, match="record are lost"):
        change(world)
    assert {name for name, _ in world.spans} == {"v1", "v2"}
    world = World(3)
    world.nothing_missing = {"v1"}
    with pytest.raises(ServerFailed, match="v1"):
        change(world)
    assert {name for name, _ in world.spans} == {"v0", "v2"}


def test_a_deleted_video_is_no_failure_and_a_server_that_fails_ends_the_run():
    world = World(2)
    world.failing["v0"] = VideoNotFound("deleted")
    world.on_switch = lambda: None
    original = world._model

    def without_deleted(name):
        if "/probe v0" in world.asked:
            world.videos = ["v1"]
        return original(name)

    world._model = without_deleted
    change(world)
    assert world.answers
    world = World(2)
    world.failing["v1"] = ServerFailed("a bug")
    with pytest.raises(ServerFailed):
        change(world)


def test_a_video_that_is_indexed_during_a_change_gets_the_new_model_first():
    asked = []

    class Transport:
        address = "grpc://nowhere"

        async def post_one(self, endpoint, doc, **_):
            asked.append((endpoint, doc.model))
            update = {
                "status": "ready",
                "stored": True,
                "duration_seconds": 30.0,
                "next_model": "" if doc.model else "new",
            }
            spans = {"missing_start_seconds": [0.0], "missing_end_seconds": [30.0]} if endpoint == "/probe" else {}
            return replace(doc, **{name: value for name, value in (update | spans).items() if hasattr(doc, name)})

    client = ServiceClient("a token", "main")
    client._transport = Transport()
    client.index_missing("v", lambda _: None, lambda *_: None)
    assert asked == [("/probe", ""), ("/probe", "new"), ("/index", "new"), ("/index", ""), ("/videos", "")]
