"""`clipseek backup` and `reshard`: copy or divide the store of this machine's server."""

from pathlib import Path

import click

from clipseek.api.errors import StoreError
from clipseek.api.formats import size
from clipseek.cli.commands.doctor import show_findings
from clipseek.cli.options import json_option
from clipseek.cli.terminal import print_json, progress_bar, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
from clipseek.machine.talk import say
from clipseek.upkeep import KEEP_COPIES


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=KEEP_COPIES,
    help=f"How many copies stay; older ones are removed. [default: {KEEP_COPIES}]",
)
@click.option(
    "--anyway",
    is_flag=True,
    help="Back up even if the newest copy is of another store, or has videos and the store has none.",
)
@click.option("--verify", "is_check", is_flag=True, help="Make no copy. Read all of the newest one and report damage.")
@click.option("--copy", "name", metavar="NAME", default="", help="With --verify: another copy, by its name.")
@json_option
def backup(folder: Path, keep: int, anyway: bool, is_check: bool, name: str, as_json: bool) -> None:
    """Copy the store into FOLDER; the server may keep running.

    Each copy is a dated folder in FOLDER, complete, and can take the place of the store. Videos that the copy before
    has take no more space: they are hard links. A copy has all libraries: databases, uploaded videos, tokens and the
    audit log. It leaves out videos that are elsewhere (indexed with --on-server, or kept at CLIPSEEK_MEDIA) and what
    the server makes again by itself.

    \b
      clipseek backup /mnt/backup/clipseek
      clipseek backup /mnt/backup/clipseek --verify
    """
    check_whole_install("backup")
    from clipseek.upkeep.backup import back_up, verify

    settings = Settings.from_env()
    if name and not is_check:
        raise click.UsageError("--copy goes with --verify.")
    if is_check:
        show_findings(verify(settings, folder, name), as_json=as_json)
        return
    with progress_bar(str(folder)) as step:
        libraries = back_up(settings, folder, step, keep=keep, anyway=anyway)
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
    say(f"The copy is {libraries[0].copy}.")
    if any(row.unlinked_videos for row in libraries):
        say(f"{folder} cannot link files, so each copy takes the space of all videos.", style="yellow")
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
