"""`clipseek reshard`: divide the store of this machine's server into another number of shards."""

import click

from clipseek.api.errors import StoreError
from clipseek.cli.options import json_option
from clipseek.cli.terminal import print_json, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module
from clipseek.machine.talk import say


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
