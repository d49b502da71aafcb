"""`clipseek backup`: copy the store of this machine's server."""

from pathlib import Path

import click

from clipseek.api.formats import size
from clipseek.cli.options import json_option
from clipseek.cli.terminal import print_json, progress_bar, show_table
from clipseek.config.settings import Settings
from clipseek.machine.talk import say


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def backup(folder: Path, as_json: bool) -> None:
    """Copy the store into FOLDER; the server may keep running.

    An earlier copy in FOLDER is updated. The copy has all libraries: databases, uploaded videos, tokens and the audit
    log. It leaves out videos that lie elsewhere (indexed with --on-server, or kept at CLIPSEEK_MEDIA) and what the
    server makes again by itself. Videos deleted since an earlier copy stay in it. To restore, stop the server and put
    FOLDER in the place of the store. To check a copy: CLIPSEEK_HOME=FOLDER clipseek doctor --check

    \b
      clipseek backup /mnt/backup/clipseek
    """
    from clipseek.upkeep.backup import back_up

    settings = Settings.from_env()
    with progress_bar(str(folder)) as step:
        libraries = back_up(settings, folder, step)
    if as_json:
        print_json([vars(library) for library in libraries])
        return
    show_table(
        ("Library", ">Databases", ">Videos", ">of these new", ">Size"),
        [
            (row.library, str(row.databases), str(row.videos), str(row.copied_videos), size(row.copied_bytes))
            for row in libraries
        ],
    )
    if settings.media:
        say("The videos at CLIPSEEK_MEDIA need a backup of their own.", style="yellow")
