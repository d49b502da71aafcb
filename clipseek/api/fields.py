"""Copies between records that share field names: documents of the wire and dataclasses of the cores."""

from dataclasses import fields
from typing import Any


def shared_fields(source: object, kind: type) -> dict[str, Any]:
    """The values of `source` for the fields that a document class or dataclass `kind` has, too."""
    names = _field_names(type(source)) & _field_names(kind)
    return {name: getattr(source, name) for name in names}


def copy_fields(source: object, target: object) -> None:
    """Set each field of `target`, a document, that `source` has, too."""
    for name, value in shared_fields(source, type(target)).items():
        setattr(target, name, value)


def _field_names(kind: Any) -> set[str]:
    if hasattr(kind, "model_fields"):  # a document
        return set(kind.model_fields)
    return {field.name for field in fields(kind)}
