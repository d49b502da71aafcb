"""The base class of all documents, which are dataclasses, and copies between records that share field names.

`clipseek.schema` derives from them the documents that Jina sends.
"""

import dataclasses
from functools import cache
from typing import Annotated, Any, ClassVar, get_origin

from clipseek.api.bounds import DEFAULT_RANGE, Range, check_value


class Document:
    """A dataclass of which each field has a type, a default and bounds (see bounds.py).

    The defaults are part of the protocol: a field that has its default is not sent.
    """

    question: ClassVar[frozenset[str]] = frozenset()  # the fields that a caller fills in; executors fill in the others
    internal: ClassVar[frozenset[str]] = frozenset()  # the fields that one executor leaves for the next

    def check_bounds(self) -> None:
        """Check each field against its bounds, and the fields against each other.

        Raises: InvalidTimeRange, InvalidRequest: the message names the field, its value and the range.
        """
        kind: type = type(self)
        for name, bounds in _bounds(kind):
            check_value(name, getattr(self, name), bounds)
        self.check_together()

    def check_together(self) -> None:
        """Check fields that depend on each other. Documents override this."""

    def keep_question(self) -> None:
        """Give each field that no caller fills in its default, here and in the documents inside this one."""
        for name, default in default_values(type(self)).items():
            if name not in self.question:
                setattr(self, name, default)
                continue
            value = getattr(self, name)
            for document in value if isinstance(value, list) and value and isinstance(value[0], Document) else ():
                document.keep_question()

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as `json.dumps` takes them, without what executors leave for each other.

        Bytes, such as those of a picture, are left out, too.
        """
        return {
            name: _plain(value)
            for name in field_types(type(self))
            if name not in self.internal and not isinstance(value := getattr(self, name), bytes)
        }


def fields(names: str) -> frozenset[str]:
    """The names of fields, from a text with spaces between them."""
    return frozenset(names.split())


def empty() -> Any:
    """The default of a list: a new one for each document."""
    return dataclasses.field(default_factory=list)


def field_types(kind: type) -> dict[str, Any]:
    """The type of each field of a document class, without its bounds: `float`, `list[str]`."""
    return _types(kind)


@cache
def _types(kind: Any) -> dict[str, Any]:
    return {
        field.name: field.type.__origin__ if get_origin(field.type) is Annotated else field.type  # type: ignore[union-attr]
        for field in dataclasses.fields(kind)
    }


def dataclass_of(kind: Any) -> Any:
    """The dataclass that a document class of `clipseek.schema` is derived from, or the class itself if it is one."""
    return next(base for base in kind.__mro__ if "__dataclass_params__" in vars(base))


def default_values(kind: Any) -> dict[str, Any]:
    """The default of each field of a document class; lists and dictionaries are new ones."""
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(kind)
    }


@cache
def _bounds(kind: Any) -> tuple[tuple[str, Range], ...]:
    return tuple(
        (
            field.name,
            next(
                (entry for entry in getattr(field.type, "__metadata__", ()) if isinstance(entry, Range)), DEFAULT_RANGE
            ),
        )
        for field in dataclasses.fields(kind)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, Document):
        return value.to_dict()
    return dict(value) if isinstance(value, dict) else value


def shared_fields(source: Any, kind: Any) -> dict[str, Any]:
    """The values of `source` for the fields that a document class or dataclass `kind` has, too."""
    names = {field.name for field in dataclasses.fields(source)} & {field.name for field in dataclasses.fields(kind)}
    return {name: getattr(source, name) for name in names}


def copy_fields(source: object, target: object) -> None:
    """Set each field of `target`, a document, that `source` has, too."""
    for name, value in shared_fields(source, type(target)).items():
        setattr(target, name, value)
