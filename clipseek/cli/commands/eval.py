"""`clipseek eval`: measure a running service with a file of queries and true moments."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import VideoNotFound
from clipseek.cli.options import json_option, with_client
from clipseek.cli.terminal import print_json, progress_bar, show_table
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Video
    from clipseek.client import Client
    from clipseek.evaluation.evaluate import Evaluation, LeftOut, OnProgress
    from clipseek.evaluation.ground_truth import TrueQuery
    from clipseek.evaluation.measures import Interval, Moment

FORMATS = ("auto", "clipseek", "qvhighlights", "didemo", "charades-sta")
_MOST_REASONS = 10  # that are listed
_MEASURES = {
    "R1@.3": "best match has IoU .3 or more",
    "R1@.5": "best match has IoU .5 or more",
    "R1@.7": "best match has IoU .7 or more",
    "mAP": "average precision, IoU .5 to .95",
    "mAP@.5": "average precision, IoU .5",
    "mIoU": "IoU of the best match",
    "false alarms": "match found where nothing is (lower: better)",
}


@click.command(name="eval")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="Format of FILE; auto recognises it.",
)
@click.option(
    "--top-k",
    "-k",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="How many matches to ask for. Only mAP uses more than the first.",
)
@click.option(
    "--strategies",
    multiple=True,
    metavar="NAME,NAME...",
    help="Also measure these ways to divide score curves into matches; see docs/quality.md.",
)
@json_option
@with_client
def evaluate(client: "Client", file: Path, form: str, top_k: int, strategies: tuple[str, ...], as_json: bool) -> None:
    """Measure how well the service finds known moments.

    FILE has queries and true moments, of your own videos or of a published data set. The command searches for each
    query of FILE in its own video, and compares the matches with the true moments. A match below the cut-off counts as
    not found; any match for a query without moments is a false alarm. The videos must be in the library; queries about
    others are listed and left out. The intervals are 95 % bootstrap intervals. With few queries they are wide, and
    smaller differences are luck.

    \b
    FILE is one of
      clipseek      one query per line; "moments": [] if nothing should match, "video": null if no video has it
                    {"video": "holiday.mp4", "query": "a dog in a lake", "moments": [[12.0, 17.5]]}
                    {"video": null, "query": "a submarine", "moments": []}
      qvhighlights  highlight_train_release.jsonl, highlight_val_release.jsonl
      didemo        train_data.json, val_data.json, test_data.json
      charades-sta  charades_sta_train.txt, charades_sta_test.txt

    \b
      clipseek eval truth.jsonl
      clipseek eval truth.jsonl --strategies otsu,peak-walk
    """
    from clipseek.client import Progress
    from clipseek.evaluation.ground_truth import read_ground_truth

    queries = read_ground_truth(file, None if form == "auto" else form)
    names = [name.strip() for listed in strategies for name in listed.split(",") if name.strip()]
    with progress_bar(file.name) as bar:
        evaluation = run_eval(client, queries, top_k, lambda done, total: bar(Progress("search", done, total)), names)
    if as_json:
        show_left_out(evaluation)
        print_json({"file": str(file), "top_k": top_k} | evaluation_data(evaluation))
    else:
        show_evaluation(evaluation)


class ClientService:
    """A ClipSeek server as a service to measure. It lists the library once, which should not change meanwhile."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._videos = client.videos()
        self.warnings: dict[str, None] = {}  # of the searches, each once, in order

    def video(self, name: str) -> "Video":
        """As `choose_video`; for the names in data sets also a video whose title has another suffix or none."""
        from clipseek.client import choose_video

        return choose_video(self._videos, name, lambda video: is_same_title(video.title, name))

    def search(self, query: str, video_id: str | None, top_k: int, strategy: str) -> "list[Moment]":
        """The matches of the service; those below the cut-off count as not found."""
        videos = [video_id] if video_id else []
        answer = self._client.search(query, top_k=top_k, videos=videos, strategy=strategy)
        self.warnings |= dict.fromkeys(answer.warnings)
        return [(match.start_seconds, match.end_seconds) for match in answer.matches]


def is_same_title(title: str, name: str) -> bool:
    """Whether a title is `name` when both are stripped of suffixes such as `.mp4`."""
    return bool(title) and bool({_stem(title), title} & {_stem(name), name})


def _stem(title: str) -> str:
    suffix = Path(title).suffix
    # Data sets also name videos by times ("NUsG9BgSes0_210.0_360.0"): that is no suffix.
    return title if suffix[1:].isdigit() else title.removesuffix(suffix)


def run_eval(
    client: "Client", queries: "Sequence[TrueQuery]", top_k: int, progress: "OnProgress", strategies: Sequence[str] = ()
) -> "Evaluation":
    """Measure the server, by its own strategy and these, and print on stderr what its searches warned of.

    Raises: VideoNotFound: no query is about a video of the library. ClipSeekError: raised by a search.
    """
    from clipseek.evaluation.evaluate import DEFAULT, evaluate_service

    service = ClientService(client)
    evaluation = evaluate_service(service, queries, top_k, progress, tuple(dict.fromkeys((DEFAULT, *strategies))))
    for warning in service.warnings:
        say(f"note: {warning}", style="yellow")
    if not evaluation.asked:
        reasons = list(reasons_of(evaluation.left_out))
        raise VideoNotFound(
            f"None of the {len(queries)} queries could be asked: {'; '.join(reasons[:_MOST_REASONS])}"
            f"{' ...' if len(reasons) > _MOST_REASONS else ''}. Index the videos first: clipseek index FILE..."
        )
    return evaluation


def reasons_of(left_out: "Sequence[LeftOut]") -> dict[str, list[int]]:
    """Why queries were left out, each reason once, with their lines."""
    reasons: dict[str, list[int]] = {}
    for query in left_out:
        reasons.setdefault(query.why, []).append(query.query.line)
    return reasons


def show_evaluation(evaluation: "Evaluation") -> None:
    """Print the table on stdout, with a column for each strategy; on stderr what was left out."""
    default, *others = evaluation.measures
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
                *(cell for strategy in (default, *others) for cell in _cells(evaluation.measures[strategy][name])),
                str(measured.queries),
                _MEASURES[name],
            )
            for name, measured in evaluation.measures[default].items()
        ],
    )
    show_left_out(evaluation)


def _cells(interval: "Interval") -> tuple[str, str]:
    return f"{100 * interval.mean:.1f}", f"{100 * interval.low:.1f} - {100 * interval.high:.1f}"


def show_left_out(evaluation: "Evaluation") -> None:
    if not evaluation.left_out:
        return
    total = evaluation.asked + len(evaluation.left_out)
    say(f"{len(evaluation.left_out)} of {total} queries were left out:", style="yellow")
    reasons = reasons_of(evaluation.left_out)
    for reason, lines in list(reasons.items())[:_MOST_REASONS]:
        place = f"line {lines[0]}" if len(lines) == 1 else f"{len(lines)} queries, the first on line {lines[0]}"
        say(f"  {reason} ({place})", style="yellow")
    if len(reasons) > _MOST_REASONS:
        say(f"  and {len(reasons) - _MOST_REASONS} more reasons: --json lists all", style="yellow")


def evaluation_data(evaluation: "Evaluation") -> dict[str, Any]:
    """The result for scripts; shares in [0, 1]. `measures` is the server's own strategy."""
    measures = {
        strategy: {name: vars(interval) for name, interval in intervals.items()}
        for strategy, intervals in evaluation.measures.items()
    }
    default, *others = measures
    return {
        "asked": evaluation.asked,
        "measures": measures[default],
        "strategies": {name: measures[name] for name in others},
        "left_out": [
            {"line": row.query.line, "video": row.query.video, "query": row.query.query, "why": row.why}
            for row in evaluation.left_out
        ],
    }
