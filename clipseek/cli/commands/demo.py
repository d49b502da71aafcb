"""`clipseek demo`: a sample library, seven searches whose right answers are known, and the clips they lead to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import ServerFailed, ServerNotReady
from clipseek.api.formats import counted, timestamp
from clipseek.api.limits import HEARD, SCREEN, SEEN, SPEECH, WRITTEN
from clipseek.cli.commands.serve import show_ready
from clipseek.cli.options import server_options, server_settings
from clipseek.cli.terminal import progress_bar, show_table
from clipseek.config.addresses import DEFAULT_PORT
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine import logs
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Component, Match
    from clipseek.client import Client
    from clipseek.service.page import Page


@dataclass(frozen=True)
class KnownAnswer:
    """A description, and the moment `[start, end)` of the sample video that shows or says it, and which of the two."""

    text: str
    title: str
    start_seconds: float
    end_seconds: float
    reason: str = SEEN

    def found_by(self, match: "Match") -> bool:
        middle = (match.start_seconds + match.end_seconds) / 2
        is_there = match.title == self.title and self.start_seconds <= middle < self.end_seconds
        return is_there and self.reason in match.reasons


KNOWN_ANSWERS = (
    KnownAnswer("a red flower", "nature.mp4", 3.0, 8.0),
    KnownAnswer("石头之间的小溪", "nature.mp4", 0.0, 3.0),  # a stream between rocks
    KnownAnswer("a glowing crystal", "toys.mp4", 4.0, 8.0),
    KnownAnswer("two men in the street", "silent-film.mp4", 0.0, 9.64),
    KnownAnswer("a worker in a hall", "space-telescope.mp4", 0.0, 13.0),
    KnownAnswer("optical and science segment", "space-telescope.mp4", 0.7, 12.0, HEARD),
    KnownAnswer("craters of the Moon", "slides.mp4", 0.0, 5.0, WRITTEN),
)
_HOME_SUFFIX = "-demo"
_Results = Sequence[tuple[KnownAnswer, "Match | None"]]


@click.command()
@click.option("--exit", "stop", is_flag=True, help="Stop after the searches instead of running on until Ctrl-C.")
@click.option(
    "--clips",
    default="demo-clips",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the clips.",
)
@partial(server_options, home_suffix=_HOME_SUFFIX)
def demo(stop: bool, clips: Path, **options: Any) -> None:
    """Show what ClipSeek does, with a small sample library.

    The demo indexes the samples, searches them seven times, cuts out the best matches, opens the page and keeps
    running until Ctrl-C. It keeps a store of its own, apart from your library.

    \b
      clipseek demo
      clipseek demo --exit --clips /tmp/demo-clips
    """
    check_whole_install("demo")
    settings = server_settings(options)
    logs.start(settings.log_level, settings.log_format, "server", replace=True)
    if options["home"] is None:
        settings = replace(settings, home=settings.home.with_name(settings.home.name + _HOME_SUFFIX))
    run_demo(_with_free_port(settings), clips, stop=stop)


def run_demo(settings: Settings, clips: Path, *, stop: bool) -> None:
    """Serve, show the demo, then keep running until Ctrl-C unless `stop`.

    Raises: ServerFailed: a search did not find its known answer.
    """
    from clipseek.client import Client
    from clipseek.service.page import Page
    from clipseek.service.run import serve

    say("Starting ... (the first time, this builds the starter model: about ten seconds)", style="dim")
    host = settings.local_host
    with Page(settings, host) as page:

        def when_ready(components: "list[Component]") -> bool:
            show_ready(settings, components)
            with Client(host) as client:
                show(client, clips)
            if stop:
                say(f"\nTo search your own videos: {_command()} serve --page")
            else:
                _show_next_steps(settings, host, page)
            return not stop

        serve(settings, when_ready, page.ask_to_end)


def _with_free_port(settings: Settings) -> Settings:
    from clipseek.machine.ports import free_port, is_port_free

    if is_port_free(settings.bind, settings.port):
        return settings
    free = replace(settings, port=free_port(settings.bind))
    say(f"Port {settings.port} is taken, so the demo listens on {free.port}.")
    return free


def _show_next_steps(settings: Settings, host: str, page: "Page") -> None:
    from clipseek.service.page import show_page

    prefix = "" if settings.port == DEFAULT_PORT else f"CLIPSEEK_HOST={host} "
    say("\nThe service keeps running. In another terminal:", style="bold")
    say(f'  {prefix}{_command()} search "a red flower"')
    say(f"  {prefix}{_command()} index YOUR_VIDEO.mp4")
    try:
        page.start()
        show_page(page)
    except ServerNotReady as error:
        say(f"clipseek: {error}", style="yellow")
    say("Ctrl-C stops it.", style="dim")


def show(client: "Client", clips: Path) -> None:
    """Index the sample library, run the searches, print their best matches and cut them into a folder.

    Raises: ServerFailed: a search did not find its known answer.
    """
    say("\n1. A sample library of seven short videos", style="bold")
    video_ids = _index_samples(client)
    has_words = _read_words(client, video_ids)
    asked = [known for known in KNOWN_ANSWERS if has_words or known.reason == SEEN]
    say("\n2. Searches", style="bold")
    answers = [client.search(known.text, top_k=1, videos=video_ids) for known in asked]
    results = [(known, next(iter(answer.matches), None)) for known, answer in zip(asked, answers, strict=True)]
    _show_results(results)
    say("\n3. Their clips", style="bold")
    _cut_clips(client, results, clips)
    wrong = [known.text for known, match in results if not (match and known.found_by(match))]
    if wrong:
        raise ServerFailed(f"The demo did not find the known answer of: {', '.join(wrong)}.")


def _index_samples(client: "Client") -> list[str]:
    with progress_bar("the sample library") as progress:
        samples = client.add_samples(progress)
    for sample in samples:
        note = "" if sample.frames_added else ", indexed before"
        frames = counted(sample.video.frames, "frame")
        say(f"  {sample.video.title:19} {timestamp(sample.video.duration_seconds)}  {frames}{note}")
    return [sample.video.video_id for sample in samples]


def _read_words(client: "Client", video_ids: Sequence[str]) -> bool:
    """Wait until what is said and written in the samples is read. Returns: whether this install reads all of it."""
    from clipseek.api.endpoints import WORD_READER

    reader = next((component for component in client.health() if component.name == WORD_READER), None)
    if reader is None or not {SPEECH, SCREEN} <= set(reader.facts.get("words", "").split(", ")):
        say("  What is said and written in them is not read here: see docs/words.md")
        return False
    for video_id in video_ids:
        with progress_bar("what is said and written") as progress:
            client.read_words(video_id, progress=progress)
    return True


def _show_results(results: _Results) -> None:
    show_table(
        ("Description", "Video", "Start", "End", "Why", ">Score", "Known answer", "Right"),
        [
            (
                known.text,
                match.title,
                timestamp(match.start_seconds),
                timestamp(match.end_seconds),
                ", ".join(match.reasons),
                f"{match.score:.3f}",
                f"{timestamp(known.start_seconds)} - {timestamp(known.end_seconds)}",
                "yes" if known.found_by(match) else "NO",
            )
            for known, match in results
            if match
        ],
    )


def _cut_clips(client: "Client", results: _Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for known, match in results:
        if match:
            path = folder / f"{known.text.replace(' ', '-')}.mp4"
            say(f"  {client.clip(match.video_id, match.start_seconds, match.end_seconds, path).path}")


def _command() -> str:
    """How to call this command from where the demo was started: by the path of its environment if none is active."""
    local = Path(".venv/bin/clipseek")
    return str(local) if local.exists() and not os.environ.get("VIRTUAL_ENV") else "clipseek"
