"""How well a service answers queries whose truth is known: asked one by one, measured by `metrics.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clipseek.api.errors import AmbiguousVideo, VideoNotFound
from clipseek.evaluation.ground_truth import TrueQuery
from clipseek.evaluation.measures import Answer, Interval, Moment, bootstrap, evaluate

DEFAULT = ""  # the service's own strategy
OnProgress = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class KnownVideo:
    """A video of the library. One that is not ready has parts that no search can find yet."""

    video_id: str
    duration_seconds: float
    ready: bool = True


class Service(Protocol):
    """What is measured."""

    def video(self, name: str) -> KnownVideo:
        """The video of this title or id. Raises VideoNotFound, AmbiguousVideo."""
        ...

    def search(self, query: str, video_id: str | None, top_k: int, strategy: str) -> Sequence[Moment]:
        """The moments that fit a description, best first, in one video or in the whole library.

        Args:
            strategy: how score curves are divided into moments; empty for the service's own way.
        """
        ...


@dataclass(frozen=True)
class LeftOut:
    """A query that was not asked, and why."""

    query: TrueQuery
    why: str


@dataclass(frozen=True)
class Measured:
    """A measure's mean over some queries, with its 95 % bootstrap interval, each in [0, 1]."""

    queries: int
    interval: Interval


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        measures: for each strategy, by the names of `metrics.MEASURES`, and FALSE_ALARMS; only those that a query was
            about.
        asked: how many queries were.
        left_out: the queries that were not.
    """

    measures: Mapping[str, Mapping[str, Measured]]
    asked: int
    left_out: tuple[LeftOut, ...]


def evaluate_service(
    service: Service,
    queries: Sequence[TrueQuery],
    top_k: int,
    progress: OnProgress = _silent,
    strategies: Sequence[str] = (DEFAULT,),
) -> Evaluation:
    """Ask a service all queries, each in its own video (without one: in the whole library), and measure the answers.

    Moments are cut to the length of the video: data sets round it up.

    Args:
        top_k: how many moments are asked for: mAP looks at all, the other measures at the first.
        progress: called with how many queries are done, and how many there are.
        strategies: each query is asked once for each of them.

    Raises:
        ClipSeekError: what a search raises.
    """
    answers: dict[str, list[Answer]] = {strategy: [] for strategy in strategies}
    left_out: list[LeftOut] = []
    for done, query in enumerate(queries):
        progress(done, len(queries))
        video, true, why = _truth(service, query)
        if why:
            left_out.append(LeftOut(query, why))
            continue
        for strategy, given in answers.items():
            given.append(Answer(service.search(query.query, video, top_k, strategy), true))
    progress(len(queries), len(queries))
    measures = {strategy: _measured(given) for strategy, given in answers.items()}
    return Evaluation(measures, len(queries) - len(left_out), tuple(left_out))


def _measured(answers: Sequence[Answer]) -> dict[str, Measured]:
    return {name: Measured(len(each), bootstrap(each)) for name, each in evaluate(answers).items() if len(each)}


def _truth(service: Service, query: TrueQuery) -> tuple[str | None, tuple[Moment, ...], str]:
    """The id of the query's video, its moments inside the video, and why it cannot be asked, if so."""
    if query.video is None:
        return None, query.moments, ""
    try:
        video = service.video(query.video)
    except VideoNotFound:
        return None, (), f"the video '{query.video}' is not in the library"
    except AmbiguousVideo as error:
        return None, (), str(error)
    if not video.ready:
        return None, (), f"the video '{query.video}' is not completely indexed: index it again"
    inside = tuple((start, min(end, video.duration_seconds)) for start, end in query.moments)
    if any(start >= end for start, end in inside):
        length = f"{video.duration_seconds:.1f} s"
        return None, (), f"a moment begins after the end of the video '{query.video}', which is {length} long"
    return video.video_id, inside, ""
