"""What `clipseek doctor` finds, row by row."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

OK, WARNING, ERROR = "ok", "warning", "error"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One row. `state` is "ok", "warning" or "error"; `fix` says what to do if it is not ok."""

    what: str
    state: str
    found: str
    fix: str = ""


def verdict(what: str, faults: Sequence[str], sound: str, fix: str, *, state: str = ERROR) -> Finding:
    """One row about many things: `sound` if there are no faults, else the first faults and how many more."""
    if not faults:
        return Finding(what, OK, sound)
    more = f"\nand {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
    return Finding(what, state, "\n".join(faults[:_MOST_NAMED]) + more, fix)


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings on stdout, for a caller that uses `module_call`."""
    json.dump([asdict(finding) for finding in findings], sys.stdout)
