"""Talk to the operator or user: lines on stderr, which are log records where the log is JSON."""

import logging

from clipseek.api.formats import escape_hidden
from clipseek.machine import logs

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)  # what a person would read is logged at every level of the log
_LEVELS = {"red": logging.ERROR, "yellow": logging.WARNING}


def say(message: str, style: str = "") -> None:
    """Print a line on stderr, or log it where the log is JSON. Titles and paths in it may hold anything.

    The style is one of rich; red is an error, yellow a warning.
    """
    if logs.is_json():
        _log.log(_LEVELS.get(style, logging.INFO), message.strip())
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(escape_hidden(message, keep="\n"), style=style))
