"""`clipseek health`: whether every part of the server answers."""

import sys
from typing import TYPE_CHECKING

import click

from clipseek.cli.options import json_option, with_client
from clipseek.cli.terminal import print_json, show_table

if TYPE_CHECKING:
    from clipseek.client import Client


@click.command()
@json_option
@with_client
def health(client: "Client", as_json: bool) -> None:
    """Check that every part of the server answers.

    This takes a second; the exit code is 1 if a part does not answer. For containers and scripts that watch the server;
    `clipseek doctor` examines much more.

    \b
      clipseek health || systemctl restart clipseek
    """
    parts = client.health()
    if as_json:
        print_json([{"name": part.name, "ok": part.ok, "warnings": part.warnings} for part in parts])
    else:
        rows = [("ok", part.name, "") if part.ok else ("X", part.name, "\n".join(part.warnings)) for part in parts]
        show_table(("", "What", "Found"), rows)
    if not all(part.ok for part in parts):
        sys.exit(1)
