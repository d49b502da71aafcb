"""The audit log: who changed what and when, one line of JSON per change, in CLIPSEEK_HOME/audit.log.

No caller can push out what others did, or what it did itself: lines are removed by their age alone, and each caller has
a bound. Of one caller, a process writes 500 routine changes an hour and 2000 deletions, in short lines; more are
counted, and summed up in one line. That is at most 40 MB a day. Changes at the command line are all written.
"""

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from filelock import FileLock

from clipseek.api.formats import counted, escape_hidden

ROUTINE_PER_HOUR = 500
DELETIONS_PER_HOUR = 2000  # each needs a video, and adding that takes longer
DAYS = 90.0
OPERATOR = "operator "  # begins the names of those at the command line; no token has a space in its name
_DELETIONS = frozenset({"deleted", "file deleted"})
_MOST_CHARACTERS = 100  # of each field, except where an operator wrote it
_DATED = re.compile(r"audit\.([0-9]{4}-[0-9]{2}-[0-9]{2})\.log")


@dataclass(frozen=True)
class _Line:
    time: str
    caller: str
    library: str
    what: str
    video_id: str = ""
    title: str = ""

    def to_bytes(self) -> bytes:
        most = None if self.caller.startswith(OPERATOR) else _MOST_CHARACTERS
        fields = {name: value[:most] for name, value in asdict(self).items()}
        return f"{escape_hidden(json.dumps(fields, ensure_ascii=False))}\n".encode()


@dataclass
class _Hour:
    """What a caller did in the hour from `start`."""

    start: datetime
    written: Counter[bool] = field(default_factory=Counter)  # by whether they are deletions
    counted: Counter[str] = field(default_factory=Counter)  # by what was done


class AuditLog:
    """Appends to a log that several processes share. Each line is written whole or not at all. Safe for threads.

    After the end of a day (UTC) the log becomes `audit.DATE.log`, which is removed after `days`.
    """

    def __init__(
        self, home: Path, days: float = DAYS, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.path = home / "audit.log"
        self.lock = FileLock(home / "audit.lock", mode=0o600)  # held while a line is written
        self._days, self._clock = days, clock
        self._hours: dict[str, _Hour] = {}
        self._counting = threading.Lock()
        self._day: date | None = None  # of the last line

    def files(self) -> list[Path]:
        """The files of the log, the oldest first."""
        dated = (file for file in self.path.parent.glob("audit.*.log") if _DATED.fullmatch(file.name))
        return [*sorted(dated), *([self.path] if self.path.exists() else [])]

    def write(self, what: str, *, caller: str, library: str = "", video_id: str = "", title: str = "") -> None:
        """Add a line: what was done, by which caller (the name of its token, or "operator NAME"), to which video."""
        now = self._clock()
        line = _Line(_time_of(now), caller, library, what, video_id, title)
        with self._counting:
            lines = [*self._sums(now, timedelta(hours=1)), *self._bounded(line, now)]
        self._append(lines, now)

    def close(self) -> None:
        """Write how many changes were counted only."""
        now = self._clock()
        with self._counting:
            lines = list(self._sums(now, timedelta()))
        self._append(lines, now)

    def _bounded(self, line: _Line, now: datetime) -> list[_Line]:
        """The line, or nothing once the caller has its share of the hour, which the first line left out says."""
        if line.caller.startswith(OPERATOR):
            return [line]
        hour, is_deletion = self._hours.setdefault(line.caller, _Hour(now)), line.what in _DELETIONS
        if hour.written[is_deletion] < (DELETIONS_PER_HOUR if is_deletion else ROUTINE_PER_HOUR):
            hour.written[is_deletion] += 1
            return [line]
        hour.counted[line.what] += 1
        is_first = hour.counted.total() == 1
        return [_Line(line.time, line.caller, "", "more changes in this hour are only counted")] if is_first else []

    def _sums(self, now: datetime, age: timedelta) -> Iterator[_Line]:
        """End the hours that are this old, with a line for each that has counted changes."""
        for caller, hour in [(caller, hour) for caller, hour in self._hours.items() if now - hour.start >= age]:
            del self._hours[caller]
            if hour.counted:
                kinds = ", ".join(f"{count} {what}" for what, count in sorted(hour.counted.items()))
                yield _Line(
                    _time_of(now), caller, "", f"{counted(hour.counted.total(), 'more change')} in an hour: {kinds}"
                )

    def _append(self, lines: list[_Line], now: datetime) -> None:
        if not lines:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.lock:
            if now.date() != self._day:
                self._begin_day(now.date())
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, b"".join(line.to_bytes() for line in lines))
            finally:
                os.close(descriptor)

    def _begin_day(self, today: date) -> None:
        """Set the log of another day aside, and remove what is too old."""
        for file in (self.path.with_suffix(".log.1"), self.path):  # the first is of version 0.1
            if file.exists():
                day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date()
                if day != today:
                    _move(file, self.path.with_name(f"audit.{day}.log"))
        for file in self.files():
            match = _DATED.fullmatch(file.name)
            if match and (today - date.fromisoformat(match[1])).days > self._days:
                file.unlink()
        self._day = today


def _move(file: Path, target: Path) -> None:
    if not target.exists():
        file.replace(target)
        return
    with target.open("ab") as earlier:  # the clock was set back
        earlier.write(file.read_bytes())
    file.unlink()


def _time_of(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds")
