"""`clipseek reshard`: divide the store of this machine's server anew."""

import click

from clipseek.api.errors import StoreError
from clipseek.cli.output import print_json
from clipseek.cli.terminal import say, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine.module_call import call_module


@click.command()
@click.argument("shards", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")
def reshard(shards: int, as_json: bool) -> None:
    """Divide the store (CLIPSEEK_HOME) into SHARDS parts; 1 is undivided. The server must be stopped.

    Worth it where one process does not search fast enough, or does not hold the index in its memory. All libraries are
    divided, nothing is indexed anew. It may be broken off and run again; until it has ended, twice the room of the
    index is needed. Then start the server with CLIPSEEK_SHARDS set to the same number.
    """
    check_whole_install("reshard")
    home = Settings.from_env().home

    def failure(why: str) -> StoreError:
        return StoreError(f"The store {home} could not be divided anew: {why}. Nothing is lost; repeat it.")

    told = call_module("executors.faiss_indexer.shards.resharding", str(home), str(shards), failure=failure)
    if as_json:
        print_json(told)
        return
    show_table(
        ("Library", "Shards before", "now", "Videos", "Frames"),
        [tuple(str(value) for value in each.values()) for each in told],
    )
    say(f"Start the server with CLIPSEEK_SHARDS={shards}." if told else f"{home} is empty: there is nothing to divide.")
