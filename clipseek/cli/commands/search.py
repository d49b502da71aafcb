"""`clipseek search` and `timeline`: find moments in the whole library, or in one video."""

import sys
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.search_options import MAX_OFFSET, QueryOptions, SearchOptions
from clipseek.cli.answers import (
    WEAKER,
    answer_data,
    match_cells,
    match_data,
    say_notes,
    show_lines,
    show_matches,
    show_weaker,
)
from clipseek.cli.options import json_option, query_options, with_client
from clipseek.cli.terminal import print_json, show_table
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Query, Video
    from clipseek.client import Client


@click.command()
@query_options(SearchOptions)
@click.option("--top-k", "-k", default=5, show_default=True, help="How many matches at most, 1 to 1000.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Which page of matches to show.")
@json_option
@click.option(
    "--json-answer",
    is_flag=True,
    help="As --json, with weaker candidates, the cut-off, warnings and counts: the whole answer.",
)
@with_client
def search(client: "Client", query: dict[str, Any], top_k: int, page: int, as_json: bool, json_answer: bool) -> None:
    """Find the moments that fit the description TEXT, best first.

    Matches score 0.5 or more. Where they do not fill the first page, the nearest weaker candidates follow, marked as
    weak. `--json` prints matches only.

    TEXT is looked for in pictures, in what is said or subtitled, and in what is written on screen; --in chooses among
    these. An exact phrase stands in quotes inside TEXT: 'the "optical segment"'.

    Put TEXT in quotes. It may be left out if --image or --like says what to look for. Append ^WEIGHT to TEXT or to a
    value of --also, --not, --image or --like to weigh it (default 1). Cut a match out with `clipseek clip`, which takes
    the times as they are printed; `--json` has them in full.

    \b
      clipseek search "a dog" --also "a lake^0.5" --not "snow"
      clipseek search --image dog.jpg --video holiday.mp4 --from 10:00 --to 20:00
      clipseek search --like holiday.mp4@01:15.2
      clipseek search "interest rates" --in heard,written
    """
    offset = (page - 1) * top_k
    if offset > MAX_OFFSET:
        raise click.UsageError(f"--page {page} would skip {offset} matches; at most {MAX_OFFSET} can be skipped.")
    answer = client.search(top_k=top_k, offset=offset, weaker=0 if as_json and not json_answer else WEAKER, **query)
    say_notes(answer)
    if json_answer:
        print_json(answer_data(answer))
    elif as_json:
        print_json([match_data(match) for match in answer.matches])
    else:
        show_matches(answer)
        if answer.more:
            say(f"More matches: --page {page + 1}", style="dim")


@click.command()
@click.argument("name", metavar="VIDEO")
@query_options(QueryOptions)
@json_option
@with_client
def timeline(client: "Client", name: str, query: dict[str, Any], as_json: bool) -> None:
    """Draw how well each moment of a video fits TEXT.

    The matches are marked below the curve. VIDEO is the video's title, its id or the start of its id. Append ^WEIGHT to
    TEXT or to a value of --also, --not, --image or --like to weigh it (default 1).

    \b
      clipseek timeline holiday.mp4 "a dog jumps into a lake"
      clipseek timeline holiday.mp4 --image dog.jpg --from 10:00
    """
    video = client.video(name)
    answer = client.timeline(video.video_id, weaker=WEAKER, **query)
    say_notes(answer)
    if as_json:
        print_json(timeline_data(video, answer))
    else:
        show_timeline(video, answer)


def show_timeline(video: "Video", answer: "Query") -> None:
    """Draw the score curve of a video as wide as the terminal, with its matches below."""
    from rich.console import Console

    from clipseek.cli.sparkline import characters_for, draw

    end = min(answer.end_seconds or video.duration_seconds, video.duration_seconds)
    lines = draw(
        answer.curve_pts_seconds,
        answer.curve_scores,
        (answer.start_seconds, end),
        answer.cut_off,
        answer.matches,
        Console().width,
        characters_for(sys.stdout.encoding),
    )
    click.echo("\n".join(lines))
    if answer.cut_off > 0:
        say(f"Matches score {answer.cut_off:.3f} or more.", style="dim")
    heads = ("#", "Start", "End", ">Length", ">Score")
    if answer.matches:
        show_table(heads, [(str(place), *match_cells(match)) for place, match in enumerate(answer.matches, 1)])
        show_lines([(str(place), match) for place, match in enumerate(answer.matches, 1)])
    show_weaker(answer, heads, [("-", *match_cells(match)) for match in answer.weaker_matches])
    show_lines([("-", match) for match in answer.weaker_matches])


def timeline_data(video: "Video", answer: "Query") -> dict[str, Any]:
    return {
        "video_id": video.video_id,
        "title": video.title,
        "duration_seconds": video.duration_seconds,
        "pts_seconds": answer.curve_pts_seconds,
        "scores": answer.curve_scores,
        "shot_start_seconds": answer.shot_start_seconds,
    } | answer_data(answer)
