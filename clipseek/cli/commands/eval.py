"""`clipseek eval`: a running service measured by a file of queries, and how the result is shown."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipseek.api.documents import Video
from clipseek.api.errors import AmbiguousVideo, VideoNotFound
from clipseek.cli.terminal import say, show_table
from clipseek.client import Client, choose_video
from clipseek.evaluation.evaluate import (
    DEFAULT,
    Evaluation,
    KnownVideo,
    LeftOut,
    Measured,
    OnProgress,
    evaluate_service,
)
from clipseek.evaluation.ground_truth import TrueQuery
from clipseek.evaluation.measures import FALSE_ALARMS, Moment

_MOST_REASONS = 10  # that are told one by one
_EXPLAINED = {
    "R1@.3": "best match has IoU .3 or more",
    "R1@.5": "best match has IoU .5 or more",
    "R1@.7": "best match has IoU .7 or more",
    "mAP": "average precision, IoU .5 to .95",
    "mAP@.5": "average precision, IoU .5",
    "mIoU": "IoU of the best match",
    FALSE_ALARMS: "found where nothing is (lower: better)",
}


class ClientService:
    """A ClipSeek server as a service that is measured. The library is read once; it should not change meanwhile."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._videos = client.videos()
        self.warnings: dict[str, None] = {}  # of the searches, each once, in order

    def video(self, name: str) -> KnownVideo:
        """As `choose_video`, and for data sets' names also a video whose title has another suffix or none."""
        try:
            found = choose_video(self._videos, name)
        except VideoNotFound:
            found = choose_by_stem(self._videos, name)
        return KnownVideo(found.video_id, found.duration_seconds, found.status == "ready")

    def search(self, query: str, video_id: str | None, top_k: int, strategy: str) -> list[Moment]:
        """What the service withholds for its score counts as not found."""
        videos = [video_id] if video_id else []
        answer = self._client.search(query, top_k=top_k, videos=videos, strategy=strategy)
        self.warnings |= dict.fromkeys(answer.warnings)
        return [(match.start_seconds, match.end_seconds) for match in answer.matches]


def choose_by_stem(videos: Iterable[Video], name: str) -> Video:
    """The one video whose title is `name` when suffixes such as `.mp4` are left off.

    Raises:
        VideoNotFound, AmbiguousVideo.
    """
    found = [video for video in videos if video.title and {_stem(video.title), video.title} & {_stem(name), name}]
    if not found:
        raise VideoNotFound(f"There is no video '{name}'. `clipseek videos` lists those there are.")
    if len(found) > 1:
        several = ", ".join(f"{video.video_id[:12]} ({video.title})" for video in found[:5])
        raise AmbiguousVideo(f"'{name}' means {len(found)} videos: {several}. Write the whole title or an id.")
    return found[0]


def _stem(title: str) -> str:
    suffix = Path(title).suffix
    # Data sets name videos by times, too ("NUsG9BgSes0_210.0_360.0"): that is no suffix.
    return title if suffix[1:].isdigit() else title.removesuffix(suffix)


def run_eval(
    client: Client, queries: Sequence[TrueQuery], top_k: int, progress: OnProgress, strategies: Sequence[str] = ()
) -> Evaluation:
    """Measure the server that the client talks to; tells on stderr what its searches warned of.

    Args:
        strategies: measured beside the server's own.

    Raises:
        InvalidRequest: there is no such strategy.
        VideoNotFound: none of the queries could be asked.
        ClipSeekError: what a search raises.
    """
    service = ClientService(client)
    made = evaluate_service(service, queries, top_k, progress, tuple(dict.fromkeys((DEFAULT, *strategies))))
    for warning in service.warnings:
        say(f"note: {warning}", style="yellow")
    if not made.asked:
        reasons = list(reasons_of(made.left_out))
        raise VideoNotFound(
            f"None of the {len(queries)} queries could be asked: {'; '.join(reasons[:_MOST_REASONS])}"
            f"{' ...' if len(reasons) > _MOST_REASONS else ''}. Index the videos first: clipseek index FILE..."
        )
    return made


def reasons_of(left_out: Sequence[LeftOut]) -> dict[str, list[int]]:
    """Why queries were left out, each reason once, with their lines."""
    reasons: dict[str, list[int]] = {}
    for each in left_out:
        reasons.setdefault(each.why, []).append(each.query.line)
    return reasons


def show_evaluation(made: Evaluation) -> None:
    """The table on stdout, with a column for each strategy; on stderr what was left out."""
    default, *others = made.measures
    heads = [">%", ">95 % interval"]
    for name in others:
        heads += [f">{name}", ">95 % interval"]
    if others:
        heads[0] = ">default"
    show_table(
        ("Measure", *heads, ">Queries", "Description"),
        [
            (
                name,
                *(cell for strategy in (default, *others) for cell in _cells(made.measures[strategy][name])),
                str(each.queries),
                _EXPLAINED[name],
            )
            for name, each in made.measures[default].items()
        ],
    )
    show_left_out(made)


def _cells(measured: Measured) -> tuple[str, str]:
    """A mean and its interval, in percent."""
    interval = measured.interval
    return f"{100 * interval.mean:.1f}", f"{100 * interval.low:.1f} - {100 * interval.high:.1f}"


def show_left_out(made: Evaluation) -> None:
    """Tell on stderr which queries were not asked, and why."""
    if not made.left_out:
        return
    say(f"{len(made.left_out)} of {made.asked + len(made.left_out)} queries were left out:", style="yellow")
    reasons = reasons_of(made.left_out)
    for why, lines in list(reasons.items())[:_MOST_REASONS]:
        few = f"line {lines[0]}" if len(lines) == 1 else f"{len(lines)} queries, the first on line {lines[0]}"
        say(f"  {why} ({few})", style="yellow")
    if len(reasons) > _MOST_REASONS:
        say(f"  and {len(reasons) - _MOST_REASONS} reasons more: --json lists all", style="yellow")


def evaluation_data(made: Evaluation) -> dict[str, Any]:
    """The result for scripts; shares in [0, 1]. `measures` is the server's own strategy."""
    default, *others = made.measures
    return {
        "asked": made.asked,
        "measures": _measures_data(made.measures[default]),
        "strategies": {name: _measures_data(made.measures[name]) for name in others},
        "left_out": [
            {"line": each.query.line, "video": each.query.video, "query": each.query.query, "why": each.why}
            for each in made.left_out
        ],
    }


def _measures_data(measures: Mapping[str, Measured]) -> dict[str, Any]:
    return {
        name: {
            "mean": each.interval.mean,
            "low": each.interval.low,
            "high": each.interval.high,
            "queries": each.queries,
        }
        for name, each in measures.items()
    }
