"""The audit log: who changed what and when, one JSON line a change, in CLIPSEEK_HOME/audit.log."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

MAX_BYTES = 10_000_000  # some 40,000 changes; then the log becomes audit.log.1, and the one before that is dropped


class AuditLog:
    """Appends to a log that several processes share. A line is whole, or is not there."""

    def __init__(self, home: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = home / "audit.log"
        self._max_bytes = max_bytes
        self._lock = FileLock(home / "audit.lock", mode=0o600)

    def write(self, what: str, *, caller: str, library: str = "", video_id: str = "", title: str = "") -> None:
        """Add a line. `what` was done, by whom, in which library, to which video; "" where it was to none."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "caller": caller,
            "library": library,
            "what": what,
            "video_id": video_id,
            "title": title,
        }
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if self.path.exists() and self.path.stat().st_size + len(data) > self._max_bytes:
                self.path.replace(self.path.with_suffix(".log.1"))
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
