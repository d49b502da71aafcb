"""`clipseek clip` and `open`: cut a piece of a video into a file, or watch it."""

import contextlib
import sys
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipseek.api.formats import size, timestamp
from clipseek.cli.answers import match_cells, say_notes
from clipseek.cli.options import Time, json_option, with_client
from clipseek.cli.terminal import is_interactive, print_json
from clipseek.config.settings import Settings
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.client import Client

_COPIED_SUFFIX = ".mkv"  # of a copy whose streams do not fit into MP4
_OPENED_CLIP_SECONDS = 24 * 3600.0  # a clip that was opened stays for a day: a player may still show it


@click.command(context_settings={"ignore_unknown_options": True})  # so that -1 is read as a time, and refused as one
@click.argument("name", metavar="VIDEO")
@click.argument("start_seconds", metavar="START", type=Time())
@click.argument("end_seconds", metavar="END", type=Time())
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; .mp4, .mov, .mkv, .webm, .gif, .mp3 or .wav decides the format. [default: title and times, in "
    "the current folder, as .mp4]",
)
@click.option(
    "--no-extras", is_flag=True, help="Keep the main sound only: no other languages, no subtitles, no chapters."
)
@click.option("--force", "-f", is_flag=True, help="Overwrite the file if it exists.")
@click.option(
    "--copy",
    is_flag=True,
    help="Copy instead of re-encoding, if the format allows it: fast, but starts at the keyframe at or before START.",
)
@json_option
@with_client
def clip(
    client: "Client",
    name: str,
    start_seconds: float,
    end_seconds: float,
    output: Path | None,
    no_extras: bool,
    force: bool,
    copy: bool,
    as_json: bool,
) -> None:
    """Cut START to END of a video into a file.

    The file plays everywhere, with all sounds, subtitles and chapters of the video. VIDEO is the video's title, its id
    or the start of its id. START and END are seconds (75.2), or times as `clipseek search` prints them (01:15.2), so
    that a match can be copied from its table; the cut is exact to the frame.

    \b
      clipseek clip holiday.mp4 01:15.2 01:18.0
      clipseek clip holiday.mp4 75.2 78 -o dog.mp4
      clipseek clip holiday.mp4 75.2 78 -o dog.gif
    """
    check_range(start_seconds, end_seconds)
    suffixes = (".mp4", _COPIED_SUFFIX) if copy else (".mp4",)
    if output is None:
        from clipseek.client.download import clip_file_name

        title = client.video(name).title
        output = free_path(Path(clip_file_name(title, start_seconds, end_seconds)), suffixes)
    elif not force:
        may_change = copy and output.suffix.lower() == ".mp4"
        check_overwriting([output, output.with_suffix(_COPIED_SUFFIX)] if may_change else [output])
    mode = "copy" if copy else "exact"
    saved = client.clip(name, start_seconds, end_seconds, output, mode=mode, extras=not no_extras)
    if as_json:
        print_json(vars(saved) | {"path": str(saved.path)})
        return
    times = f"{timestamp(saved.start_seconds)} - {timestamp(saved.end_seconds)}"
    reason = "" if saved.path.suffix == output.suffix else f" Its streams do not fit into a '{output.suffix}' file."
    say(f"Wrote {saved.path} ({times}, {size(saved.size_bytes)}).{reason}")


def check_range(start_seconds: float, end_seconds: float) -> None:
    """Raises: UsageError: START is below 0, or END is not later than START."""
    if start_seconds < 0:
        raise click.UsageError(f"START must be 0 or later, not {start_seconds:g}.")
    if end_seconds <= start_seconds:
        raise click.UsageError(f"END ({timestamp(end_seconds)}) must be later than START ({timestamp(start_seconds)}).")


def free_path(path: Path, suffixes: Iterable[str]) -> Path:
    """The path, or the next one numbered ` (2)`, ` (3)`, ... that is free with all of the suffixes."""
    for number in count(1):
        candidate = path.with_stem(f"{path.stem} ({number})") if number > 1 else path
        if not any(candidate.with_suffix(suffix).exists() for suffix in suffixes):
            return candidate
    raise AssertionError("the loop returns")


def check_overwriting(paths: Iterable[Path]) -> None:
    """Ask before a file is overwritten. Raises: Abort: the answer is no. UsageError: there is nobody to ask."""
    for path in paths:
        if not path.is_file():
            continue
        if not is_interactive():
            raise click.UsageError(f"'{path}' exists already. Add --force to overwrite it, or choose another name.")
        click.confirm(f"'{path}' exists already. Overwrite it?", abort=True, err=True)


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

    That is the best match for a description, or START to END of a video. If nothing matches, the nearest weaker
    candidate is opened. Put TEXT in quotes. The clip is cut into the cache folder and deleted after a day; to keep one,
    use `clipseek clip`.

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
    answer = client.search(text, top_k=1, offset=number - 1, weaker=1, videos=[video] if video else [])
    if answer.weaker_matches:
        say_notes(answer)
        start, end, _, score = match_cells(answer.weaker_matches[0])
        say(f"{answer.weaker_matches[0].title}, {start} - {end}, score {score}")
    for best in [*answer.matches, *answer.weaker_matches]:
        return best.video_id, best.start_seconds, best.end_seconds
    if answer.nothing_matches and answer.withheld:  # the server adds weaker candidates to the first match only
        say("No moment clearly matches. Leave out --match to open the nearest one.")
    elif answer.nothing_matches or not answer.videos_searched:
        say_notes(answer)
    else:
        say(f"There are fewer than {number} matches. Lower --match.")
    return sys.exit(1)


def _cut(client: "Client", name: str, start_seconds: float, end_seconds: float) -> Path:
    from clipseek.client.download import clip_file_name

    video = client.video(name)
    folder = Settings.from_env().cache / "opened"
    _remove_old(folder)
    path = folder / video.video_id[:12] / clip_file_name(video.title, start_seconds, end_seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    return client.clip(video.video_id, start_seconds, end_seconds, path).path


def _remove_old(folder: Path) -> None:
    oldest = time.time() - _OPENED_CLIP_SECONDS
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):  # another `clipseek open` removes them, too
            if path.stat().st_mtime < oldest:
                path.unlink()
    for subfolder in folder.glob("*"):
        with contextlib.suppress(OSError):  # not empty
            subfolder.rmdir()
