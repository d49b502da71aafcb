"""Options that several commands share; those of a search are made from the table in `clipseek.api.search_options`."""

import math
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipseek.api.formats import parse_time, sendable
from clipseek.api.limits import MAX_RATE, MIN_RATE, SAMPLINGS
from clipseek.api.search_options import Option, QueryOptions, options_of, value_type
from clipseek.config.settings import SETTINGS, Settings, variable_of

if TYPE_CHECKING:
    from clipseek.api.documents import QueryPart

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of text.")
host_option = click.option(
    "--host",
    metavar="ADDRESS",
    help="Server to talk to, grpc://HOST:PORT. [default: $CLIPSEEK_HOST, else the server of this machine]",
)
fps_option = click.option(
    "--fps",
    "frames_per_second",
    type=click.FloatRange(MIN_RATE, MAX_RATE),
    help="Frames to look at per second of video. More finds shorter moments and takes longer. [default: the server's]",
)
sampling_option = click.option(
    "--sampling",
    type=click.Choice(SAMPLINGS),
    help="Which frames to look at. even: one at regular steps. adaptive: up to four times as many where the picture "
    "moves, for short moments in fast videos. keyframes: only frames that decode by themselves; many times faster, but "
    "seconds apart, so edges are coarse and short moments are missed. [default: as the video was indexed before, else "
    "even]",
)

words_option = click.option(
    "--no-words",
    "words",
    flag_value=False,
    default=True,
    help="Do not read what is said, subtitled and written in the videos. `clipseek words` can do it later.",
)
language_option = click.option(
    "--language",
    default="",
    metavar="CODE",
    help="Language of the speech, such as en or zh. [default: as it was given before, else found out]",
)


def with_client(command: F) -> F:
    """Give the command the option --host, and a client of that server as its first argument."""

    @wraps(command)
    def call(host: str | None, **options: Any) -> Any:
        from clipseek.client import Client

        with Client(host) as client:
            return command(client, **options)

    return host_option(call)  # type: ignore[return-value]


class Time(click.ParamType[float]):
    """Seconds, or a time as the tables print it: 75.2, 01:15.2, 1:00:03."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = parse_time(str(value))
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            self.fail(f"'{value}' is not a time. Write seconds, or minutes and seconds: 75.2 or 01:15.2", param, ctx)
        return seconds


def query_options(kind: type[QueryOptions]) -> Callable[[F], F]:
    """Give the command the argument TEXT and the options of a search, as `query`: arguments of `Client.search`."""
    rows = {name: option for name, option in options_of(kind).items() if option.flags}

    def decorate(command: F) -> F:
        @wraps(command)
        def call(text: tuple[str, ...], **options: Any) -> Any:
            if len(text) > 1:  # the shell has split it
                name = click.get_current_context().info_name
                raise click.UsageError(f'Put the description in quotes: clipseek {name} "{" ".join(text)}"')
            values = {name: options.pop(name) for name in rows}
            typed = {name: values.pop(name) for name in ("also", "without", "image", "like")}
            return command(query=values | {"parts": weighted_parts(text, **typed)}, **options)

        wrapped: Any = call
        for name, option in reversed(rows.items()):
            text = f"{option.help} May be repeated." if option.repeatable else option.help
            wrapped = click.option(*option.flags.split(), name, help=text, **_click_type(name, option))(wrapped)
        decorated: F = click.argument("text", nargs=-1, metavar="[TEXT]")(wrapped)
        return decorated

    return decorate


def _click_type(name: str, option: Option) -> dict[str, Any]:
    """What click needs to know of an option; its default, 0 or nothing, leaves the choice to the server."""
    kind = value_type(name)
    if kind is bool:
        return {"is_flag": True}
    if option.repeatable:
        return {"multiple": True, "metavar": option.metavar}
    return {"type": Time() if option.metavar == "TIME" else kind, "default": kind(), "metavar": option.metavar}


def weighted_parts(
    text: Sequence[str], also: Sequence[str], without: Sequence[str], image: Sequence[str], like: Sequence[str]
) -> "list[QueryPart]":
    """The parts of a query as typed, each with an optional `^WEIGHT`.

    Raises: InvalidRequest, FileMissing, UnreadableImage.
    """
    from clipseek.api.documents import QueryPart
    from clipseek.client.queries import image_part, list_frames, split_weight

    wanted = [split_weight(words) for words in (*text, *also)]
    avoided = [(words, -abs(weight)) for words, weight in map(split_weight, without)]
    images = [(file, 1.0) if Path(file).exists() else split_weight(file) for file in image]
    frames = [(list_frames(frame)[0], weight) for frame, weight in map(split_weight, like)]
    return [
        *(QueryPart(text=sendable(words), weight=weight) for words, weight in (*wanted, *avoided)),
        *(image_part(file, weight) for file, weight in images),
        *(QueryPart(video_id=sendable(video), at_seconds=at, weight=weight) for (video, at), weight in frames),
    ]


def server_options(command: F, home_suffix: str = "") -> F:
    """Give the command the options of a server, for `server_settings`.

    Args:
        home_suffix: what the command adds to the name of the folder of the store if `--home` is not given.
    """
    for option, name, kind in (
        ("--log-level", "log_level", click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False)),
        ("--device", "device", click.Choice(["auto", "cpu", "cuda"])),
        ("--model", "model", str),
        ("--home", "home", click.Path(file_okay=False)),
        ("--port", "port", click.IntRange(1, 65535)),
        ("--bind", "bind", str),
    ):
        row = SETTINGS[name]
        text = f"{row.sentence}. [${row.variable}; default: {row.shown_default}]"
        if name == "home" and home_suffix:
            text = (
                f"{row.sentence}. [default: ${row.variable}, else {row.shown_default}, with '{home_suffix}' added to "
                "its name]"
            )
        command = click.option(option, name, type=kind, help=text)(command)
    return click.option(
        "--allow-anyone-on-the-network",
        "allow_anyone",
        flag_value="yes",
        help="With --bind: serve anyone who reaches the server, without a token. [$CLIPSEEK_ALLOW_ANYONE=yes]",
    )(command)


def server_settings(options: dict[str, Any]) -> Settings:
    """The settings of the environment, replaced by the options of the command line."""
    typed = {variable_of(name): str(value) for name, value in options.items() if value is not None}
    return Settings.from_env({**os.environ, **typed})
