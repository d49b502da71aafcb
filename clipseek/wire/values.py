"""The values of a document's fields: which a type takes, and in what form they travel.

Jina sends whole numbers in 32 bits and floats in 64. So larger whole numbers travel as floats, exact up to 2**53, and
become whole numbers again on arrival. It also wraps each number of a list by itself: a query with three vectors of 512
takes 14 ms to write and 7 ms to read. So long lists of floats travel as one run of bytes.
"""

from array import array
from collections.abc import Iterable, Mapping, Sized
from itertools import chain
from numbers import Integral, Real
from typing import Any, get_args, get_origin

from clipseek.api.bounds import MAX_ENTRIES
from clipseek.api.errors import InvalidRequest
from clipseek.api.formats import excerpt

PACKED, PACKED_LENGTHS = "packed", "packed_lengths"
_MIN_PACKED = 16  # numbers; shorter lists stay as they are
_WORDS = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "True or False",
    bytes: "bytes",
    list: "a list",
    dict: "a dictionary",
}


def fit_value(name: str, value: Any, kind: Any) -> Any:
    """A value as a field of this type keeps it; numbers of other types, such as NumPy's, become Python's.

    Raises: InvalidRequest: the type does not take it; the message begins with the field's name.
    """
    outer = get_origin(kind) or kind
    if outer is list and isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        (inner,) = get_args(kind)
        each = f"Each of {name}"
        return [entry if type(entry) is inner else fit_value(each, entry, inner) for entry in value]
    if outer is dict and isinstance(value, Mapping):
        _, inner = get_args(kind)
        return {fit_value(name, key, str): fit_value(name, entry, inner) for key, entry in value.items()}
    fitted = value if type(value) is outer else _fit_one(value, outer)
    if fitted is None:
        raise InvalidRequest(f"{name} must be {_WORDS.get(outer, f'a {outer.__name__}')}, not {excerpt(repr(value))}.")
    return fitted


def _fit_one(value: Any, kind: type) -> Any:
    """The value as this type; None where it is of another one."""
    if kind is bool:
        return bool(value) if isinstance(value, int) and value in (0, 1) else None
    if kind is float:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    if kind is int:
        is_whole = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
        return int(value) if is_whole and not isinstance(value, bool) else None
    if kind is bytes:
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
    return value if kind not in (list, dict) and isinstance(value, kind) else None


def pack_values(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a document that are sent, in the form in which they travel."""
    sent = {name: _widen(value) for name, value in values.items() if not _is_default(value, defaults[name])}
    lists = {name: sent.pop(name) for name in sorted(sent) if _is_long_list_of_floats(sent[name])}
    if lists:
        sent[PACKED] = array("d", chain.from_iterable(lists.values())).tobytes()
        sent[PACKED_LENGTHS] = {name: len(value) for name, value in lists.items()}
    return sent


def unpack_lists(document: str, packed: bytes, lengths: Mapping[str, int]) -> dict[str, list[float]]:
    """The long lists of a document by the names of their fields. Raises: InvalidRequest: they are damaged."""
    count = sum(lengths.values())
    if min(lengths.values(), default=0) < 0 or 8 * count != len(packed) or count > MAX_ENTRIES:
        raise damaged_lists(document)
    numbers: Any = memoryview(packed).cast("d")
    lists: dict[str, list[float]] = {}
    for name, length in sorted(lengths.items()):  # packed in this order; a message keeps none
        lists[name], numbers = numbers[:length].tolist(), numbers[length:]
    return lists


def damaged_lists(document: str) -> InvalidRequest:
    return InvalidRequest(f"The packed numbers of a {document} are damaged. Send the request again.")


def _is_default(value: object, default: object) -> bool:
    if isinstance(value, list) and not value:  # also one of docarray's
        return not default
    if type(value) is not type(default):
        return False
    return not value and not default if isinstance(value, Sized) else value == default


def _is_long_list_of_floats(value: object) -> bool:
    return isinstance(value, list) and len(value) >= _MIN_PACKED and all(type(number) is float for number in value)


def _is_wide(value: object) -> bool:
    return isinstance(value, int) and not -(2**31) <= value < 2**31


def _widen(value: Any) -> Any:
    if isinstance(value, list) and any(map(_is_wide, value)):
        return [float(item) if _is_wide(item) else item for item in value]
    return float(value) if _is_wide(value) else value
