"""How a setting is declared: one dataclass field with its variable, default, meaning and check."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clipseek.config import parsing

_ROW = "setting"  # key of the Setting in the metadata of its field


@dataclass(frozen=True)
class Setting:
    """What people and programs need to know about one setting."""

    variable: str  # environment variable that sets it
    default: str  # text of the default value; "" where there is none
    meaning: str  # what it is, in a few words: for `--help`, tables and error messages
    parse: Callable[[str, str], Any] = parsing.text  # makes the value of a variable and its text
    default_words: str = ""  # shown in place of `default` where the value says little
    details: str = ""  # sentences in Markdown that the documentation adds
    checked: str = ""  # when a limit is checked
    was: str = ""  # variable of an earlier version, which is still read

    @property
    def shown_default(self) -> str:
        return self.default_words or self.default or "none"

    @property
    def sentence(self) -> str:
        """The meaning, beginning with a capital letter and without a full stop."""
        return self.meaning[0].upper() + self.meaning[1:]

    def variable_in(self, environ: Mapping[str, str]) -> str:
        """The variable that sets it in an environment: the present one, else the earlier one, else ""."""
        return next((name for name in (self.variable, self.was) if environ.get(name)), "")

    def rename_warning(self, environ: Mapping[str, str]) -> str:
        """What to tell an operator whose environment has the earlier variable, or ""."""
        if not environ.get(self.was):
            return ""
        if environ.get(self.variable):
            return f"{self.was} is ignored, because its new name {self.variable} is set, too. Remove the old one."
        return f"{self.was} is now called {self.variable}. The old name still works; please use the new one."


def setting(variable: str, default: object, meaning: str, *, is_secret: bool = False, **options: Any) -> Any:
    """A dataclass field that is a setting, with the options of `Setting`.

    Args:
        default: the value, or a function that makes it.
        is_secret: whether the value may hold a password, and is left out of `repr`.
    """
    shown = "" if callable(default) else text_of(default)
    metadata = {_ROW: Setting(variable, shown, meaning, **options)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, repr=not is_secret, metadata=metadata)


def text_of(value: object) -> str:
    """A value as an environment variable holds it; the setting's `parse` reads it back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, tuple):
        return (os.pathsep if any(isinstance(part, Path) for part in value) else ",").join(map(str, value))
    return str(value)


def rows_of(group: type) -> dict[str, Setting]:
    """How each field of a dataclass of settings is set, by the field's name."""
    return {field.name: field.metadata[_ROW] for field in fields(group)}
