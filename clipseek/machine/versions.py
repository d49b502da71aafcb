"""The versions that each process tells in its health, and whether they fit this program's."""

from collections.abc import Iterable, Mapping

from clipseek import __version__

WIRE_VERSION = "2"  # of the documents between client and server; 1 was that of ClipSeek 0.1, which did not tell it


def own_versions() -> dict[str, str]:
    """The facts with which a process tells its versions."""
    return {"version": __version__, "wire": WIRE_VERSION}


def find_misfits(facts_by_name: Iterable[tuple[str, Mapping[str, str]]]) -> list[str]:
    """A sentence for each process whose version does not fit this program: another minor version, or another wire."""
    return [
        f"{name} runs ClipSeek {facts.get('version') or 'before 0.2'} (wire {facts.get('wire') or '1'}), this program "
        f"is ClipSeek {__version__} (wire {WIRE_VERSION}). Install version {_minor(__version__)} on both, and restart."
        for name, facts in facts_by_name
        if {_minor(part) for part in facts.get("version", "").split(", ")} != {_minor(__version__)}
        or facts.get("wire") != WIRE_VERSION
    ]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
