"""`clipseek doctor` and `health`: examine installation, store and server."""

import sys
from typing import TYPE_CHECKING

import click

from clipseek.cli.options import host_option, json_option, with_client
from clipseek.cli.terminal import print_json, show_table
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings

if TYPE_CHECKING:
    from clipseek.client import Client
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
    """Examine the installation, the store and the server.

    For each problem the command says how to fix it. The exit code is 1 if an error is found, or remains.

    --check proves that nothing in the store is lost or damaged, and changes nothing.

    --repair deletes what can be made again (the index cache, wrong spans, remains of uploads that stopped a day ago or
    earlier), restores lost records of videos, gives spans of an earlier version a checksum, and lists what it did. It
    never deletes a video or a right frame.

    --recall compares what the index finds with all frames of the library, which takes seconds. If the index finds less
    than 0.99 of the nearest frames, the server looks at more of them from then on.

    \b
      clipseek doctor
      clipseek doctor --check
    """
    show_findings(_examine(work, host), as_json=as_json)


def show_findings(findings: "list[Finding]", *, as_json: bool) -> None:
    """Print findings; exit with 1 if one is an error."""
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        rows = [(_SIGNS[f.state], f.what, f.found + (f"\n{f.fix}" if f.fix else "")) for f in findings]
        show_table(("", "What", "Found"), rows)
    if any(finding.state == "error" for finding in findings):
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
