"""`clipseek completion`: let the shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for Tab completion in SHELL.

    It completes commands and options. Save it where the shell looks for such scripts, then open a new shell:

    \b
      clipseek completion bash > ~/.local/share/bash-completion/completions/clipseek
      clipseek completion zsh > "${fpath[1]}/_clipseek"
      clipseek completion fish > ~/.config/fish/completions/clipseek.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click completes all of SHELLS"
    click.echo(kind(context.find_root().command, {}, "clipseek", "_CLIPSEEK_COMPLETE").source())
