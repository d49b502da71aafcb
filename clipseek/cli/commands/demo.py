"""The demonstration: a sample library, three searches whose right answers are known, and the clips they lead to."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clipseek.api.documents import Component, Match
from clipseek.api.errors import ServerFailed, ServerNotReady
from clipseek.api.formats import timestamp
from clipseek.cli.terminal import progress_bar, say, show_table
from clipseek.client import Client
from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port, is_port_free
from clipseek.service.page import Page, show_page
from clipseek.service.run import serve


@dataclass(frozen=True)
class KnownAnswer:
    """A description, and the moment `[start, end)` of the sample video in which it is seen."""

    text: str
    title: str
    start_seconds: float
    end_seconds: float

    def found_by(self, match: Match) -> bool:
        """Whether the middle of a match lies inside the true moment."""
        middle = (match.start_seconds + match.end_seconds) / 2
        return match.title == self.title and self.start_seconds <= middle < self.end_seconds


KNOWN_ANSWERS = (
    KnownAnswer("a cup of coffee", "photographs.mp4", 8.0, 12.0),
    KnownAnswer("a temple", "photographs.mp4", 16.0, 20.0),
    KnownAnswer("a green meadow with trees", "bigbuckbunny.mp4", 0.0, 5.28),
)


def run_demo(
    settings: Settings, clips: Path, *, stop: bool, when_ready: Callable[[Settings, list[Component]], None]
) -> None:
    """Serve, show the demonstration, then go on serving until Ctrl-C unless `stop`.

    Raises:
        ServerFailed: a search did not find its known answer.
    """
    if not is_port_free(settings.bind, settings.port):
        taken, settings = settings.port, replace(settings, port=free_port(settings.bind))
        say(f"Port {taken} is taken, so the demo listens on {settings.port}.")
    say("Starting ... (the first time, the starter model is built: about half a minute)", style="dim")

    host = settings.local_host
    with Page(settings, host) as page:

        def ready(components: list[Component]) -> bool:
            when_ready(settings, components)
            with Client(host) as client:
                show(client, clips)
            if not stop:
                _show_ways_on(settings, host, page)
            return not stop

        serve(settings, ready)


def _show_ways_on(settings: Settings, host: str, page: Page) -> None:
    prefix = "" if settings.port == Settings(settings.home, settings.cache).port else f"CLIPSEEK_HOST={host} "
    say("\nThe service goes on. In another terminal:", style="bold")
    say(f'  {prefix}{_command()} search "a cat"')
    say(f"  {prefix}{_command()} index YOUR_VIDEO.mp4")
    try:
        page.start()
        show_page(page)
    except ServerNotReady as error:
        say(f"clipseek: {error}", style="yellow")
    say("Ctrl-C stops it.", style="dim")


def show(client: Client, clips: Path) -> None:
    """Index the sample library, run the searches, print their best matches and cut them out into a folder."""
    say("\n1. A sample library of videos and photographs", style="bold")
    with progress_bar("the sample library") as progress:
        videos = client.add_samples(progress)
    for video in videos:
        what = f"{video.video.frames} frames" + ("" if video.frames_added else ", indexed before")
        say(f"  {video.video.title:18} {timestamp(video.video.duration_seconds)}  {what}")

    say("\n2. Three searches", style="bold")
    names = [video.video.video_id for video in videos]
    found = [(known, client.search(known.text, top_k=1, videos=names).matches) for known in KNOWN_ANSWERS]
    rows = []
    for known, matches in found:
        for match in matches[:1]:
            moment = f"{timestamp(match.start_seconds)} - {timestamp(match.end_seconds)}"
            truth = f"{timestamp(known.start_seconds)} - {timestamp(known.end_seconds)}"
            rows.append(
                (known.text, match.title, moment, f"{match.score:.3f}", truth, "yes" if known.found_by(match) else "NO")
            )
    show_table(("Description", "Video", "Moment", ">Score", "Truth", "Right"), rows)

    say("\n3. Their clips", style="bold")
    clips.mkdir(parents=True, exist_ok=True)
    for known, matches in found:
        for match in matches[:1]:
            path = clips / f"{known.text.replace(' ', '-')}.mp4"
            saved = client.clip(match.video_id, match.start_seconds, match.end_seconds, path)
            say(f"  {saved.path}")
    wrong = [known.text for known, matches in found if not (matches and known.found_by(matches[0]))]
    if wrong:
        raise ServerFailed(f"The demo did not find the known answer of: {', '.join(wrong)}.")


def _command() -> str:
    """How the reader of the demo's output can call this command: by the path of the environment it runs in."""
    local = Path(".venv/bin/clipseek")
    return str(local) if local.exists() and not os.environ.get("VIRTUAL_ENV") else "clipseek"
