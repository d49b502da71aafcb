"""Documentation made from the code: `python -m docs.generate` writes it, a test compares it.

docs/reference is made as a whole. Any document may hold a table of settings between `<!-- settings: GROUP -->` and
`<!-- end -->`. In a Chinese document only variables and defaults are made; the cells with words stay as they are.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from clipseek.api import documents, errors
from clipseek.api.base_document import Document
from clipseek.api.search_options import QueryOptions, SearchOptions, options_of
from clipseek.cli.main import main
from clipseek.client import client
from clipseek.config.declaration import Setting, rows_of
from clipseek.config.settings import GROUPS

DOCS = Path(__file__).parent
FOLDER = DOCS / "reference"
CHINESE = (DOCS.parent / "README.zh-CN.md", *(DOCS / "zh").glob("*.md"))
_HELP_WIDTH = 100  # columns, whatever the terminal has
_SECTION = re.compile(r"(Args|Returns|Raises):(?: (.*))?")
_ARGUMENT = re.compile(r" {4}((?:\w+, )*\w+): (.*)")  # its continuation lines are indented further
_TABLE = re.compile(r"(<!-- settings: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_HEADINGS = {
    "common": ("Common", "Options of `clipseek serve` override the environment."),
    "clients": ("Clients", "For `clipseek.Client`, the command line and the page."),
    "limits": (
        "Limits",
        "A request over a limit gets `LimitExceeded`; see [limits.md](../limits.md). `inf` is no limit.",
    ),
    "processes": ("Many processes", "See [scale.md](../scale.md)."),
    "security": ("Security", "See [security.md](../security.md)."),
    "monitoring": ("Monitoring", "See [monitoring.md](../monitoring.md)."),
}
_MADE = "<!-- Made by `make docs` from the code; do not edit. -->"


def pages() -> dict[Path, str]:
    """Every page of docs/reference with its text."""
    return {
        FOLDER / name: re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
        for name, lines in (("cli.md", command_line()), ("client.md", python_client()), ("settings.md", settings()))
    }


def documents_with_tables() -> dict[Path, str]:
    """Every document that holds a table of settings, with its text as it should be."""
    texts = {path: path.read_text(encoding="utf-8") for path in [*DOCS.parent.glob("*.md"), *DOCS.rglob("*.md")]}
    return {path: fill_tables(text, path in CHINESE) for path, text in texts.items() if _TABLE.search(text)}


def fill_tables(text: str, is_translation: bool = False) -> str:
    """A document's text with all tables of settings remade."""

    def fill(table: re.Match[str]) -> str:
        lines = _table(table[2])
        if is_translation:
            lines = _translated(lines, table[3].splitlines())
        return table[1] + "\n".join(lines) + "\n" + table[4]

    return _TABLE.sub(fill, text)


def _table(group: str) -> list[str]:
    """The lines of the table of a group of settings."""
    is_limits = group == "limits"
    heads = ["variable", "default", "what it limits", "checked"] if is_limits else ["variable", "default", "what it is"]
    lines = [_line(heads), "|---" * len(heads) + "|"]
    for row in rows_of(GROUPS[group]).values():
        meaning = f"{row.sentence}. {row.details}" if row.details else row.sentence
        lines.append(_line([f"`{row.variable}`", _default(row), meaning, *([row.checked] if is_limits else [])]))
    return lines


def _default(row: Setting) -> str:
    return f"`{row.default}`" if row.shown_default == row.default else row.shown_default


def _translated(lines: list[str], old_lines: list[str]) -> list[str]:
    """A table whose cells with words are those of the old one, where that has them."""
    old = {_cells(line)[0]: _cells(line) for line in old_lines[2:]}
    rows = []
    for line in lines[2:]:
        variable, default, *words = _cells(line)
        old_default, *old_words = old.get(variable, ["", default, *words])[1:]
        rows.append([variable, default if default.startswith("`") else old_default, *old_words])
    return [*(old_lines[:2] or lines[:2]), *map(_line, rows)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def settings() -> Iterator[str]:
    """The page of all settings, by groups, and of their earlier names."""
    yield from ("# Settings", "", _MADE, "")
    yield "All settings are environment variables. One that is empty or not set has its default."
    for group, (heading, sentence) in _HEADINGS.items():
        yield from ("", f"## {heading}", "", sentence, "", *_table(group))
    yield from ("", "## Renamed settings", "", "The earlier names still work. `clipseek serve` warns of them.", "")
    yield from ("| earlier name | name |", "|---|---|")
    for group in _HEADINGS:
        yield from (f"| `{row.was}` | `{row.variable}` |" for row in rows_of(GROUPS[group]).values() if row.was)


def command_line() -> Iterator[str]:
    """The page with the `--help` of each command."""
    yield from ("# The command line", "", _MADE, "")
    yield "What `clipseek COMMAND --help` says, for every command. To begin, see [quickstart.md](../quickstart.md)."
    yield "Data goes to stdout, messages and progress bars to stderr. The exit code is 0, 1 (failed) or 2 (usage)."
    yield from _command(main, None, "clipseek")


def _command(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    settings = {**command.context_settings, "terminal_width": _HELP_WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield from ("", f"## {context.command_path}", "", "```text", command.get_help(context), "```")
    if isinstance(command, click.Group):
        for subcommand_name in command.list_commands(context):
            subcommand = command.get_command(context, subcommand_name)
            assert subcommand is not None
            yield from _command(subcommand, context, subcommand_name)


def python_client() -> Iterator[str]:
    """The page of `clipseek.Client`, its answers, the documents on the wire, and the errors."""
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
    yield from (
        "",
        "## Options of a search",
        "",
        "`Client.search` takes all of them, `Client.timeline` those without a *.",
        "",
    )
    yield from ("| option | on the command line | what it does |", "|---|---|---|")
    for name, option in options_of(SearchOptions).items():
        mark = "" if name in options_of(QueryOptions) else " *"
        flags = " ".join(
            f"`{flag}`" for flag in (option.flags.split() if isinstance(option.flags, str) else option.flags)
        )
        yield f"| `{name}`{mark} | {flags} | {option.help} |"
    yield from ("", "## What the client answers with", "")
    for answer in (client.Progress, client.Indexed, client.SavedClip):
        yield from _source(answer)
    yield "Everything else is one of these documents."
    yield from ("", "## Documents", "", inspect.getdoc(documents) or "", "")
    for kind in vars(documents).values():
        if inspect.isclass(kind) and issubclass(kind, Document) and kind is not Document:
            yield from _source(kind)
    yield from ("## Errors", "", "All are in `clipseek.errors`.", "", "```text", inspect.getdoc(errors) or "", "```")


def _signature(function: Any) -> Iterator[str]:
    """The signature of a method, as in the source."""
    source = inspect.getsource(getattr(function, "fget", function))  # `fget`: of a property
    yield from ("```python", textwrap.dedent(source.partition(":\n")[0]), "```", "")


def _source(kind: type) -> Iterator[str]:
    yield from (f"### {kind.__name__}", "", "```python", inspect.getsource(kind).rstrip(), "```", "")


def _prose(thing: Any) -> Iterator[str]:
    """A docstring in Google's form as Markdown: the entries of a section become a list."""
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
    for path, text in (pages() | documents_with_tables()).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
