"""What VCED's programs send and get: the messages of Jina 3.4 with docarray 0.19, as far as they are used.

ClipSeek's own docarray has other messages under the same names, so these are described here, in a pool of their own.
The numbers of the fields are a fact of the wire, read from the descriptors that those packages ship; messages keep what
is not described.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

SERVICE, METHOD = "jina.JinaRPC", "Call"  # a stream of requests, and one of answers
_PACKAGE = "vced"
_STRUCT = "google.protobuf.Struct"

# Message -> its fields: name, number, and type; a type in a list is repeated.
_MESSAGES: Mapping[str, tuple[tuple[str, int, str | list[str]], ...]] = {
    "Document": (
        ("id", 1, "string"),
        ("text", 4, "string"),
        ("uri", 9, "string"),
        ("matches", 15, ["Document"]),
        ("tags", 17, _STRUCT),
    ),
    "DocumentArray": (("docs", 1, ["Document"]),),
    "Data": (("docs", 1, "DocumentArray"),),
    "Header": (("request_id", 1, "string"), ("exec_endpoint", 3, "string")),
    "Request": (("header", 1, "Header"), ("parameters", 2, _STRUCT), ("data", 4, "Data")),
}


def _described() -> Any:
    """The class of `Request`."""
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="vced.proto", package=_PACKAGE, syntax="proto3", dependency=["google/protobuf/struct.proto"]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            of = kind[0] if isinstance(kind, list) else kind
            described = message.field.add(name=field, number=number)
            described.label = field_type.LABEL_REPEATED if isinstance(kind, list) else field_type.LABEL_OPTIONAL
            if of == "string":
                described.type = field_type.TYPE_STRING
            else:
                described.type = field_type.TYPE_MESSAGE
                described.type_name = f".{of}" if "." in of else f".{_PACKAGE}.{of}"
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Request"))


Request = _described()
