"""`clipseek backup` and `reshard`: copy or divide the store of this machine's server."""

from pathlib import Path

import click

from clipseek.api.errors import StoreError
from clipseek.api.formats import size
from clipseek.cli.options import json_option
from clipseek.cli.terminal import print_json, progress_bar, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
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


@click.command()
@click.argument("shards", type=click.IntRange(min=1))
@json_option
def reshard(shards: int, as_json: bool) -> None:
    """Divide the store into SHARDS shards; 1 is undivided.

    Stop the server first. Use it if one process searches too slowly, or cannot hold the index in its memory. All
    libraries are divided; nothing is indexed again. It can be interrupted and run again; until it is finished, it needs
    twice the disk space of the index. Then start the server with CLIPSEEK_SHARDS set to the same number.

    \b
      clipseek reshard 4
      CLIPSEEK_SHARDS=4 clipseek serve
    """
    check_whole_install("reshard")
    home = Settings.from_env().home

    def failure(reason: str) -> StoreError:
        return StoreError(f"The store {home} could not be divided: {reason}. Nothing is lost; run the command again.")

    libraries = call_module("executors.faiss_indexer.shards.resharding", str(home), str(shards), failure=failure)
    if as_json:
        print_json(libraries)
        return
    show_table(
        ("Library", "Shards before", "now", "Videos", "Frames"),
        [tuple(str(value) for value in library.values()) for library in libraries],
    )
    say(f"Start the server with CLIPSEEK_SHARDS={shards}." if libraries else f"{home} is empty: nothing to divide.")
