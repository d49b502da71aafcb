"""Pieces of protobuf messages, for requests that no client would send."""


def varint(number: int) -> bytes:
    """A whole number as protobuf writes it."""
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def documents(content: bytes) -> bytes:
    """The part of a serialized `DataRequestProto` that holds a `DocListProto` with this content."""
    return b'"' + varint(len(varint(len(content))) + 1 + len(content)) + b"\n" + varint(len(content)) + content
