"""`clipseek watch`: keep the library up to date with folders."""

import json
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clipseek.cli.options import fps_option, host_option, language_option, sampling_option, words_option
from clipseek.cli.terminal import progress_bar
from clipseek.config.libraries import state_file
from clipseek.config.settings import Settings
from clipseek.machine.private_files import protect
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.watch.intake import Event
    from clipseek.watch.watcher import Watcher

_LONGEST_PAUSE_SECONDS = 300.0  # between questions to a server that is away
_STYLES = {"failed": "red", "later": "yellow", "folder": "yellow", "away": "yellow"}
_FAILURES = ("failed", "later", "folder")


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(path_type=Path))
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds between two looks at the folders. A look lists their files and reads no video.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0.0),
    default=10.0,
    show_default=True,
    help="Seconds that a file's size and time must stay the same before it is indexed, as it may still be copied.",
)
@click.option("--once", is_flag=True, help="Look once, do the work and stop: for cron. It takes --settle seconds.")
@click.option(
    "--delete",
    is_flag=True,
    help="Delete the video of a file that is gone: only if `clipseek watch` added it and no other watched file is the "
    "same video, and never while its folder is empty or not mounted. Without this option the video stays.",
)
@click.option(
    "--again",
    is_flag=True,
    help="At the start, try again the videos that failed, and those that somebody deleted from the library.",
)
@fps_option
@sampling_option
@words_option
@language_option
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that remembers what was done. [default: below CLIPSEEK_HOME/clients, one for each server and library]",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event on stdout as a line of JSON, for scripts.")
@host_option
def watch(
    folders: tuple[Path, ...],
    interval: float,
    once: bool,
    again: bool,
    settle: float,
    state: Path | None,
    as_json: bool,
    host: str | None,
    **options: Any,
) -> None:
    """Keep the library up to date with folders.

    New videos below the folders are indexed, changed ones replaced. The command looks at the folders every few seconds,
    so it works on network mounts, too. It runs until Ctrl-C (SIGINT) or SIGTERM; an unfinished video continues at the
    next start. A renamed file is not indexed again. While the server is away, the command waits. See docs/watching.md.

    \b
      clipseek watch ~/Videos
      clipseek watch /mnt/camera --once --delete
    """
    from clipseek.client import Client
    from clipseek.watch.state import WatchState
    from clipseek.watch.watcher import Watcher

    settings = Settings.from_env()
    protect(settings.home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    reporter = _Reporter(as_json)
    try:
        with Client(host) as client, WatchState(state or state_file(settings, client.address, "watch.db")) as memory:
            watcher = Watcher(
                client, _roots(folders), memory, tell=reporter, show=progress_bar, settle_seconds=settle, **options
            )
            if once:
                sys.exit(0 if _look_once(watcher, reporter, settle, again) else 1)
            _look_on(watcher, reporter, interval, again)
    except KeyboardInterrupt:
        say("Stopped. An unfinished video continues at the next start.")


def _roots(folders: tuple[Path, ...]) -> list[Path]:
    """The folders that lie in no other one, so that each video is seen once."""
    absolute = dict.fromkeys(folder.expanduser().absolute() for folder in folders)
    return [folder for folder in absolute if not any(other in folder.parents for other in absolute)]


class _Reporter:
    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self.counts: Counter[str] = Counter()

    def __call__(self, event: "Event") -> None:
        self.counts[event.kind] += 1
        say(f"{event.kind:>7}  {event.path}: {event.message}", style=_STYLES.get(event.kind, ""))
        if self._as_json:
            click.echo(json.dumps(asdict(event)))  # in ASCII: names that are not UTF-8 keep their bytes, as \udcXX

    def sum_up(self, watched: int) -> None:
        """Print what happened since the last time, if anything did."""
        if self.counts:
            events = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
            say(f"{events}; {watched} watched.", style="dim")
            self.counts.clear()


def _look_once(watcher: "Watcher", reporter: _Reporter, settle: float, again: bool) -> bool:
    """Look twice, to see which files are still being written. Returns: whether nothing failed."""
    watcher.begin(again=again)
    watcher.look()
    if watcher.moving:
        time.sleep(settle)
        watcher.look()
    if watcher.moving:
        say(f"{watcher.moving} files have just changed: the next run indexes them.", style="dim")
    is_well = not any(reporter.counts[kind] for kind in _FAILURES)
    reporter.sum_up(watcher.watched)
    return is_well


def _look_on(watcher: "Watcher", reporter: _Reporter, interval: float, again: bool) -> NoReturn:
    from clipseek.watch.intake import AWAY, Event

    has_begun, pause, last_error = False, interval, ""
    while True:
        try:
            if not has_begun:
                watcher.begin(again=again)
                has_begun = True
            watcher.look()
            if last_error:
                say("The server answers again.")
            pause, last_error = interval, ""
        except AWAY as error:
            if str(error) != last_error:
                last_error = str(error)
                reporter(Event("away", watcher.address, f"{last_error} Trying again until it answers."))
            pause = min(2 * pause, max(interval, _LONGEST_PAUSE_SECONDS))
        reporter.sum_up(watcher.watched)
        time.sleep(pause)
