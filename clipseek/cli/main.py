"""The command line: data on stdout, talk and progress bars on stderr, exit codes 0, 1 (failed), 2 (asked wrongly)."""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clipseek import __version__
from clipseek.api.errors import ClipSeekError, ServerError, ServerUnreachable
from clipseek.api.formats import size, timestamp
from clipseek.api.limits import MAX_RATE, MIN_RATE, SAMPLINGS
from clipseek.cli.commands.backup import backup
from clipseek.cli.commands.compat import compat
from clipseek.cli.commands.model import model
from clipseek.cli.commands.reshard import reshard
from clipseek.cli.commands.token import token
from clipseek.cli.commands.watch import watch
from clipseek.cli.output import (
    answer_data,
    indexed_data,
    indexed_sentence,
    match_data,
    print_json,
    say_about,
    show_matches,
    show_ready,
    show_shots,
    show_timeline,
    show_videos,
    timeline_data,
    video_data,
)
from clipseek.cli.query_options import Time, query_options
from clipseek.cli.terminal import progress_bar, say, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import SETTINGS, Settings, variable_of
from clipseek.evaluation.ground_truth import FORMATS, read_ground_truth
from clipseek.machine import logs
from clipseek.watch.video_files import videos_below

if TYPE_CHECKING:
    from clipseek.api.documents import Component
    from clipseek.client import Client

F = TypeVar("F", bound=Callable[..., Any])


class _Group(click.Group):
    """Turns ClipSeek's errors into one line on stderr and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClipSeekError as error:
            say(f"clipseek: {error}", style="red")
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (kept open to the end: the reader of stdout is gone)
            ctx.exit(1)


def _host_option(command: F) -> F:
    return click.option(
        "--host",
        metavar="ADDRESS",
        help="Server to talk to, grpc://HOST:PORT. [default: $CLIPSEEK_HOST, else this machine's own server]",
    )(command)


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")(command)


def _with_client(command: F) -> F:
    """Give the command a client in place of its `host`."""

    @wraps(command)
    def call(host: str | None, **options: Any) -> Any:
        from clipseek.client import Client

        with Client(host) as client:
            return command(client, **options)

    return _host_option(call)  # type: ignore[return-value]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="clipseek")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what goes on, on stderr.")
def main(verbose: bool) -> None:
    """Search inside videos: describe what you want to see, get the exact moments, cut them out.

    \b
    Start the service in one terminal:      clipseek serve
    Put videos in, from another one:         clipseek index holiday.mp4 ~/Videos
    Ask:                                    clipseek search "a dog jumps into a lake"
    Keep what was found:                    clipseek clip holiday.mp4 12.0 17.5 -o dog.mp4
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--title", help="Title to show for the video instead of its file name (with one PATH).")
@click.option(
    "--fps",
    type=click.FloatRange(MIN_RATE, MAX_RATE),
    help="Frames to look at per second of video: more finds shorter moments and takes longer. [default: the server's]",
)
@click.option(
    "--sampling",
    type=click.Choice(SAMPLINGS),
    help="even; adaptive: up to four times as often where the picture moves, for short moments in fast videos; "
    "keyframes: only frames that decode by themselves, many times faster, but seconds apart, so edges are coarse and "
    "short moments are missed. [default: as the video was indexed before, else even]",
)
@click.option(
    "--on-server", is_flag=True, help="PATH is on the server, under a folder its operator allowed: nothing is copied."
)
@_json_option
@_with_client
def index(
    client: "Client",
    paths: tuple[str, ...],
    title: str | None,
    fps: float | None,
    sampling: str | None,
    on_server: bool,
    as_json: bool,
) -> None:
    """Put videos into the library: files, and folders with all the videos below them.

    A video that is there already is not sent or looked at again; one that was interrupted goes on where it stopped.
    """
    videos: list[str] = []
    results: list[dict[str, Any]] = []
    errors: list[ClipSeekError] = []

    def fail(path: str, error: ClipSeekError) -> None:
        hint = " Repeat the command: it goes on where it stopped." if isinstance(error, ServerError) else ""
        say(f"clipseek: {path}: {error}{hint}", style="red")
        results.append({"title": Path(path).name, "status": "failed", "error": str(error)})
        errors.append(error)

    for path in paths:
        try:
            videos += [path] if on_server else [str(video) for video in videos_below(Path(path))]
        except ClipSeekError as error:
            fail(path, error)
    if title and len(videos) > 1:
        raise click.UsageError(f"--title goes with one video, but these are {len(videos)}.")
    for video in videos:
        try:
            with progress_bar(Path(video).name) as progress:
                done = client.index(
                    video,
                    title=title,
                    frames_per_second=fps,
                    sampling=sampling,
                    on_server=on_server,
                    progress=progress,
                )
            results.append(indexed_data(done))
            if not as_json:
                say(indexed_sentence(done))
        except ServerUnreachable as error:
            fail(video, error)
            break  # the others would fail in the same way
        except ClipSeekError as error:
            fail(video, error)
    if as_json:
        print_json(results)
    if errors:
        sys.exit(errors[0].exit_code if len(results) == 1 else 1)


@main.command()
@query_options
@click.option("--top-k", "-k", default=5, show_default=True, help="How many matches at most.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Show the matches beyond the first.")
@click.option("--group", is_flag=True, help="Put the matches of each video together; -k and --page count videos then.")
@click.option(
    "--video",
    "-i",
    "videos",
    multiple=True,
    metavar="ID",
    help="Look only in this video (id, start of an id, or title); may be repeated.",
)
@_json_option
@click.option("--json-answer", is_flag=True, help="As --json, with what is said of the matches: a whole answer.")
@_with_client
def search(
    client: "Client",
    asked: dict[str, Any],
    top_k: int,
    page: int,
    group: bool,
    videos: tuple[str, ...],
    as_json: bool,
    json_answer: bool,
) -> None:
    """Find the moments that fit the description TEXT, best first.

    TEXT may be left out where an image or a moment says what to look for. Behind each of them ^WEIGHT gives it more or
    less weight than the others have, which is 1.

    \b
      clipseek search "a dog" --also "a lake^0.5" --not "snow"
      clipseek search --image dog.jpg --video holiday.mp4 --from 10:00 --to 20:00
      clipseek search --like holiday.mp4@01:15.2
    """
    answer = client.search(**asked, top_k=top_k, offset=(page - 1) * top_k, videos=videos, group_by_video=group)
    say_about(answer)
    if json_answer:
        print_json(answer_data(answer))
    elif as_json:
        print_json([match_data(match) for match in answer.matches])
    elif answer.matches:
        show_matches(answer)
        if answer.more:
            say(f"There are more: --page {page + 1}", style="dim")


@main.command()
@click.argument("video", metavar="VIDEO_ID")
@query_options
@_json_option
@_with_client
def timeline(client: "Client", video: str, asked: dict[str, Any], as_json: bool) -> None:
    """Draw how well each moment of a video fits the description TEXT, and mark the matches.

    VIDEO_ID is the video's id, the start of its id, or its title. The options that say what to look for are those of
    `clipseek search`.
    """
    found = client.video(video)
    answer = client.timeline(found.video_id, **asked)
    say_about(answer)
    if as_json:
        print_json(timeline_data(found, answer))
    else:
        show_timeline(found, answer)


@main.command(context_settings={"ignore_unknown_options": True})  # so that -1 is a time, and told to be outside
@click.argument("video", metavar="VIDEO_ID")
@click.argument("start", type=Time())
@click.argument("end", type=Time())
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@click.option(
    "--copy",
    is_flag=True,
    help="Do not re-encode where the format allows: fast, but starts at the keyframe at or before START.",
)
@_json_option
@_with_client
def clip(client: "Client", video: str, start: float, end: float, output: Path, copy: bool, as_json: bool) -> None:
    """Cut START to END of a video into a file that plays everywhere.

    VIDEO_ID is the video's id, the start of its id, or its title. START and END are seconds, or times as `search`
    prints them: 75.2 or 01:15.2.
    """
    saved = client.clip(video, start, end, output, mode="copy" if copy else "exact")
    if as_json:
        print_json(
            {
                "path": str(saved.path),
                "start_seconds": saved.start_seconds,
                "end_seconds": saved.end_seconds,
                "size_bytes": saved.size_bytes,
            }
        )
    else:
        span = f"{timestamp(saved.start_seconds)} - {timestamp(saved.end_seconds)}"
        why = "" if saved.path.suffix == output.suffix else f" Its streams do not fit into '{output.suffix}'."
        say(f"Wrote {saved.path} ({span}, {size(saved.size_bytes)}).{why}")


@main.command()
@click.option(
    "--shots",
    metavar="VIDEO_ID",
    help="List the shots of this video instead (id, start of an id, or title): where it was cut, for editing and to see "
    "what the edges of matches snap to.",
)
@_json_option
@_with_client
def videos(client: "Client", shots: str | None, as_json: bool) -> None:
    """List the videos of the library, or the shots of one."""
    if shots is not None:
        show_shots(client.shots(shots), as_json)
        return
    known = client.videos()
    if as_json:
        print_json([video_data(video) for video in known])
        return
    show_videos(known)


@main.command()
@click.argument("video", metavar="VIDEO_ID")
@_with_client
def delete(client: "Client", video: str) -> None:
    """Delete a video from the library: the server's copy and all that is known of it.

    VIDEO_ID is the video's id, the start of its id, or its title. A video that was indexed where it lies on the server
    (--on-server) stays there.
    """
    gone = client.delete(video)
    say(f"Deleted {gone.title} ({gone.video_id[:12]}).")


@main.command()
@click.option(
    "--answered",
    "share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of neutral descriptions that may still find something: less withholds more.",
)
@click.option("--reset", is_flag=True, help="Go back to the model's own scale.")
@_json_option
@_with_client
def calibrate(client: "Client", share: float, reset: bool, as_json: bool) -> None:
    """Set from what score on a match counts, for this library.

    The model's own scale is a compromise for all libraries. This asks for a hundred ordinary things that few libraries
    hold, and moves the cut-off so that hardly any of them is answered. Run it again when the library has changed much.
    """
    made = client.calibrate(share, reset=reset)
    if as_json:
        names = ("shift", "phrase_count", "answered_before", "answered")
        print_json({name: getattr(made, name) for name in names})
    elif reset:
        say("Matches begin where the model's own scale says.")
    else:
        say(
            f"{made.answered} of {made.phrase_count} neutral descriptions find something now, {made.answered_before} "
            f"before. The cut-off moved by {made.shift:+.2f}, where 1 is the way from the background to a right frame."
        )


@main.command(name="eval")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(("auto", *FORMATS)),
    default="auto",
    show_default=True,
    help="What FILE is written in; auto recognises it.",
)
@click.option(
    "--top-k",
    "-k",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="How many matches to ask for. Only mAP looks beyond the first.",
)
@click.option(
    "--strategies",
    multiple=True,
    metavar="NAME,NAME...",
    help="Measure these ways to divide score curves into moments beside the server's own; see docs/quality.md.",
)
@_json_option
@_with_client
def evaluate(client: "Client", file: Path, form: str, top_k: int, strategies: tuple[str, ...], as_json: bool) -> None:
    """Measure how well the service finds moments that are known: of your own videos, or of a published data set.

    Each query of FILE is searched for in its own video, and what is found is compared with the true moments. What is
    withheld for its score counts as not found; what is found for a query without moments is a false alarm. The videos
    must be in the library; queries about others are named and left out. Intervals are 95 % bootstrap intervals:
    with few queries they are wide, and smaller differences are luck.

    \b
    FILE is one of
      clipseek      one line a query; no moments: nothing should match; null: in no video
                    {"video": "holiday.mp4", "query": "a dog in a lake", "moments": [[12.0, 17.5]]}
                    {"video": null, "query": "a submarine", "moments": []}
      qvhighlights  highlight_train_release.jsonl, highlight_val_release.jsonl
      didemo        train_data.json, val_data.json, test_data.json
      charades-sta  charades_sta_train.txt, charades_sta_test.txt
    """
    from clipseek.cli.commands.eval import evaluation_data, run_eval, show_evaluation, show_left_out
    from clipseek.client import Progress

    queries = read_ground_truth(file, None if form == "auto" else form)
    with progress_bar(file.name) as bar:
        names = [name.strip() for each in strategies for name in each.split(",") if name.strip()]
        made = run_eval(client, queries, top_k, lambda done, total: bar(Progress("search", done, total)), names)
    if as_json:
        show_left_out(made)
        print_json({"file": str(file), "top_k": top_k} | evaluation_data(made))
    else:
        show_evaluation(made)


main.add_command(token)
main.add_command(backup)
main.add_command(reshard)
main.add_command(watch)
main.add_command(compat)
main.add_command(model)


def _server_options(command: F) -> F:
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
        command = click.option(option, name, type=kind, help=text)(command)
    return click.option(
        "--allow-anyone-on-the-network",
        "allow_anyone",
        flag_value="yes",
        help="With --bind: serve whoever reaches it, without any token. [$CLIPSEEK_ALLOW_ANYONE=yes]",
    )(command)


def _settings(options: dict[str, Any]) -> Settings:
    """The environment's settings with the options given on the command line in their place."""
    given = {variable_of(name): str(value) for name, value in options.items() if value is not None}
    return Settings.from_env({**os.environ, **given})


@main.command()
@click.option("--page", "with_page", is_flag=True, help="Serve the page, too, and open it in a browser.")
@_server_options
def serve(with_page: bool, **options: Any) -> None:
    """Start the service and run it until Ctrl-C (SIGINT) or SIGTERM.

    It listens on this machine only, unless --bind says otherwise; that wants a token (clipseek token add NAME), and
    should have TLS ($CLIPSEEK_TLS_CERT, $CLIPSEEK_TLS_KEY). The page is on http://127.0.0.1:8501 ($CLIPSEEK_PAGE_PORT),
    or on a free port where that is taken; it is for this machine, and has what $CLIPSEEK_TOKEN opens.
    """
    check_whole_install("serve")
    from clipseek.service.page import Page, show_page
    from clipseek.service.run import serve as run_server

    settings = _settings(options)
    logs.start(settings.log_level, settings.log_format, "server", replace=True)
    say("Starting ...", style="dim")
    with Page(settings, settings.local_host) as page:

        def ready(components: "list[Component]") -> bool:
            if with_page:
                page.start()
                show_page(page)
            show_ready(settings, components)
            say("Ctrl-C stops it.", style="dim")
            return True

        run_server(settings, ready)
    say("Stopped.")


@main.command()
@click.option("--exit", "stop", is_flag=True, help="Stop after the searches instead of going on serving.")
@click.option(
    "--clips",
    default="demo-clips",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the clips that are cut.",
)
@_server_options
def demo(stop: bool, clips: Path, **options: Any) -> None:
    """Show what ClipSeek does: index a small sample library, search it three times, cut out what was found.

    The demo keeps a store of its own, beside your library.
    """
    check_whole_install("demo")
    from clipseek.cli.commands.demo import run_demo

    settings = _settings(options)
    logs.start(settings.log_level, settings.log_format, "server", replace=True)
    if options["home"] is None:
        settings = replace(settings, home=settings.home.with_name(settings.home.name + "-demo"))
    run_demo(settings, clips, stop=stop, when_ready=show_ready)


@main.command()
@_json_option
@_with_client
def health(client: "Client", as_json: bool) -> None:
    """Say whether every part of the server answers: in a second, and with exit code 1 if one does not.

    For containers and scripts that watch the server; `clipseek doctor` looks at much more.
    """
    parts = client.health()
    if as_json:
        print_json([{"name": part.name, "ok": part.ok, "warnings": part.warnings} for part in parts])
    else:
        rows = [("ok", part.name, "") if part.ok else ("X", part.name, "\n".join(part.warnings)) for part in parts]
        show_table(("", "What", "Found"), rows)
    if not all(part.ok for part in parts):
        sys.exit(1)


@main.command()
@click.option("--check", "store", flag_value="check", help="Read all of the store instead: every video, every frame.")
@click.option("--repair", "store", flag_value="repair", help="Mend what --check found; the server must be stopped.")
@click.option("--recall", "store", flag_value="recall", help="Ask the server how much of what is nearest it finds.")
@_host_option
@_json_option
def doctor(store: str | None, host: str | None, as_json: bool) -> None:
    """Check the installation, the store, the port and the server, and say what to fix.

    --check proves that nothing in the store is lost or damaged, and changes nothing. --repair drops what can be made
    anew (the index cache, spans that are wrong, remains of uploads that stopped a day ago or earlier), writes lost
    records of videos again, and says what it did; it never deletes a video, or frames that are right. --recall has the
    server compare what the index finds with all frames of the library, which takes seconds; where it finds less than
    0.99 of what is nearest it looks at more from then on. The exit code is 1 if an error is found, or left.
    """
    from clipseek.upkeep.doctor import check_recall, check_store, examine, repair_store

    settings = Settings.from_env()
    if store == "recall":
        checks = [check_recall(host)]
    elif store:
        check_whole_install(f"doctor --{store}")
        checks = check_store(settings) if store == "check" else repair_store(settings)
    else:
        checks = examine(settings, host)
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        show_table(
            ("", "What", "Found"),
            [
                ({"ok": "ok", "warning": "!", "error": "X"}[c.state], c.what, c.found + (f"\n{c.fix}" if c.fix else ""))
                for c in checks
            ],
        )
    if any(check.state == "error" for check in checks):
        sys.exit(1)
