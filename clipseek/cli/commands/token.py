"""`clipseek token`: make, list and revoke the tokens of this machine's server."""

import getpass

import click

from clipseek.cli.output import print_json
from clipseek.cli.terminal import say, show_table
from clipseek.config.access import AccessFile
from clipseek.config.libraries import MAIN
from clipseek.config.settings import Settings
from clipseek.machine.audit_log import AuditLog


def _operator() -> str:
    return f"operator {getpass.getuser()}"


@click.group()
def token() -> None:
    """Say who may use the server of this machine (CLIPSEEK_HOME), and what for.

    With the first token every request needs one. Clients, the command line and the page read theirs from
    CLIPSEEK_TOKEN. A running server needs no restart.
    """


@token.command()
@click.argument("name")
@click.option(
    "--library",
    "libraries",
    multiple=True,
    metavar="NAME",
    default=(MAIN,),
    show_default=True,
    help="A library that it opens; may be repeated, the first is used where none is named. It is made when first used.",
)
@click.option(
    "--server-folders",
    is_flag=True,
    help="It may also index videos where they lie on the server, below CLIPSEEK_MEDIA_ROOTS.",
)
def add(name: str, libraries: tuple[str, ...], server_folders: bool) -> None:
    """Make a token for NAME and print it: now and never again."""
    home = Settings.from_env().home
    made = AccessFile(home).add(name, tuple(dict.fromkeys(libraries)), server_folders=server_folders)
    AuditLog(home).write(f"token made for {name}", caller=_operator(), library=" ".join(libraries))
    click.echo(made)
    say("This is shown once. Give it to its holder, who puts it into CLIPSEEK_TOKEN.", style="dim")


@token.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")
def list_(as_json: bool) -> None:
    """List the tokens: whose they are and what they open, not the tokens themselves."""
    access = AccessFile(Settings.from_env().home)
    grants = access.grants()
    if as_json:
        names = ("name", "libraries", "server_folders", "created_at")
        print_json([{name: getattr(grant, name) for name in names} for grant in grants])
        return
    if access.is_open:
        say("There are no tokens: whoever reaches the server may do everything.")
    rows = [(g.name, ", ".join(g.libraries), "yes" if g.server_folders else "no", g.created_at) for g in grants]
    show_table(("Name", "Libraries", "Server folders", "Made"), rows)


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Take the token of NAME back: its next request is refused."""
    home = Settings.from_env().home
    access = AccessFile(home)
    left = access.revoke(name)
    AuditLog(home).write(f"token revoked of {name}", caller=_operator())
    say(f"Revoked the token of {name}.")
    if not left:
        say(f"None is left, so nobody is let in. To open the service to this machine again, remove {access.path}.")
