"""`clipseek open`: watch a match in the system's video player."""

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipseek.cli.answers import say_notes
from clipseek.cli.commands.clip import check_range
from clipseek.cli.options import Time, with_client
from clipseek.config.settings import Settings
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.client import Client

_KEPT_SECONDS = 24 * 3600.0  # a clip that was opened stays for a day: a player may still show it


@click.command(name="open", options_metavar='[OPTIONS] "TEXT" | VIDEO START END')
@click.argument("words", nargs=-1, required=True, metavar="")
@click.option(
    "--match",
    "-m",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Which match of TEXT to open, 1 is the best.",
)
@click.option("--video", "-i", metavar="VIDEO", help="Search TEXT in this video only.")
@click.option("--print", "only_print", is_flag=True, help="Print the path of the clip instead of opening it.")
@with_client
def open_match(client: "Client", words: tuple[str, ...], match: int, video: str | None, only_print: bool) -> None:
    """Open a match in the system's video player.

    That is the best match for a description, or START to END of a video. Put TEXT in quotes. The clip is cut into the
    cache folder and deleted after a day; to keep one, use `clipseek clip`.

    \b
      clipseek open "a dog jumps into a lake"
      clipseek open "a dog jumps into a lake" --match 2
      clipseek open holiday.mp4 01:15.2 01:18.0
    """
    if len(words) == 3:
        name, start_seconds, end_seconds = words[0], *(_parse_time(word) for word in words[1:])
        check_range(start_seconds, end_seconds)
    elif len(words) == 1:
        name, start_seconds, end_seconds = _find_match(client, words[0], match, video)
    else:
        raise click.UsageError('Give a description in quotes, or VIDEO START END: clipseek open "a red car"')
    path = _cut(client, name, start_seconds, end_seconds)
    if only_print:
        click.echo(path)
    elif click.launch(str(path), wait=sys.platform == "linux"):  # xdg-open ends at once, and says if it failed
        say(f"clipseek: No program opened the clip. It is in {path}", style="red")
        sys.exit(1)
    else:
        say(f"Opened {path}")


def _parse_time(word: str) -> float:
    try:
        return Time().convert(word, None, None)
    except click.BadParameter as error:
        raise click.UsageError(f"{error.message} A description must be in quotes.") from error


def _find_match(client: "Client", text: str, number: int, video: str | None) -> tuple[str, float, float]:
    answer = client.search(text, top_k=1, offset=number - 1, videos=[video] if video else [])
    if answer.matches:
        best = answer.matches[0]
        return best.video_id, best.start_seconds, best.end_seconds
    if answer.nothing_matches or not answer.videos_searched:
        say_notes(answer)
    else:
        say(f"There are fewer than {number} matches. Lower --match.")
    return sys.exit(1)


def _cut(client: "Client", name: str, start_seconds: float, end_seconds: float) -> Path:
    """Cut the clip into the cache folder, from which old ones are removed."""
    from clipseek.client.download import clip_file_name

    video = client.video(name)
    folder = Settings.from_env().cache / "opened"
    _remove_old(folder)
    path = folder / video.video_id[:12] / clip_file_name(video.title, start_seconds, end_seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    return client.clip(video.video_id, start_seconds, end_seconds, path).path


def _remove_old(folder: Path) -> None:
    oldest = time.time() - _KEPT_SECONDS
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):  # another `clipseek open` removes them, too
            if path.stat().st_mtime < oldest:
                path.unlink()
    for subfolder in folder.glob("*"):
        with contextlib.suppress(OSError):  # not empty
            subfolder.rmdir()
