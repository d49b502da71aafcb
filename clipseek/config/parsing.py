"""Checks of settings: each takes a variable and its text, and returns the value or raises InvalidSetting."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path

from clipseek.api.errors import InvalidSetting
from clipseek.api.limits import MAX_RATE, MIN_RATE, WORD_SOURCES


def text(_variable: str, value: str) -> str:
    return value


def lower_case(_variable: str, value: str) -> str:
    return value.lower()


def folder(_variable: str, value: str) -> Path:
    """A folder as an absolute path."""
    return Path(value).expanduser().absolute()


def folders(_variable: str, value: str) -> tuple[Path, ...]:
    """Folders, separated as in PATH, with links resolved."""
    return tuple(Path(path).expanduser().resolve() for path in value.split(os.pathsep) if path)


def host_names(variable: str, value: str) -> tuple[str, ...]:
    """Names or addresses of hosts, separated by commas, in lower case."""
    names = tuple(name.strip("[]") for name in value.lower().replace(",", " ").split())
    for name in names:
        if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]+", name):
            raise InvalidSetting(f"'{name}' is no host: {variable} takes names such as videos.example, without a port.")
    return names


def is_url(value: str) -> bool:
    return "://" in value


def database_url(variable: str, value: str) -> str:
    """The URL of a PostgreSQL database. The message leaves it out: it may hold a password."""
    if not value.startswith(("postgresql://", "postgres://")):
        raise InvalidSetting(f"{variable} must be a URL such as postgresql://USER@HOST:5432/NAME, or empty for SQLite.")
    return value


def folder_or_url(variable: str, value: str) -> str:
    """A URL as it is, or a folder as an absolute path."""
    return value if is_url(value) else str(folder(variable, value))


def is_port(value: str) -> bool:
    """Whether a text is a number from 1 to 65535."""
    return bool(re.fullmatch("[0-9]+", value)) and 0 < int(value) < 65536


def port(variable: str, value: str) -> int:
    if not is_port(value):
        raise InvalidSetting(f"'{value}' is not a port: {variable} takes a number from 1 to 65535.")
    return int(value)


def address(variable: str, value: str) -> str:
    """HOST:PORT."""
    if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^\s/:\[\]]+):[0-9]+", value):
        raise InvalidSetting(f"{variable} is '{value}', but must be HOST:PORT, e.g. 127.0.0.1:4317")
    return value


def positive(variable: str, value: str) -> float:
    """A finite number above 0."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < math.inf:
        raise InvalidSetting(f"{variable} is '{value}', but must be a number above 0")
    return number


def limit(variable: str, value: str) -> float:
    """A number above 0, or `inf` for no limit."""
    return math.inf if value == "inf" else positive(variable, value)


def rate(variable: str, value: str) -> float:
    """Frames per second that a video may be sampled at."""
    number = positive(variable, value)
    if not MIN_RATE <= number <= MAX_RATE:
        raise InvalidSetting(f"{variable} is '{value}', but must be from {MIN_RATE:g} to {MAX_RATE:g}")
    return number


def count(least: int) -> Callable[[str, str], int]:
    """A whole number, `least` or more."""

    def parse(variable: str, value: str) -> int:
        if not re.fullmatch("[0-9]+", value) or int(value) < least:
            raise InvalidSetting(f"{variable} is '{value}', but must be a whole number, {least} or more")
        return int(value)

    return parse


def choice(*allowed: str) -> Callable[[str, str], str]:
    """One of the allowed texts, in upper or lower case."""

    def parse(variable: str, value: str) -> str:
        for option in allowed:
            if value.lower() == option.lower():
                return option
        raise InvalidSetting(f"{variable} is '{value}', but must be one of {', '.join(allowed)}")

    return parse


def yes_or_no(variable: str, value: str) -> bool:
    return choice("yes", "no")(variable, value) == "yes"


def word_sources(variable: str, value: str) -> str:
    """`auto`, `off`, or some of WORD_SOURCES, separated by commas."""
    names = [name.strip().removesuffix("s") for name in value.lower().split(",") if name.strip()]
    if names in (["auto"], ["off"]):
        return names[0]
    if not names or set(names) - set(WORD_SOURCES):
        raise InvalidSetting(
            f"{variable} is '{value}', but must be auto, off, or some of subtitles, screen and speech, separated by "
            "commas."
        )
    return ",".join(name for name in WORD_SOURCES if name in names)
