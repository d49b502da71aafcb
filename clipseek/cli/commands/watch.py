"""`clipseek watch`: keep the library up to date with folders."""

import json
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from clipseek.api.limits import MAX_RATE, MIN_RATE, SAMPLINGS
from clipseek.cli.terminal import progress_bar, say
from clipseek.config.settings import Settings
from clipseek.machine.state_files import state_file
from clipseek.watch.state import WatchState

if TYPE_CHECKING:
    from clipseek.watch.watcher import Event, Watcher

_LONGEST_PAUSE_SECONDS = 300.0  # between questions to a server that is away
_STYLES = {"failed": "red", "later": "yellow", "folder": "yellow", "away": "yellow"}
_FAILURES = ("failed", "later", "folder")


class _Teller:
    """Says each event on stderr, prints it as a line of JSON on stdout if asked, and counts."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self.counts: Counter[str] = Counter()

    def __call__(self, event: "Event") -> None:
        self.counts[event.kind] += 1
        say(f"{event.kind:>7}  {event.path}: {event.message}", style=_STYLES.get(event.kind, ""))
        if self._as_json:
            click.echo(json.dumps(asdict(event)))  # in ASCII: names that are no UTF-8 keep their bytes, as \udcXX

    def sum_up(self, watched: int) -> None:
        """A line on what happened since the last one, if anything did."""
        if self.counts:
            happened = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
            say(f"{happened}; {watched} watched.", style="dim")
            self.counts.clear()


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(path_type=Path))
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds from one look at the folders to the next. A look reads their lists of files, not the videos.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0.0),
    default=10.0,
    show_default=True,
    help="Seconds for which a file's size and time must stand still before it is taken: until then it is being copied.",
)
@click.option(
    "--once", is_flag=True, help="Look, do what there is to do, and end: for cron. It takes --settle seconds."
)
@click.option(
    "--delete",
    is_flag=True,
    help="When a file is gone, delete its video, too: only one that `clipseek watch` brought and no other watched file "
    "is, and never while its folder is empty or not mounted. Without this option it stays.",
)
@click.option(
    "--again",
    is_flag=True,
    help="At the start, take up again the videos that failed as they are, and those whose videos others have deleted.",
)
@click.option(
    "--fps",
    type=click.FloatRange(MIN_RATE, MAX_RATE),
    help="As of `clipseek index`, for videos that are taken from now on.",
)
@click.option("--sampling", type=click.Choice(SAMPLINGS), help="As of `clipseek index`.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that remembers what was done. [default: below CLIPSEEK_HOME/clients, one for each server and library]",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event on stdout as a line of JSON, for scripts.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Server to talk to, grpc://HOST:PORT. [default: $CLIPSEEK_HOST, else this machine's own server]",
)
def watch(
    folders: tuple[Path, ...],
    interval: float,
    settle: float,
    once: bool,
    delete: bool,
    again: bool,
    fps: float | None,
    sampling: str | None,
    state: Path | None,
    as_json: bool,
    host: str | None,
) -> None:
    """Keep the library up to date with folders: what appears below them is indexed, what changes is exchanged.

    It looks at them again and again, so it works on network mounts, too, and goes on until Ctrl-C (SIGINT) or SIGTERM.
    A video it was at then goes on where it stopped at the next start. A file that is renamed is not indexed anew. While
    the server is away it waits. See docs/watching.md.
    """
    from clipseek.client import Client
    from clipseek.watch.watcher import Watcher

    settings = Settings.from_env()
    signal.signal(signal.SIGTERM, _interrupt)
    tell = _Teller(as_json)
    try:
        with Client(host) as client:
            file = state or state_file(settings, client.address, "watch.db")
            with WatchState(file) as kept:
                named = dict.fromkeys(folder.expanduser().absolute() for folder in folders)
                roots = [root for root in named if not any(other in root.parents for other in named)]  # each video once
                watcher = Watcher(
                    client,
                    roots,
                    kept,
                    tell=tell,
                    show=progress_bar,
                    delete=delete,
                    settle_seconds=settle,
                    frames_per_second=fps,
                    sampling=sampling,
                )
                if once:
                    sys.exit(0 if _look_once(watcher, tell, settle, again) else 1)
                _look_on(watcher, tell, interval, again)
    except KeyboardInterrupt:
        say("Stopped. A video that was not done goes on where it stopped at the next start.")


def _look_once(watcher: "Watcher", tell: _Teller, settle: float, again: bool) -> bool:
    """Look twice, so that it shows what stands still. Returns: whether nothing failed."""
    watcher.begin(again=again)
    watcher.look()
    if watcher.moving:
        time.sleep(settle)
        watcher.look()
    if watcher.moving:
        say(f"{watcher.moving} files have changed just now: the next run takes them.", style="dim")
    is_well = not any(tell.counts[kind] for kind in _FAILURES)
    tell.sum_up(watcher.watched)
    return is_well


def _look_on(watcher: "Watcher", tell: _Teller, interval: float, again: bool) -> NoReturn:
    """Look again and again; while the server is away, with growing pauses."""
    from clipseek.watch.watcher import AWAY, Event

    has_begun, pause, away = False, interval, ""
    while True:
        try:
            if not has_begun:
                watcher.begin(again=again)
                has_begun = True
            watcher.look()
            if away:
                say("The server answers again.")
            pause, away = interval, ""
        except AWAY as error:
            if str(error) != away:
                away = str(error)
                tell(Event("away", watcher.address, f"{away} Asking again until it answers."))
            pause = min(2 * pause, max(interval, _LONGEST_PAUSE_SECONDS))
        tell.sum_up(watcher.watched)
        time.sleep(pause)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End on SIGTERM as on Ctrl-C."""
    raise KeyboardInterrupt
