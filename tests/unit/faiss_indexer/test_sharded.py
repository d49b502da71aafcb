"""A library on several shards answers as one that is not divided: the same requests to both, document by document."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipseek.api.base_document import BaseDoc, DocList
from clipseek.api.documents import Calibration, Health, Query, QueryPart, Video, VideoSpan
from clipseek.api.errors import (
    ClipSeekError,
    InvalidRequest,
    InvalidTimeRange,
    ModelMismatch,
    MomentNotIndexed,
    StoreError,
    VideoNotFound,
)
from clipseek.config.libraries import MAIN
from clipseek.config.settings import Settings
from clipseek.config.shards import shard_of
from executors.faiss_indexer.documents import frames_of
from executors.faiss_indexer.executor import FaissIndexer
from executors.faiss_indexer.shards.sharded import ShardedIndex
from executors.flow.callers import Caller
from executors.flow.endpoint import list_of

CALLER = Caller("anyone")
MODEL = "tiny@1:2"
DIMENSIONS, VIDEOS, SECONDS = 8, 90, 20.0
COUNTS = (1, 2, 3)


def video_id(number: int) -> str:
    return f"{number * 7919:064x}"


def sent(docs: DocList[Any]) -> DocList[Any]:
    """As it arrives."""
    return type(docs).from_protobuf(docs.to_protobuf())


class Service:
    """The indexer with so many shards, in this process; the head talks to the real executors."""

    def __init__(self, home: Path, shards: int) -> None:
        settings = Settings(home=home, cache=home / "cache", shards=shards)
        names = [f"indexer/shard-{shard}/rep-0" for shard in range(shards)]
        self.executors = [
            FaissIndexer(settings, runtime_args={"name": name, "shard_id": shard}) for shard, name in enumerate(names)
        ]
        self.index = ShardedIndex(settings, self._ask)
        self.asked: list[tuple[int, str]] = []

    async def _ask(self, shard: int, endpoint: str, docs: DocList[Any], caller: Caller) -> DocList[Any]:
        self.asked.append((shard, endpoint))
        handler = self.executors[shard].requests[endpoint].fn
        return sent(await handler(self.executors[shard], sent(docs), caller=caller))

    def ask(self, endpoint: str, doc: BaseDoc, caller: Caller = CALLER) -> Any:
        """What the service answers to one document."""
        docs = list_of(type(doc))([doc])
        if len(self.executors) == 1:
            [answer] = asyncio.run(self._ask(0, endpoint, docs, caller))
        else:
            [answer] = [asyncio.run(getattr(self.index, endpoint[1:])(sent(docs)[0], caller))]
        return answer

    def videos(self, video_id: str = "") -> list[Video]:
        docs = DocList[Video]([Video(video_id=video_id)])
        work = self._ask(0, "/videos", docs, CALLER) if len(self.executors) == 1 else self.index.videos(docs, CALLER)
        return list(asyncio.run(work))

    def put_half(self, number: int, library: str = MAIN) -> None:
        """The first 9 s of a video, as an earlier version with shorter spans left them."""
        span = span_of(number, 0.0, 9.0)
        executor = self.executors[shard_of(span.video_id, len(self.executors))]
        executor.library(library).put_span(span.video_id, (0.0, 9.0), frames_of(span), MODEL)

    def close(self) -> None:
        for executor in self.executors:
            executor.close()


def directions() -> np.ndarray:
    """What videos show: a few things, again and again."""
    vectors = np.random.default_rng(0).normal(size=(12, DIMENSIONS))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def span_of(number: int, start: float = 0.0, end: float = SECONDS) -> VideoSpan:
    """A video of a few shots, each of one of the things; some are copies of another video."""
    rng = np.random.default_rng(number // 2 if number % 10 == 1 else 1000 + number)
    shots = rng.integers(0, 12, 4).repeat(5)
    vectors = directions()[shots] + rng.normal(size=(20, DIMENSIONS)) * 0.3
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    times = np.arange(20.0)
    inside = (times >= start) & (times < end)
    return VideoSpan(
        video_id=video_id(number),
        start_seconds=start,
        end_seconds=end,
        embeddings=vectors[inside].tobytes(),
        pts_seconds=times[inside].tolist(),
        blank=(rng.random(20) < 0.05)[inside].tolist(),
        cut_seconds=[t for t in (5.0, 10.0, 15.0) if start <= t < end],
        model_id=MODEL,
    )


def registered(number: int) -> Video:
    return Video(
        video_id=video_id(number),
        title=f"video {number}",
        duration_seconds=SECONDS,
        frames_per_second=1.0,
        model_id=MODEL,
    )


def fill(service: Service, videos: int = VIDEOS) -> None:
    for number in range(videos):
        service.ask("/probe", registered(number))
        assert service.ask("/index", span_of(number)).stored


@pytest.fixture(scope="module")
def services(tmp_path_factory) -> Iterator[dict[int, Service]]:
    made = {shards: Service(tmp_path_factory.mktemp("store"), shards) for shards in COUNTS}
    for service in made.values():
        fill(service)
    yield made
    for service in made.values():
        service.close()


def text(number: int, weight: float = 1.0, **values) -> QueryPart:
    vector = directions()[number] + np.random.default_rng(number).normal(size=DIMENSIONS) * 0.2
    return QueryPart(
        text=f"thing {number}",
        embedding=(vector / np.linalg.norm(vector)).tolist(),
        model_id=MODEL,
        zero_cosine=0.05,
        one_cosine=0.9,
        above_background=True,
        weight=weight,
        **values,
    )


def query(*parts: QueryPart, all_matches: bool = True, **options) -> Query:
    neutral = directions().mean(axis=0).tolist()
    parts = DocList[QueryPart](parts)
    return Query(parts=parts, neutral_embedding=neutral, all_matches=all_matches, **options)


def moment(number: int, at_seconds: float, weight: float = 1.0) -> QueryPart:
    return QueryPart(video_id=video_id(number), at_seconds=at_seconds, weight=weight)


QUERIES = {
    "a text": lambda: query(text(1), all_matches=False, least_score=0.2),
    "withheld": lambda: query(text(2), all_matches=False, least_score=0.97),
    "several texts": lambda: query(text(3), text(4, 0.5), top_k=20),
    "weaker": lambda: query(text(2).model_copy(update={"one_cosine": 1.8}), all_matches=False, weaker=7, top_k=9),
    "a few weaker": lambda: query(text(3), all_matches=False, weaker=9, top_k=70),
    "weaker videos": lambda: query(text(4), all_matches=False, weaker=9, top_k=70, group_by_video=True),
    "weaker of some": lambda: query(text(5), all_matches=False, weaker=6, video_ids=[video_id(n) for n in (3, 4, 5)]),
    "what to avoid": lambda: query(text(5), text(6, -1.0)),
    "page 3": lambda: query(text(7), top_k=7, offset=14),
    "far pages": lambda: query(text(7), top_k=30, offset=90),
    "beyond": lambda: query(text(7), offset=9000),
    "grouped": lambda: query(text(8), group_by_video=True, top_k=4, offset=3),
    "per video": lambda: query(text(9), per_video=1, top_k=60),
    "lengths": lambda: query(text(10), minimum_seconds=3.0, maximum_seconds=6.0, padding_seconds=0.5, top_k=9),
    "a range": lambda: query(text(11), start_seconds=4.0, end_seconds=12.0, top_k=9),
    "some videos": lambda: query(text(1), video_ids=[video_id(n) for n in (3, 4, 5, 8)], top_k=50),
    "like a moment": lambda: query(moment(7, 6.0), top_k=12),
    "like two, not a third": lambda: query(moment(7, 6.0), moment(10, 1.0), moment(12, 3.0, -0.5), text(2), top_k=12),
    "a strategy": lambda: query(text(3), strategy="hysteresis", top_k=11),
}


def plain(answer: Query) -> dict[str, Any]:
    found = answer.model_dump(exclude={"id", "parts"})
    for match in found["matches"] + found["weaker_matches"]:
        del match["id"]
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_answered_as_without_shards(services, name):
    right, *others = (services[shards].ask("/search", QUERIES[name]()) for shards in COUNTS)
    assert right.answered and right.videos_searched
    assert right.matches or right.weaker_matches or name in ("beyond", "withheld")
    assert bool(right.weaker_matches) == ("weaker" in name)
    for answer in others:
        assert plain(answer) == plain(right)
        assert type(answer) is Query and not any(part.embedding for part in answer.parts)


@pytest.mark.parametrize("name", ["a text", "what to avoid", "a range", "like a moment"])
def test_a_timeline_is_that_without_shards(services, name):
    asked = QUERIES[name]()
    asked.video_ids = [video_id(21)]
    right, *others = (services[shards].ask("/timeline", asked) for shards in COUNTS)
    assert len(right.curve_scores) == (8 if name == "a range" else 20) and right.shot_start_seconds[1] == 5.0
    for answer in others:
        assert plain(answer) == plain(right)


def test_a_query_asks_each_shard_twice(services):
    service = services[3]
    service.asked.clear()
    assert service.ask("/search", query(text(1))).videos_searched == VIDEOS
    steps = ("/shard/frames", "/shard/search")
    assert service.asked == [(shard, step) for step in steps for shard in range(3)]


def test_what_is_about_one_video_goes_to_its_shard_alone(services):
    service = services[3]
    owner = shard_of(video_id(5), 3)
    service.asked.clear()
    assert service.ask("/index", span_of(5)).stored
    assert [video.video_id for video in service.videos(video_id(5))] == [video_id(5)]
    assert service.asked == [(owner, "/index"), (owner, "/videos")]


def test_what_shards_tell_their_head_is_not_offered_without_one(services):
    alone, sharded = (set(services[shards].executors[0].requests) for shards in (1, 2))
    steps = ("claim", "moments", "frames", "search", "timeline", "shift")
    assert sharded - alone == {f"/shard/{step}" for step in steps}


def test_videos_are_listed_in_the_order_they_came_whatever_the_clock_says(services, tmp_path, monkeypatch):
    for service in services.values():
        assert [video.video_id for video in service.videos()] == [video_id(number) for number in range(VIDEOS)]
    service = Service(tmp_path, 3)
    for number, clock in ((4, 5000.0), (2, 3000.0), (9, 4000.0), (1, 1000.0)):
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        service.ask("/probe", registered(number))
    assert [video.title for video in service.videos()] == ["video 4", "video 2", "video 9", "video 1"]
    service.ask("/probe", registered(4))  # known: it stays where it is
    assert [video.title for video in service.videos()] == ["video 4", "video 2", "video 9", "video 1"]
    service.close()


def test_health_adds_up(services):
    right, *others = (services[shards].ask("/health", Health()).components for shards in COUNTS)
    for shards, components in zip(COUNTS[1:], others, strict=True):
        [component] = components
        assert component.name == "indexer"
        assert component.facts["shards"] == str(shards)
        for fact in ("videos", "frames", "model_id", "fitted_shift"):
            assert component.facts[fact] == right[0].facts[fact]
    assert right[0].facts["videos"] == str(VIDEOS)


def test_a_calibration_is_that_without_shards_and_holds_for_all(tmp_path):
    answers = {}
    for shards in COUNTS:
        service = Service(tmp_path / str(shards), shards)
        fill(service, 30)
        neutral = directions().mean(axis=0).tolist()
        asked = Calibration(phrases=DocList[QueryPart]([text(n) for n in range(12)]), neutral_embedding=neutral)
        first = service.ask("/calibrate", asked)
        assert first.done and first.shift
        found = plain(service.ask("/search", query(text(1), top_k=30)))
        asked.answered_share = 0.5
        again = service.ask("/calibrate", asked)
        assert again.answered_before == first.answered
        service.close()
        service = Service(tmp_path / str(shards), shards)  # it is kept
        reset = service.ask("/calibrate", Calibration(reset=True))
        after = plain(service.ask("/search", query(text(1), top_k=30)))
        service.close()
        answers[shards] = [each.model_dump(exclude={"id"}) for each in (first, again, reset)] + [found, after]
    assert answers[2] == answers[1] and answers[3] == answers[1]
    assert answers[1][3] != answers[1][4]


def test_deleted_and_changed_videos_leave_the_same_behind(tmp_path):
    answers = []
    for shards in COUNTS:
        service = Service(tmp_path / str(shards), shards)
        fill(service, 20)
        for number in (3, 4, 11):
            assert service.ask("/delete", Video(video_id=video_id(number))).status == "deleted"
        service.ask("/probe", replace_rate(registered(6)))  # at another rate: its frames are dropped
        service.put_half(6)
        [half] = service.videos(video_id(6))
        assert (half.status, half.frames) == ("indexing", 9)
        service.close()
        service = Service(tmp_path / str(shards), shards)
        listed = [(v.title, v.status, v.frames, v.missing_start_seconds) for v in service.videos()]
        answers.append([listed, plain(service.ask("/search", query(text(1), top_k=40)))])
        whole = span_of(6).model_copy(update={"frames_per_second": 2.0})
        assert service.ask("/index", whole).stored  # in place of the half
        assert [video.status for video in service.videos(video_id(6))] == ["ready"]
        service.close()
    assert answers[1] == answers[0] and answers[2] == answers[0]


def replace_rate(video: Video) -> Video:
    return video.model_copy(update={"frames_per_second": 2.0})


NOBODYS = "f" * 64
BAD = [
    ("/search", query(text(1), video_ids=[NOBODYS]), VideoNotFound),
    ("/search", query(moment(1, 99.0)), InvalidTimeRange),
    ("/search", query(text(1), moment(1, 3.0), QueryPart(video_id=NOBODYS)), VideoNotFound),
    ("/search", query(text(1), video_ids=[video_id(1), video_id(2)], start_seconds=50.0), InvalidTimeRange),
    ("/search", query(text(1), top_k=5000), ClipSeekError),
    ("/search", query(text(1).model_copy(update={"model_id": "other@1:2"})), ModelMismatch),
    ("/search", query(QueryPart(embedding=[1.0])), ModelMismatch),
    ("/timeline", query(text(1)), InvalidRequest),
    ("/timeline", query(text(1), video_ids=[NOBODYS]), VideoNotFound),
    ("/calibrate", Calibration(), InvalidRequest),
    ("/index", span_of(9999), VideoNotFound),
    ("/probe", registered(1).model_copy(update={"model_id": "other@1:2"}), ModelMismatch),
    ("/probe", registered(9999).model_copy(update={"model_id": "other@1:2"}), ModelMismatch),
]


@pytest.mark.parametrize(("endpoint", "doc", "kind"), BAD)
def test_what_is_refused_is_refused_by_the_same_name(services, endpoint, doc, kind):
    for service in services.values():
        with pytest.raises(kind) as refusal:
            service.ask(endpoint, doc)
        assert refusal.type is kind or kind is ClipSeekError


def test_a_moment_that_is_not_indexed_yet_is_named(services):
    for service in services.values():
        service.ask("/probe", registered(500))
        with pytest.raises(MomentNotIndexed):
            service.ask("/search", query(moment(500, 1.0)))
        service.ask("/delete", Video(video_id=video_id(500)))


def test_libraries_are_apart_on_every_shard(tmp_path):
    service = Service(tmp_path, 2)
    fill(service, 6)
    press = replace(CALLER, library="press")
    service.ask("/probe", registered(7), press)
    service.ask("/index", span_of(7), press)
    assert service.ask("/health", Health(), press).components[0].facts["videos"] == "1"
    assert service.ask("/search", query(text(1)), press).videos_searched == 1
    assert service.ask("/search", query(text(1))).videos_searched == 6
    assert (tmp_path / "libraries" / "press" / "shards-2" / "1" / "index.db").exists()
    service.close()


@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 1), (2, 3)])
def test_another_count_than_the_stores_own_is_refused(tmp_path, before, now):
    service = Service(tmp_path, before)
    fill(service, 2)
    service.close()
    with pytest.raises(StoreError, match=rf"was made with CLIPSEEK_SHARDS={before}, .*clipseek reshard {now}"):
        Service(tmp_path, now)
    again = Service(tmp_path, before)
    assert len(again.videos()) == 2
    again.close()
