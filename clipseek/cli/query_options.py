"""The command line options that say what to look for, the same for every command that asks a query."""

import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from clipseek.api.documents import QueryPart

F = TypeVar("F", bound=Callable[..., Any])


class Time(click.ParamType[float]):
    """Seconds, or a time as the tables print it: 75.2, 01:15.2, 1:00:03."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from clipseek.api.query_parts import seconds_of

        try:
            seconds = seconds_of(str(value))
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            self.fail(f"'{value}' is not a time. Write seconds, or minutes and seconds: 75.2 or 01:15.2", param, ctx)
        return seconds


def _part(flag: str, name: str, metavar: str, text: str) -> Callable[[F], F]:
    return click.option(flag, name, multiple=True, metavar=metavar, help=f"{text}; may be repeated.")


def _number(flag: str, name: str, text: str, kind: Any = float) -> Callable[[F], F]:
    return click.option(flag, name, type=kind, default=0, help=text)


_OPTIONS = (
    _part("--also", "also", "TEXT", "Should be seen as well"),
    _part("--not", "without", "TEXT", "Should not be seen"),
    _part("--image", "images", "FILE", "Should look like this picture"),
    _part("--like", "moments", "VIDEO_ID@TIME", "Should look like this moment, which is left out itself"),
    _number("--from", "start_seconds", "Look at each video from this time on.", Time()),
    _number("--to", "end_seconds", "Look at each video up to this time.", Time()),
    click.option("--all", "all_matches", is_flag=True, help="Show the matches that are too weak, as well."),
    _number("--min-score", "least_score", "Show matches from this score on, above 0 to 1. [default: the model's own]"),
    _number("--min-length", "minimum_seconds", "Leave out matches shorter than this, in seconds."),
    _number("--max-length", "maximum_seconds", "Cut longer matches down to this, in seconds."),
    _number("--padding", "padding_seconds", "Seconds to add at both ends of a match."),
    _number("--per-video", "per_video", "How many matches of one video at most.", int),
    click.option("--strategy", default="", metavar="NAME", help="How moments are told from the rest: docs/quality.md."),
)


def query_options(command: F) -> F:
    """Give the command the argument TEXT and the options of a query, as `asked`: arguments of `Client.search`."""

    @wraps(command)
    def call(
        text: str | None,
        also: tuple[str, ...],
        without: tuple[str, ...],
        images: tuple[str, ...],
        moments: tuple[str, ...],
        **options: Any,
    ) -> Any:
        names = ("start_seconds", "end_seconds", "all_matches", "least_score", "minimum_seconds", "maximum_seconds")
        asked = {name: options.pop(name) for name in (*names, "padding_seconds", "per_video", "strategy")}
        return command(asked={"parts": parts_of(text, also, without, images, moments)} | asked, **options)

    wrapped: Any = call
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    made: F = click.argument("text", required=False)(wrapped)
    return made


def parts_of(
    text: str | None,
    also: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    images: tuple[str, ...] = (),
    moments: tuple[str, ...] = (),
) -> "list[QueryPart]":
    """The parts of a query out of what was written, each with `^WEIGHT` behind it if wished.

    Raises:
        InvalidRequest, FileMissing, UnreadableImage.
    """
    from clipseek.api.documents import QueryPart
    from clipseek.api.query_parts import image_part, moments_of, sendable, weighted

    wanted = [weighted(each) for each in (() if text is None else (text,)) + also]
    avoided = [(each, -abs(weight)) for each, weight in map(weighted, without)]
    pictures = [(each, 1.0) if Path(each).exists() else weighted(each) for each in images]
    likes = [(moments_of(each)[0], weight) for each, weight in map(weighted, moments)]
    return [
        *(QueryPart(text=sendable(each), weight=weight) for each, weight in (*wanted, *avoided)),
        *(image_part(each, weight) for each, weight in pictures),
        *(QueryPart(video_id=sendable(video), at_seconds=at, weight=weight) for (video, at), weight in likes),
    ]
