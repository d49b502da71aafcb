"""The audit log: who changed what and when, one line of JSON per change, in CLIPSEEK_HOME/audit.log."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

MAX_BYTES = 10_000_000  # about 40,000 changes; then the log becomes audit.log.1, which replaces an older one


class AuditLog:
    """Appends to a log that several processes share. Each line is written whole or not at all."""

    def __init__(self, home: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = home / "audit.log"
        self._max_bytes = max_bytes
        self._lock = FileLock(home / "audit.lock", mode=0o600)

    def write(self, what: str, *, caller: str, library: str = "", video_id: str = "", title: str = "") -> None:
        """Add a line: what was done, by which caller (the name of its token, or "operator NAME"), to which video."""
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
