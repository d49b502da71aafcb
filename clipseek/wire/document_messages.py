"""Documents as messages, and messages as documents."""

from typing import Any, TypeVar, get_args

from clipseek.api.base_document import Document, default_values, field_types
from clipseek.api.errors import InvalidRequest, ServerFailed
from clipseek.wire.values import PACKED, PACKED_LENGTHS, damaged_lists, fit_value, pack_values, unpack_lists

D = TypeVar("D", bound=Document)


def write_document(document: Document, message: Any) -> None:
    """Write a document into a `DocProto`. Raises: InvalidRequest: a field holds a value of another type."""
    check_types(document)
    values = {name: getattr(document, name) for name in field_types(type(document))}
    for name, value in pack_values(values, default_values(type(document))).items():
        _write(value, message.data[name])


def check_types(document: Document) -> None:
    """Give each field its type's form of its value. Raises: InvalidRequest: a field holds a value of another type."""
    for name, kind in field_types(type(document)).items():
        value = getattr(document, name)
        fitted = fit_value(name, value, kind)
        if fitted is not value:
            setattr(document, name, fitted)


def _write(value: Any, node: Any) -> None:
    if isinstance(value, bool):
        node.boolean = value
    elif isinstance(value, int):
        node.integer = value
    elif isinstance(value, float):
        node.float = value
    elif isinstance(value, str):
        node.text = value
    elif isinstance(value, bytes):
        node.blob = value
    elif isinstance(value, dict):
        for key, entry in value.items():
            _write(entry, node.dict.data[key])
    elif isinstance(value[0], Document):  # an empty list is not sent
        for document in value:
            write_document(document, node.doc_array.docs.add())
    else:
        for entry in value:
            _write(entry, node.list.data.add())


def read_document(message: Any, kind: type[D]) -> D:
    """The document of a `DocProto`. Fields of a later version are left out.

    Raises: ServerFailed: a field holds a value of another type, or packed numbers are damaged.
    """
    types = field_types(kind)
    try:
        values = {name: _read(name, message.data[name], types[name]) for name in message.data if name in types}
        if PACKED in message.data:
            values |= _read_packed(message, kind)
        return kind(**values)
    except InvalidRequest as error:
        raise ServerFailed(f"The server answered with a damaged {kind.__name__}: {error}") from error


def _read(name: str, node: Any, kind: Any) -> Any:
    """A value as the field's type has it."""
    content = node.WhichOneof("content")
    if content == "doc_array":
        (inner,) = get_args(kind) or (None,)
        if not (isinstance(inner, type) and issubclass(inner, Document)):
            raise InvalidRequest(f"{name} holds documents.")
        return [read_document(document, inner) for document in node.doc_array.docs]
    return fit_value(name, _value(node, content), kind)


def _value(node: Any, content: str | None) -> Any:
    if content == "list":
        return [_value(entry, entry.WhichOneof("content")) for entry in node.list.data]
    if content == "dict":
        return {key: _value(entry, entry.WhichOneof("content")) for key, entry in node.dict.data.items()}
    return getattr(node, content) if content else None


def _read_packed(message: Any, kind: type[Document]) -> dict[str, list[float]]:
    lengths = fit_value(PACKED_LENGTHS, _value(message.data[PACKED_LENGTHS], "dict"), dict[str, int])
    packed = message.data[PACKED].blob
    types = field_types(kind)
    lists = {name: numbers for name, numbers in unpack_lists(kind.__name__, packed, lengths).items() if name in types}
    if any(types[name] != list[float] for name in lists):
        raise damaged_lists(kind.__name__)
    return lists
