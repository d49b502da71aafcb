"""The indexer without a Flow: requests to its executors, which may be several with one store, and what they answer."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from clipseek.config.libraries import MAIN
from clipseek.config.settings import Settings
from clipseek.schema import BaseDoc, DocList, Health, Model, Query, QueryPart, Video, VideoSpan
from executors.faiss_indexer.documents import frames_of
from executors.faiss_indexer.executor import FaissIndexer
from executors.flow.callers import Caller
from executors.flow.endpoint import list_of

CALLER = Caller("anyone")
PRESS = replace(CALLER, library="press")
MODEL = "tiny@1:2"
DIMENSIONS, VIDEOS, SECONDS = 8, 90, 20.0


def video_id(number: int) -> str:
    return f"{number * 7919:064x}"


def sent(docs: DocList[Any]) -> DocList[Any]:
    """As it arrives."""
    return type(docs).from_protobuf(docs.to_protobuf())


class Service:
    """Indexers in this process; requests go to one after the other."""

    def __init__(self, home: Path, replicas: int = 1, store: str = "") -> None:
        settings = Settings(home=home, cache=home / "cache", indexer_replicas=replicas, store=store)
        self.executors = [
            FaissIndexer(settings, runtime_args={"name": f"indexer/rep-{number}", "replica_id": number})
            for number in range(replicas)
        ]
        self._turn = 0

    def _ask(self, endpoint: str, docs: DocList[Any], caller: Caller) -> DocList[Any]:
        executor = self.executors[self._turn % len(self.executors)]
        self._turn += 1
        return sent(asyncio.run(executor.requests[endpoint].fn(executor, sent(docs), caller=caller)))

    def ask(self, endpoint: str, doc: BaseDoc, caller: Caller = CALLER) -> Any:
        """What the service answers to one document."""
        [answer] = self._ask(endpoint, list_of(type(doc))([doc]), caller)
        return answer

    def models(self, caller: Caller = CALLER) -> list[Model]:
        return list(self._ask("/models", DocList[Model]([Model()]), caller))

    def videos(self, video_id: str = "", caller: Caller = CALLER) -> list[Video]:
        return list(self._ask("/videos", DocList[Video]([Video(video_id=video_id)]), caller))

    def put_half(self, number: int, library: str = MAIN) -> None:
        """The first 9 s of a video, as an earlier version with shorter spans left them."""
        span = span_of(number, 0.0, 9.0)
        self.executors[0].library(library).put_span(span.video_id, (0.0, 9.0), frames_of(span), MODEL)

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


def told(home: Path, store: str = "") -> list[Any]:
    """What a service answers: its videos, a search, and what it says of itself, in two libraries."""
    service = Service(home, store=store)
    answers: list[Any] = [[(video.title, video.status, video.frames) for video in service.videos()]]
    for caller in (CALLER, PRESS):
        answers.append(plain(service.ask("/search", query(text(1), top_k=30), caller)))
        facts = service.ask("/health", Health(), caller).components[0].facts
        answers.append({name: facts[name] for name in ("videos", "frames", "model_id", "fitted_shift")})
    service.close()
    return answers
