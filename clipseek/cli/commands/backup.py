"""`clipseek backup`: copy the store of this machine's server."""

from pathlib import Path

import click

from clipseek.api.formats import size
from clipseek.cli.output import print_json
from clipseek.cli.terminal import progress_bar, say, show_table
from clipseek.config.settings import Settings
from clipseek.upkeep.backup import back_up


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")
def backup(folder: Path, as_json: bool) -> None:
    """Copy the store (CLIPSEEK_HOME) into FOLDER, or bring an earlier copy there up to date. The server may go on.

    Copied are all libraries: databases, uploaded videos, tokens and the audit log. Videos that lie elsewhere (indexed
    with --on-server, or kept at CLIPSEEK_MEDIA) are not, nor what is made anew by itself. Videos that were deleted since
    an earlier copy stay in it. To restore, stop the server and put FOLDER in the place of the store; to look into it:
    CLIPSEEK_HOME=FOLDER clipseek doctor --check
    """
    settings = Settings.from_env()
    with progress_bar(str(folder)) as step:
        done = back_up(settings, folder, step)
    if as_json:
        print_json([vars(each) for each in done])
        return
    show_table(
        ("Library", ">Databases", ">Videos", ">of these new", ">Size"),
        [
            (each.library, str(each.databases), str(each.videos), str(each.copied_videos), size(each.copied_bytes))
            for each in done
        ],
    )
    if settings.media:
        say("The videos at CLIPSEEK_MEDIA need a backup of their own.", style="yellow")
