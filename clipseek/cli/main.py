"""The command `clipseek`, the group of all commands.

Data goes to stdout, messages and progress bars to stderr. Exit codes: 0, 1 (failed), 2 (called wrongly).
"""

import logging
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from clipseek import __version__
from clipseek.api.errors import ClipSeekError
from clipseek.cli.commands.clip import clip, open_match
from clipseek.cli.commands.compat import compat
from clipseek.cli.commands.demo import demo
from clipseek.cli.commands.doctor import doctor, health
from clipseek.cli.commands.eval import evaluate
from clipseek.cli.commands.export import export
from clipseek.cli.commands.index import index
from clipseek.cli.commands.jobs import jobs
from clipseek.cli.commands.library import calibrate, delete, rename, videos
from clipseek.cli.commands.model import model
from clipseek.cli.commands.search import search, timeline
from clipseek.cli.commands.serve import serve
from clipseek.cli.commands.store import backup, store
from clipseek.cli.commands.token import token
from clipseek.cli.commands.watch import watch
from clipseek.cli.commands.words import transcript, words
from clipseek.machine.logs import PlainRecord
from clipseek.machine.private_files import make_private_from_now_on
from clipseek.machine.talk import say


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for Tab completion in SHELL: bash, zsh or fish.

    It completes commands and options. Save it where the shell looks for such scripts, then open a new shell:

    \b
      clipseek completion bash > ~/.local/share/bash-completion/completions/clipseek
      clipseek completion zsh > "${fpath[1]}/_clipseek"
      clipseek completion fish > ~/.config/fish/completions/clipseek.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click completes all three shells"
    click.echo(kind(context.find_root().command, {}, "clipseek", "_CLIPSEEK_COMPLETE").source())


_SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Search": (search, open_match, clip, export, timeline, transcript),
    "Library": (index, words, jobs, videos, rename, delete, watch, calibrate, evaluate),
    "Server": (serve, demo, health, doctor, token, backup, store, model, compat),
    "Shell": (completion,),
}

_SAVING_COMMANDS = {
    "clip",
    "demo",
    "export",
    "transcript",
}  # they save files where the user wants them, with the rights that the user gives files


class _Group(click.Group):
    """Lists the commands by section, and turns ClipSeek's errors into a line on stderr and an exit code."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's)
        widest = max(map(len, self.commands))
        for section, commands in _SECTIONS.items():
            with formatter.section(section):
                limit = formatter.width - 6 - widest
                rows = [(command.name or "", command.get_short_help_str(limit)) for command in commands]
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClipSeekError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            say(f"clipseek: {in_words_of(command, str(error))}", style="red")
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (kept open to the end: stdout has no reader any more)
            ctx.exit(1)


def in_words_of(command: click.Command | None, message: str) -> str:
    """The message with the options that a user types, in place of the names that the Python client has for them.

    Options carry the client's name as their own: `--min-score` is `least_score`. Only names with an underscore are
    replaced, as others may be words of the sentence.
    """
    typed = {option.name: _as_typed(option) for option in (command.params if command else ()) if option.name}
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda match: typed.get(match[0], match[0]), message)


def _as_typed(option: click.Parameter) -> str:
    if isinstance(option, click.Argument):
        return option.metavar or option.opts[0].upper()
    return max(option.opts, key=len)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="clipseek")
@click.option("-v", "--verbose", is_flag=True, help="Print more about what happens, on stderr.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """Search inside videos: describe what you want to see, get the exact moments, cut them out.

    \b
    Start the service in one terminal:    clipseek serve
    Add videos, from another terminal:    clipseek index holiday.mp4 ~/Videos
    Search:                               clipseek search "a dog jumps into a lake"
    Watch the best match:                 clipseek open "a dog jumps into a lake"
    Cut a match out:                      clipseek clip holiday.mp4 00:12.0 00:17.5
    """
    if context.invoked_subcommand not in _SAVING_COMMANDS:
        context.call_on_close(partial(os.umask, make_private_from_now_on()))
    logging.setLogRecordFactory(PlainRecord)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


for _listed in _SECTIONS.values():
    for _command in _listed:
        main.add_command(_command)
