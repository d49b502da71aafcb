"""The messages of VCED's programs: those of Jina 3.4 with docarray 0.19, as far as they are used.

ClipSeek's docarray has other messages with the same names, so these are described here, in a pool of their own. The
field numbers come from the descriptors in those packages. Messages keep fields that are not described.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

SERVICE, METHOD = "jina.JinaRPC", "Call"  # takes a stream of requests, returns a stream of answers
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


def _request_class() -> Any:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="vced.proto", package=_PACKAGE, syntax="proto3", dependency=["google/protobuf/struct.proto"]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            name_of_type = kind[0] if isinstance(kind, list) else kind
            descriptor = message.field.add(name=field, number=number)
            descriptor.label = field_type.LABEL_REPEATED if isinstance(kind, list) else field_type.LABEL_OPTIONAL
            if name_of_type == "string":
                descriptor.type = field_type.TYPE_STRING
            else:
                descriptor.type = field_type.TYPE_MESSAGE
                descriptor.type_name = f".{name_of_type}" if "." in name_of_type else f".{_PACKAGE}.{name_of_type}"
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Request"))


Request = _request_class()
