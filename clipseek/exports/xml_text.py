"""XML written as nested calls: elements of elements and texts."""

from collections.abc import Mapping
from xml.etree import ElementTree

from clipseek.api.formats import one_line

Element = ElementTree.Element


def element(tag: str, *children: Element, **attributes: str) -> Element:
    """An element with these children, in order."""
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
    content = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {doctype}>\n{content}\n'
