"""`clipseek videos`: list the library, or the shots of one video."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.formats import duration, timestamp
from clipseek.cli.options import json_option, with_client
from clipseek.cli.terminal import print_json, show_table
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Video
    from clipseek.client import Client

_FIELDS = (
    "video_id",
    "title",
    "status",
    "duration_seconds",
    "width",
    "height",
    "fps",
    "frames",
    "frames_per_second",
    "sampling",
    "size_bytes",
    "codec",
    "container",
    "rotation_degrees",
    "has_audio",
)


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
        print_json([{name: getattr(video, name) for name in _FIELDS} for video in library])
    else:
        _show_videos(library)


def _show_videos(library: "Sequence[Video]") -> None:
    if not library:
        say("The library is empty. Add videos: clipseek index FILE")
        return
    show_table(
        ("ID", "Title", ">Length", ">Size", ">Frames", "Status"),
        [
            (
                video.video_id[:12],
                video.title,
                timestamp(video.duration_seconds),
                f"{video.width}x{video.height}",
                str(video.frames),
                video.status,
            )
            for video in library
        ],
    )


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
