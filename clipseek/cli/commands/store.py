"""`clipseek backup` and `store copy`: copies of the store of this machine's server."""

import json
from pathlib import Path

import click

from clipseek.api.errors import StoreError
from clipseek.api.formats import size
from clipseek.cli.commands.doctor import show_findings
from clipseek.cli.options import json_option
from clipseek.cli.terminal import print_json, progress_bar, show_table
from clipseek.config import parsing
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
    the server makes again by itself. A store in PostgreSQL needs a dump of its own.

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
    if settings.store:
        say("The database in PostgreSQL is not in the copy. Dump it: pg_dump, see docs/faults.md.", style="yellow")
    if settings.media:
        say("The videos at CLIPSEEK_MEDIA need a backup of their own.", style="yellow")


@click.group()
def store() -> None:
    """Move the store between SQLite and PostgreSQL."""


@store.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--library", "libraries", multiple=True, metavar="NAME", help="Copy only this library. May be repeated.")
@json_option
def copy_store(source: str, target: str, libraries: tuple[str, ...], as_json: bool) -> None:
    """Copy the index of FROM to TO, and compare every span after.

    Each is a folder (CLIPSEEK_HOME of a server) or the URL of a PostgreSQL database. Stop the servers first. Videos,
    tokens and the audit log stay where they are. FROM is not changed. If the command is interrupted, run it again: it
    continues. TO may hold no other videos.

    Earlier versions could divide a store into `shards-N`. To join it, give its folder twice.

    CLIPSEEK_STORE_PASSWORD is the password for the URLs.

    \b
      clipseek store copy /data/clipseek postgresql://clipseek@db.example/clipseek
      clipseek store copy /data/clipseek /data/clipseek
    """
    check_whole_install("store copy")
    from clipseek.config.store_files import read_store_password

    settings = Settings.from_env()
    places = [text if parsing.is_url(text) else str(parsing.folder("", text)) for text in (source, target)]
    for text in places:
        if parsing.is_url(text):
            parsing.database_url("A store", text)
    arguments = {
        "source": places[0],
        "target": places[1],
        "libraries": libraries,
        "password": read_store_password(settings),
    }
    copied = call_module(
        "executors.faiss_indexer.store.copying",
        failure=_copying_failed,
        stdin=json.dumps(arguments),
        shows_progress=True,
    )
    if as_json:
        print_json(copied)
        return
    show_table(
        ("Library", ">Videos", ">of these copied", ">Spans", ">Frames"),
        [
            tuple(str(library[key]) for key in ("library", "videos", "copied_videos", "spans", "frames"))
            for library in copied
        ],
    )
    if places[0] == places[1]:
        say("The store is joined. Delete `shards-N.joined` once searches find what they should.")
        return
    setting = (
        f"CLIPSEEK_STORE={target}" if parsing.is_url(target) else f"CLIPSEEK_HOME={target} and without CLIPSEEK_STORE"
    )
    say(f"All spans are equal. Start the server with {setting}.")
    say("The videos were not copied: they stay in `media` of the store's folder, or at CLIPSEEK_MEDIA.", style="yellow")


def _copying_failed(reason: str) -> StoreError:
    return StoreError(f"The store could not be copied: {reason}. FROM is as it was; run the command again.")
