"""How commands print: data on stdout, messages and progress bars on stderr. `rich` is imported on first use."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

from clipseek.api.formats import escape_hidden

if TYPE_CHECKING:
    from clipseek.client.indexing import Progress as Step

_WRAPPED_COLUMNS = ("Found", "Title", "Video", "Description", "Line")
Cell = str | Sequence[tuple[str, bool]]  # a text, or pieces of one, each with whether it is bold
_FILE_WIDTH = 160  # columns of a table in a file or a pipe, which has no edge to fold at
_STAGES = {
    "hash": "reading",
    "upload": "uploading",
    "index": "indexing",
    "words": "reading the words of",
    "search": "searching",
    "copy": "copying to",
}


def is_interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def print_json(value: Any) -> None:
    click.echo(escape_hidden(json.dumps(value, ensure_ascii=False, indent=2), keep="\n"))


def show_table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table on stdout; a head that begins with `>` aligns its column to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def as_text(cell: Cell) -> Text:
        parts = [(cell, False)] if isinstance(cell, str) else cell
        return Text.assemble(*((escape_hidden(text), "bold" if is_bold else "") for text, is_bold in parts))

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        name = head.removeprefix(">")
        justify: Literal["left", "right"] = "right" if head != name else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name not in _WRAPPED_COLUMNS)
    for row in rows:
        table.add_row(*map(as_text, row))
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _FILE_WIDTH)
    console.print(table)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[["Step"], None]]:
    """A bar on stderr for the steps of one video: stage, percent and time left. It is drawn on terminals only."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task, stage = None, ""

        def step(progress: "Step") -> None:
            nonlocal task, stage
            if progress.stage != stage:
                if task is not None:
                    bar.remove_task(task)
                stage = progress.stage
                task = bar.add_task(f"{_STAGES[stage]} {escape(escape_hidden(title))}", total=progress.total)
            if task is not None:
                bar.update(task, completed=progress.done)

        yield step
