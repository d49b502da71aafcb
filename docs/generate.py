"""The references in docs/reference, made from the code: `python -m docs.generate` writes them, a test compares them."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from clipseek.api import documents, errors
from clipseek.api.base_document import BaseDoc
from clipseek.cli.main import main
from clipseek.client import client

FOLDER = Path(__file__).parent / "reference"
_HELP_WIDTH = 100  # columns, whatever the terminal has
_SECTION = re.compile(r"(Args|Returns|Raises):(?: (.*))?")
_ARGUMENT = re.compile(r" {4}((?:\w+, )*\w+): (.*)")  # what goes on with one is indented further
_MADE = "<!-- Made by `make docs` from the code; do not edit. -->"


def pages() -> dict[Path, str]:
    """Every page with its text."""
    return {
        FOLDER / name: re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
        for name, lines in (("cli.md", command_line()), ("client.md", python_client()))
    }


def command_line() -> Iterator[str]:
    """The page of what each command's `--help` says."""
    yield from ("# The command line", "", _MADE, "")
    yield "What `clipseek COMMAND --help` says, for every command; to begin, see [quickstart.md](../quickstart.md)."
    yield "Data goes to stdout, talk and progress bars to stderr; the exit code is 0, 1 (failed) or 2 (asked wrongly)."
    yield from _command(main, None, "clipseek")


def _command(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    settings = {**command.context_settings, "terminal_width": _HELP_WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield from ("", f"## {context.command_path}", "", "```text", command.get_help(context), "```")
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from _command(found, context, each)


def python_client() -> Iterator[str]:
    """The page of `clipseek.Client`, what it answers, the documents on the wire, and the errors."""
    yield from ("# The Python client", "", _MADE, "")
    yield "`from clipseek import Client`; a first script is in [quickstart.md](../quickstart.md). Times are float"
    yield "seconds, ranges half-open `[start, end)`, scores in [0, 1]."
    yield from ("", "## Client", "")
    yield from _signature(client.Client.__init__)
    yield from _prose(client.Client)
    for name, member in vars(client.Client).items():
        if name.startswith("_"):
            continue
        yield from ("", f"### {name}", "")
        yield from _signature(member)
        yield from _prose(member)
    yield from ("", "## What the client answers with", "")
    for answer in (client.Progress, client.Indexed, client.SavedClip):
        yield from _source(answer)
    yield "Everything else is a document of `clipseek.schema`."
    yield from ("", "## Documents", "", inspect.getdoc(documents) or "", "")
    for kind in vars(documents).values():
        if inspect.isclass(kind) and issubclass(kind, BaseDoc) and kind is not BaseDoc:
            yield from _source(kind)
    yield from ("## Errors", "", "All are in `clipseek.errors`.", "", "```text", inspect.getdoc(errors) or "", "```")


def _signature(function: Any) -> Iterator[str]:
    """How a method is called, as it stands in the source."""
    source = inspect.getsource(getattr(function, "fget", function))  # `fget`: of a property
    yield from ("```python", textwrap.dedent(source.partition(":\n")[0]), "```", "")


def _source(kind: type) -> Iterator[str]:
    yield from (f"### {kind.__name__}", "", "```python", inspect.getsource(kind).rstrip(), "```", "")


def _prose(thing: Any) -> Iterator[str]:
    """A docstring in Google's form as Markdown: what each section lists becomes a list."""
    for paragraph in re.split(r"\n\s*\n", inspect.getdoc(thing) or ""):
        lines = paragraph.splitlines()
        section = _SECTION.fullmatch(lines[0])
        if not section:
            yield from (*lines, "")
            continue
        head, first = f"**{section[1]}:**", section[2]
        if first:
            yield from (f"{head} {first}", *map(str.strip, lines[1:]), "")
        elif section[1] == "Args":
            yield from (head, "")
            for line in lines[1:]:
                argument = _ARGUMENT.fullmatch(line)
                yield f"- `{argument[1]}`: {argument[2]}" if argument else f"  {line.strip()}"
            yield ""
        else:
            yield from (head, *map(str.strip, lines[1:]), "")


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
