"""`clipseek videos`, `rename`, `delete` and `calibrate`: what the library holds, and how its scores are fitted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.formats import clock, counted, duration, escape_hidden, size, timestamp
from clipseek.cli.options import json_option, with_client
from clipseek.cli.terminal import is_interactive, print_json, show_table
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Calibration, Video
    from clipseek.client import Client

_FIELDS = """
    video_id title status duration_seconds width height fps frames frames_per_second sampling size_bytes codec container
    rotation_degrees has_audio first_seconds timecode timecode_rate words cues word_languages word_sources
"""


@click.command()
@click.option(
    "--shots",
    metavar="VIDEO",
    help="List the shots of this video instead (title, id or start of its id). The edges of matches snap to them.",
)
@json_option
@with_client
def videos(client: "Client", shots: str | None, as_json: bool) -> None:
    """List the videos of the library, or the shots of one.

    \b
      clipseek videos
      clipseek videos --shots holiday.mp4
    """
    if shots is not None:
        _show_shots(client.shots(shots), as_json)
        return
    library = client.videos()
    if as_json:
        print_json([_data(video) for video in library])
    elif not library:
        say("The library is empty. Add videos: clipseek index FILE")
    else:
        rows = [
            (
                *(v.video_id[:12], v.title, timestamp(v.duration_seconds), f"{v.width}x{v.height}", str(v.frames)),
                *(v.status, _words(v)),
            )
            for v in library
        ]
        show_table(("ID", "Title", ">Length", ">Size", ">Frames", "Status", "Words"), rows)


def _data(video: "Video") -> dict[str, Any]:
    values = {name: getattr(video, name) for name in _FIELDS.split()}
    return {name: list(value) if isinstance(value, list) else value for name, value in values.items()}


def _words(video: "Video") -> str:
    """The languages of a video's words; "reading" until they are complete, "none" where there are none."""
    if video.words != "read":
        return video.words
    return ", ".join(video.word_languages) or ("on screen" if video.cues else "none")


def _show_shots(shots: list[tuple[float, float]], as_json: bool) -> None:
    if as_json:
        data: list[dict[str, Any]] = [{"start_seconds": start, "end_seconds": end} for start, end in shots]
        print_json(data)
        return
    rows = [
        (str(place), f"{timestamp(start)} - {timestamp(end)}", f"{start:.3f}", f"{end:.3f}", duration(end - start))
        for place, (start, end) in enumerate(shots, 1)
    ]
    show_table((">#", "Shot", ">Start s", ">End s", ">Length"), rows)


@click.command()
@click.argument("name", metavar="VIDEO")
@click.argument("title")
@with_client
def rename(client: "Client", name: str, title: str) -> None:
    """Give a video another title. Its file keeps its name.

    VIDEO is the video's title, its id or the start of its id.

    \b
      clipseek rename IMG_0042.mp4 "Summer at the lake"
    """
    video = client.video(name)
    renamed = client.rename(video.video_id, title)
    say(f"Renamed '{video.title}' to '{renamed.title}' ({video.video_id[:12]}).")


@click.command()
@click.argument("names", metavar="VIDEO...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Delete without asking, e.g. in scripts.")
@with_client
def delete(client: "Client", names: tuple[str, ...], yes: bool) -> None:
    """Delete videos from the library.

    The server's copy goes, and all that the library holds of the video. VIDEO is the video's title, its id or the start
    of its id. A video that was indexed in place (--on-server) keeps its file, and other libraries keep theirs. The
    command says what is lost, and asks. Without a terminal to ask on, it deletes nothing unless you add --yes.

    \b
      clipseek delete holiday.mp4
      clipseek delete 1a2b3c4d 5e6f7a8b --yes
    """
    videos = list({video.video_id: video for video in map(client.video, names)}.values())
    if not yes:
        _ask_before_deleting(videos)
    for video in videos:
        client.delete(video.video_id)
        say(f"Deleted '{video.title}' ({video.video_id[:12]}).")


def _ask_before_deleting(videos: "Sequence[Video]") -> None:
    """Raises: Abort: the answer is no. UsageError: there is nobody to ask."""
    title = escape_hidden(videos[0].title)
    subject, their, they = f"'{title}'", "its", "it was"
    if len(videos) > 1:
        subject, their, they = f"these {len(videos)} videos", "their", "they were"
    if not is_interactive():
        raise click.UsageError(f"There is no terminal to ask on. To delete {subject}, add --yes.")
    if len(videos) > 1:
        for video in videos:
            say(f"  '{video.title}': {size(video.size_bytes)}, {_index_size([video])}")
    files = f"{their} file{'s' if len(videos) > 1 else ''} on the server"
    click.confirm(
        f"Delete {subject}? You lose {files} ({size(sum(video.size_bytes for video in videos))}, unless {they} indexed "
        f"in place) and {their} index ({_index_size(videos)}). This cannot be undone.",
        abort=True,
        err=True,
    )


def _index_size(videos: "Sequence[Video]") -> str:
    seconds, frames = sum(video.duration_seconds for video in videos), sum(video.frames for video in videos)
    return f"{clock(seconds)}, {counted(frames, 'frame')}"


@click.command()
@click.option(
    "--answered",
    "answered_share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="Share of neutral descriptions that may still find a match. Less makes matches rarer.",
)
@click.option("--reset", is_flag=True, help="Go back to the model's own scale.")
@json_option
@with_client
def calibrate(client: "Client", answered_share: float, reset: bool, as_json: bool) -> None:
    """Fit the scores to this library.

    A match counts from score 0.5. The model's own scale is a compromise for all libraries. This searches for a hundred
    ordinary things that few libraries contain, and shifts all scores so that hardly any of them reaches 0.5. Run it
    again after the library has changed much.

    \b
      clipseek calibrate
      clipseek calibrate --answered 0.05
      clipseek calibrate --reset
    """
    calibration = client.calibrate(answered_share, reset=reset)
    if as_json:
        names = ("shift", "phrase_count", "answered_before", "answered", "at_bound")
        print_json({name: getattr(calibration, name) for name in names})
    elif reset:
        say("The scores follow the model's own scale again.")
    else:
        say(calibration_sentence(calibration))


def calibration_sentence(calibration: "Calibration") -> str:
    """How far a calibration came, and whether it could not go as far as it was asked to."""
    found = f"{calibration.answered} of {calibration.phrase_count} neutral descriptions"
    found += " still find a match: the cut-off is at its bound" if calibration.at_bound else " now find a match"
    return (
        f"{found}. Before: {calibration.answered_before}. Scores shifted by {-calibration.shift:+.2f} of relevance (1 "
        "is the distance from the background to a right frame)."
    )
