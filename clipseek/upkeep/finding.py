"""What `clipseek doctor` finds, row by row."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

OK, WARNING, ERROR = "ok", "warning", "error"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Check:
    """One finding: state is "ok", "warning" or "error"; `fix` says what to do where it is not ok."""

    what: str
    state: str
    found: str
    fix: str = ""


def verdict(what: str, wrong: Sequence[str], fine: str, fix: str, *, state: str = ERROR) -> Check:
    """One row for many things looked at: `fine` if nothing is wrong, else how many are, with the first of them."""
    if not wrong:
        return Check(what, OK, fine)
    more = f"\nand {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
    return Check(what, state, "\n".join(wrong[:_MOST_NAMED]) + more, fix)


def write_checks(checks: Iterable[Check]) -> None:
    """Print findings on stdout, for the process that reads them with `read_checks`."""
    json.dump([asdict(check) for check in checks], sys.stdout)


def read_checks(text: str) -> list[Check]:
    return [Check(**row) for row in json.loads(text)]
