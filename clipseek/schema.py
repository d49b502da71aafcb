"""The documents as Jina sends them, for executors and for scripts with a `jina.Client`.

Each is derived from the dataclass of the same name in `clipseek.api.documents`, which declares its fields, and is one
of its subclasses. This module imports docarray; `clipseek.Client` does without. Import it before Jina: it keeps torch
out of docarray, and cloud clients out of Jina.
"""

import dataclasses
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args, get_origin

from pydantic import ValidationError

from clipseek.api import documents
from clipseek.api.base_document import Document, default_values
from clipseek.api.bounds import check_value
from clipseek.api.documents import *  # noqa: F403 (for type checkers the documents are the dataclasses)
from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt
from clipseek.api.quirks import stand_in_for_cloud_clients, without_torch
from clipseek.wire.values import PACKED_LENGTHS, damaged_lists, pack_values, unpack_lists

stand_in_for_cloud_clients()
with without_torch():
    import docarray

D = TypeVar("D")

if TYPE_CHECKING:

    class DocList(list[D]):
        """A list of documents of one class."""

        doc_type: Any

        def to_protobuf(self) -> Any: ...
else:
    from docarray import DocList


class BaseDoc(docarray.BaseDoc, Document):
    """A document with the bounds of its dataclass. It travels as clipseek/wire/values.py says, without its defaults."""

    packed: bytes = b""  # on the wire: the lists of floats that `packed_lengths` names, as float64, one after the other
    packed_lengths: dict[str, int] = {}

    def check_bounds(self) -> None:
        check_value("id", self.id)
        Document.check_bounds(self)

    def to_protobuf(self) -> Any:
        message = self.model_copy()
        object.__setattr__(message, "__dict__", pack_values(dict(self), _defaults(type(self))))
        return docarray.BaseDoc.to_protobuf(message)

    @classmethod
    def check_names(cls, message: Any) -> None:
        """Check that a caller's message names fields of this class only: one that nobody reads would be lost.

        Raises: InvalidRequest: the message names the field, and the one that was probably meant.
        """
        names = {*message.data, *(message.data[PACKED_LENGTHS].dict.data if PACKED_LENGTHS in message.data else ())}
        for name in sorted(names - cls.model_fields.keys()):
            near = get_close_matches(excerpt(name), cls.question, 1)
            advice = f" Did you mean '{near[0]}'?" if near else ""
            raise InvalidRequest(f"A {cls.__name__} has no field '{excerpt(name)}'.{advice}")
        for name in names & message.data.keys():
            if (inner := getattr(cls.model_fields[name].annotation, "doc_type", None)) is not None:
                for document in message.data[name].doc_array.docs:
                    inner.check_names(document)

    @classmethod
    def from_protobuf(cls, message: Any) -> Self:
        try:
            document: Self = super().from_protobuf(message)
        except ValidationError as error:
            raise _wrong_type(cls.__name__, error) from error
        if document.packed or document.packed_lengths:
            document._unpack()
        return document

    def _unpack(self) -> None:
        lists = unpack_lists(type(self).__name__, self.packed, self.packed_lengths)
        for name in (
            lists.keys() & self.model_fields.keys()
        ):  # another version's fields are ignored, as unpacked ones are
            if not isinstance(getattr(self, name), list):
                raise damaged_lists(type(self).__name__)
            setattr(self, name, lists[name])
        self.packed, self.packed_lengths = b"", {}


@cache
def _defaults(kind: type[BaseDoc]) -> dict[str, Any]:
    return {name: field.default for name, field in kind.model_fields.items()}


def _wrong_type(document: str, error: ValidationError) -> InvalidRequest:
    first = error.errors()[0]
    return InvalidRequest(f"{first['loc'][0]} of a {document} cannot be {excerpt(repr(first['input']))}.")


_DERIVED: dict[Any, Any] = {Document: BaseDoc}


def document_class(kind: Any) -> Any:
    """The document that Jina sends for a dataclass of `clipseek.api.documents`."""
    return _DERIVED[kind]


def _derive(kind: Any) -> Any:
    """A document with the fields and methods of a dataclass, and documents of this module inside it."""
    types: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(kind)}
    defaults = default_values(kind)
    for name, inner in types.items():
        if get_origin(inner) is list and (document := _DERIVED.get(get_args(inner)[0])):
            types[name] = DocList.__class_getitem__(document)
            defaults[name] = types[name]()
    namespace = {"__module__": __name__, "__doc__": kind.__doc__, "__annotations__": types, **defaults}
    metaclass: Any = type(BaseDoc)
    return metaclass(kind.__name__, (_DERIVED[kind.__base__], kind), namespace)


for _kind in list(vars(documents).values()):
    if isinstance(_kind, type) and issubclass(_kind, Document) and _kind is not Document:
        _DERIVED[_kind] = globals()[_kind.__name__] = _derive(_kind)
