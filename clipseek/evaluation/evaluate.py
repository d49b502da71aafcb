"""How well a service answers queries with known answers: asks them one by one, and measures with `measures.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clipseek.api.documents import Video
from clipseek.api.errors import AmbiguousVideo, VideoNotFound
from clipseek.evaluation.ground_truth import TrueQuery
from clipseek.evaluation.measures import Answer, Interval, Moment, bootstrap, evaluate

DEFAULT = ""  # the strategy of the service itself
OnProgress = Callable[[int, int], None]


class Service(Protocol):
    def video(self, name: str) -> Video:
        """The video with this title or id. Raises: VideoNotFound, AmbiguousVideo."""

    def search(self, query: str, video_id: str | None, top_k: int, strategy: str) -> Sequence[Moment]:
        """The matches for a description, best first, in one video or in the whole library.

        `strategy` divides score curves into segments; "" is the service's own strategy.
        """


@dataclass(frozen=True)
class LeftOut:
    query: TrueQuery
    why: str


@dataclass(frozen=True)
class Evaluation:
    # For each strategy, by the names in MEASURES and FALSE_ALARMS, in [0, 1]; those without a query are left out.
    measures: Mapping[str, Mapping[str, Interval]]
    asked: int  # number of queries that were asked
    left_out: tuple[LeftOut, ...]  # the other queries


def evaluate_service(
    service: Service,
    queries: Sequence[TrueQuery],
    top_k: int,
    progress: OnProgress = lambda _done, _total: None,
    strategies: Sequence[str] = (DEFAULT,),
) -> Evaluation:
    """Ask a service all queries, each in its video (or the whole library, if it names none), and measure the answers.

    True moments end at the end of the video at the latest: data sets round lengths up.

    Args:
        top_k: how many matches to ask for. mAP looks at all, the other measures at the first.
        progress: called with the number of queries done, and of all queries.
        strategies: each query is asked once per strategy.

    Raises: ClipSeekError: what a search raises.
    """
    answers: dict[str, list[Answer]] = {strategy: [] for strategy in strategies}
    left_out: list[LeftOut] = []
    for done, query in enumerate(queries):
        progress(done, len(queries))
        video, moments, why = _truth(service, query)
        if why:
            left_out.append(LeftOut(query, why))
            continue
        for strategy, of_strategy in answers.items():
            of_strategy.append(Answer(service.search(query.query, video, top_k, strategy), moments))
    progress(len(queries), len(queries))
    measures = {
        strategy: {name: bootstrap(values) for name, values in evaluate(of_strategy).items() if len(values)}
        for strategy, of_strategy in answers.items()
    }
    return Evaluation(measures, len(queries) - len(left_out), tuple(left_out))


def _truth(service: Service, query: TrueQuery) -> tuple[str | None, tuple[Moment, ...], str]:
    """The id of the query's video, its moments inside the video, and why it cannot be asked ("" if it can)."""
    if query.video is None:
        return None, query.moments, ""
    try:
        video = service.video(query.video)
    except VideoNotFound:
        return None, (), f"the video '{query.video}' is not in the library"
    except AmbiguousVideo as error:
        return None, (), str(error)
    if video.status != "ready":  # it has spans that no search can find yet
        return None, (), f"the video '{query.video}' is not fully indexed: index it again"
    moments = tuple((start, min(end, video.duration_seconds)) for start, end in query.moments)
    if any(start >= end for start, end in moments):
        length = f"{video.duration_seconds:.1f} s"
        return None, (), f"a moment begins after the end of the video '{query.video}', which is {length} long"
    return video.video_id, moments, ""
