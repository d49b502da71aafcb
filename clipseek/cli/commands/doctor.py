"""`clipseek doctor`: examine installation, store and server."""

import sys
from typing import TYPE_CHECKING

import click

from clipseek.cli.options import host_option, json_option
from clipseek.cli.terminal import print_json, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings

if TYPE_CHECKING:
    from clipseek.upkeep.finding import Finding

_SIGNS = {"ok": "ok", "warning": "!", "error": "X"}


@click.command()
@click.option("--check", "work", flag_value="check", help="Read all of the store: every video, every frame.")
@click.option("--repair", "work", flag_value="repair", help="Repair what --check finds. Stop the server first.")
@click.option(
    "--recall", "work", flag_value="recall", help="Measure how many of the nearest frames the server's index finds."
)
@host_option
@json_option
def doctor(work: str | None, host: str | None, as_json: bool) -> None:
    """Check the installation, the store and the server.

    For each problem the command says how to fix it. The exit code is 1 if an error is found, or remains.

    --check proves that nothing in the store is lost or damaged, and changes nothing.

    --repair deletes what can be made again (the index cache, wrong spans, remains of uploads that stopped a day ago or
    earlier), restores lost records of videos, and lists what it did. It never deletes a video or a right frame.

    --recall compares what the index finds with all frames of the library, which takes seconds. If the index finds less
    than 0.99 of the nearest frames, the server looks at more of them from then on.

    \b
      clipseek doctor
      clipseek doctor --check
    """
    checks = _examine(work, host)
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        rows = [(_SIGNS[c.state], c.what, c.found + (f"\n{c.fix}" if c.fix else "")) for c in checks]
        show_table(("", "What", "Found"), rows)
    if any(check.state == "error" for check in checks):
        sys.exit(1)


def _examine(work: str | None, host: str | None) -> "list[Finding]":
    from clipseek.upkeep.doctor import check_recall, check_store, examine, repair_store

    settings = Settings.from_env()
    if work == "recall":
        return [check_recall(host)]
    if work is None:
        return examine(settings, host)
    check_whole_install(f"doctor --{work}")
    return check_store(settings) if work == "check" else repair_store(settings)
