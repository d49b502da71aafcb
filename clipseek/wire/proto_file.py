"""Reads a .proto file, as far as flow.proto goes: no compiler is needed, and any version of protobuf will do."""

import re
from collections import deque
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

_TOKEN = re.compile(r'//[^\n]*|"[^"]*"|[\w.]+|[{}<>=;,()]')
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}
_KEY, _VALUE = 1, 2  # the numbers of the fields of a map's entry


def read_proto(text: str, name: str) -> FileDescriptorProto:
    """The messages of a .proto file; services are left out.

    It may hold messages of scalars, messages, lists, maps and one `oneof` each, but no enums and no nested messages.
    """
    tokens = deque(token for token in _TOKEN.findall(text) if not token.startswith("//"))
    file = FileDescriptorProto(name=name, syntax="proto3")
    while tokens:
        word = tokens.popleft()
        if word == "package":
            file.package = tokens.popleft()
        elif word == "message":
            _read_message(tokens, file)
        elif word == "service":
            _skip_block(tokens)
    return file


def _read_message(tokens: deque[str], file: FileDescriptorProto) -> None:
    message = file.message_type.add(name=tokens.popleft())
    scope = f".{file.package}"
    _expect(tokens, "{")
    while (word := tokens.popleft()) != "}":
        if word == "map":
            _read_map(tokens, message, scope)
        elif word == "oneof":
            message.oneof_decl.add(name=tokens.popleft())
            _expect(tokens, "{")
            while (kind := tokens.popleft()) != "}":
                _read_field(tokens, message, kind, scope).oneof_index = 0
        elif word == "repeated":
            _read_field(tokens, message, tokens.popleft(), scope).label = FieldDescriptorProto.LABEL_REPEATED
        else:
            _read_field(tokens, message, word, scope)


def _read_field(tokens: deque[str], message: DescriptorProto, kind: str, scope: str) -> Any:
    """Read `NAME = NUMBER;`, the rest of a field."""
    name = tokens.popleft()
    _expect(tokens, "=")
    field = _add_field(message, name, int(tokens.popleft()), kind, scope)
    _expect(tokens, ";")
    return field


def _add_field(message: DescriptorProto, name: str, number: int, kind: str, scope: str) -> Any:
    field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f"{scope}.{kind}"
    return field


def _read_map(tokens: deque[str], message: DescriptorProto, scope: str) -> None:
    """Read `<KEY, VALUE> NAME = NUMBER;`. A map is a list of entries, as protobuf has it."""
    _expect(tokens, "<")
    key = tokens.popleft()
    _expect(tokens, ",")
    value = tokens.popleft()
    _expect(tokens, ">")
    entry = f"{tokens[0].title().replace('_', '')}Entry"
    field = _read_field(tokens, message, f"{message.name}.{entry}", scope)
    field.label = FieldDescriptorProto.LABEL_REPEATED
    nested = message.nested_type.add(name=entry)
    nested.options.map_entry = True
    _add_field(nested, "key", _KEY, key, scope)
    _add_field(nested, "value", _VALUE, value, scope)


def _skip_block(tokens: deque[str]) -> None:
    depth = 0
    while tokens:
        word = tokens.popleft()
        depth += (word == "{") - (word == "}")
        if word == "}" and not depth:
            return


def _expect(tokens: deque[str], wanted: str) -> None:
    if (found := tokens.popleft()) != wanted:
        raise ValueError(f"'{wanted}' was expected, not '{found}'.")
