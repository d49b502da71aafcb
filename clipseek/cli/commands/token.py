"""`clipseek token`: make, list and revoke the tokens of this machine's server."""

import getpass

import click

from clipseek.cli.options import json_option
from clipseek.cli.terminal import is_interactive, print_json, show_table
from clipseek.config.libraries import MAIN
from clipseek.config.settings import Settings
from clipseek.machine.talk import say


def _operator() -> str:
    return f"operator {getpass.getuser()}"


@click.group()
def token() -> None:
    """Manage who may use the server of this machine.

    From the first token on, every request needs one. Clients, the command line and the page read theirs from
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
    help="A library that the token opens. May be repeated; the first is the default. A new library is made on first "
    "use.",
)
@click.option(
    "--server-folders",
    is_flag=True,
    help="Also allow indexing videos in place on the server, below CLIPSEEK_MEDIA_ROOTS.",
)
def add(name: str, libraries: tuple[str, ...], server_folders: bool) -> None:
    """Make a token for NAME and print it. It is shown only once.

    \b
      clipseek token add alice
      clipseek token add bob --library talks --library main
    """
    from clipseek.config.access import AccessFile
    from clipseek.machine.audit_log import AuditLog

    settings = Settings.from_env()
    secret = AccessFile(settings.home).add(name, tuple(dict.fromkeys(libraries)), server_folders=server_folders)
    AuditLog(settings.home, settings.audit_days).write(
        f"token made for {name}", caller=_operator(), library=" ".join(libraries)
    )
    click.echo(secret)
    say(f"This is shown only once. Give it to {name}, to be set as CLIPSEEK_TOKEN.", style="dim")


@token.command(name="list")
@json_option
def list_tokens(as_json: bool) -> None:
    """List who has a token, and what it opens.

    \b
      clipseek token list
    """
    from clipseek.config.access import AccessFile

    access = AccessFile(Settings.from_env().home)
    grants = access.grants()
    if as_json:
        names = ("name", "libraries", "server_folders", "created_at")
        print_json([{name: getattr(grant, name) for name in names} for grant in grants])
        return
    if access.is_open:
        say("There are no tokens: anyone who reaches the server may do everything.")
    rows = [(g.name, ", ".join(g.libraries), "yes" if g.server_folders else "no", g.created_at) for g in grants]
    if rows:
        show_table(("Name", "Libraries", "Server folders", "Made"), rows)


@token.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Revoke without asking.")
def revoke(name: str, yes: bool) -> None:
    """Revoke the token of NAME: its next request is refused.

    Before the last token it asks, because the server then refuses everyone. A script revokes it at once.

    \b
      clipseek token revoke alice
    """
    from clipseek.config.access import AccessFile
    from clipseek.machine.audit_log import AuditLog

    settings = Settings.from_env()
    access = AccessFile(settings.home)
    if not yes and is_interactive() and [grant.name for grant in access.grants()] == [name]:
        click.confirm(
            f"'{name}' is the last token. Without it the server refuses everyone. Revoke it?", abort=True, err=True
        )
    remaining = access.revoke(name)
    AuditLog(settings.home, settings.audit_days).write(f"token revoked of {name}", caller=_operator())
    say(f"Revoked the token of {name}.")
    if not remaining:
        say(f"It was the last token, so the server refuses everyone. To open it to this machine, remove {access.path}.")
