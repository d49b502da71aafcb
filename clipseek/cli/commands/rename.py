"""`clipseek rename`: give a video another title."""

from typing import TYPE_CHECKING

import click

from clipseek.cli.options import with_client
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.client import Client


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
