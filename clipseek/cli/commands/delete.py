"""`clipseek delete`: delete a video from the library."""

from typing import TYPE_CHECKING

import click

from clipseek.api.formats import clock, counted
from clipseek.cli.options import with_client
from clipseek.cli.terminal import is_interactive
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.client import Client


@click.command()
@click.argument("name", metavar="VIDEO")
@click.option("--yes", "-y", is_flag=True, help="Delete without asking, e.g. in scripts.")
@with_client
def delete(client: "Client", name: str, yes: bool) -> None:
    """Delete a video from the library.

    The server's copy goes, and all that the library holds of the video. VIDEO is the video's title, its id or the start
    of its id. A video that was indexed in place (--on-server) keeps its file.

    \b
      clipseek delete holiday.mp4
      clipseek delete 1a2b3c4d --yes
    """
    video = client.video(name)
    if not yes:
        if not is_interactive():
            raise click.UsageError(f"There is no terminal to ask on. To delete '{video.title}', add --yes.")
        length = f"{clock(video.duration_seconds)}, {counted(video.frames, 'frame')}"
        question = f"Delete '{video.title}' ({length}) from the library? This cannot be undone."
        click.confirm(question, abort=True, err=True)
    client.delete(video.video_id)
    say(f"Deleted '{video.title}' ({video.video_id[:12]}).")
