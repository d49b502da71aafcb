"""XML of a tree that is written as nested tuples: tag, attributes, and children or a text."""

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

from clipseek.api.formats import one_line

Element = ElementTree.Element


def element(tag: str, *children: Element, **attributes: str) -> Element:
    made = ElementTree.Element(tag, attributes)
    made.extend(children)
    return made


def texts(values: Mapping[str, object]) -> list[Element]:
    """An element for each value, with the value as its text, in one line."""
    made = []
    for tag, value in values.items():
        made.append(ElementTree.Element(tag))
        made[-1].text = one_line(str(value))
    return made


def document(root: Element, doctype: str) -> str:
    """The whole file, indented."""
    ElementTree.indent(root)
    lines: Iterable[str] = ('<?xml version="1.0" encoding="UTF-8"?>', f"<!DOCTYPE {doctype}>")
    return "\n".join((*lines, ElementTree.tostring(root, encoding="unicode"), ""))
