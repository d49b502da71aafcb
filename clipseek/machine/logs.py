"""Logging, set up in one place for every process: lines of text, or JSON objects with CLIPSEEK_LOG_FORMAT=json.

Records show text from elsewhere (titles, paths, names) in escaped form, whichever library logs it with whichever
handler: it can forge no line and sends nothing to a terminal. Its length is bounded. A JSON line that is logged during
a request names the endpoint, and the seconds since the request arrived in this process.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from clipseek.api.formats import escape_hidden

JSON = "json"
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_TRACES_LOGGER = "opentelemetry.exporter.otlp.proto.grpc.exporter"  # warns at every attempt while its collector is away
_QUIET_SECONDS = 600.0
MOST_CHARACTERS, MOST_OF_TRACEBACK = 4000, 40_000
_request: ContextVar[tuple[str, float] | None] = ContextVar("request", default=None)  # endpoint, monotonic time


class PlainRecord(logging.LogRecord):
    """A record without hidden characters. The lines of its tracebacks are indented, so none looks like a record."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.name = escape_hidden((self.name or "")[:MOST_CHARACTERS])  # `logging.makeLogRecord` has none
        if self.exc_info and self.exc_info[0]:
            self.exc_text = _indent(logging.Formatter().formatException(self.exc_info))
        if self.stack_info:  # it shows lines of the source
            self.stack_info = _indent(self.stack_info)

    def getMessage(self) -> str:  # noqa: N802 (its name in `logging`)
        return escape_hidden(super().getMessage()[:MOST_CHARACTERS])


def _indent(traceback: str) -> str:
    return "\n".join(f"  {escape_hidden(line)}" for line in traceback[:MOST_OF_TRACEBACK].split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, message and process.

    If known, also endpoint, seconds, error (its class) and traceback.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, str | float] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": logging.LogRecord.getMessage(record)[:MOST_CHARACTERS],  # JSON escapes it itself
            "process": self._process,
        }
        if request := _request.get():
            fields |= {"endpoint": request[0], "seconds": round(time.monotonic() - request[1], 4)}
        if error := getattr(record, "error", None):
            fields["error"] = error
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)[:MOST_OF_TRACEBACK]
        return escape_hidden(json.dumps(fields, ensure_ascii=False))


class _Seldom(logging.Filter):
    _quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        is_due = record.created >= self._quiet_until
        if is_due:
            self._quiet_until = record.created + _QUIET_SECONDS
        return is_due


def start(level: str, form: str, process: str, *, replace: bool = False) -> None:
    """Log to stderr from now on, records of `level` and above.

    Args:
        form: "text" or "json".
        process: the name of this process, e.g. "video_loader".
        replace: also if logging is set up already; it is then set up again.
    """
    logging.setLogRecordFactory(PlainRecord)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(process) if form == JSON else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=replace)
    logging.getLogger(_TRACES_LOGGER).addFilter(_Seldom())


def is_json() -> bool:
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


@contextmanager
def request(endpoint: str) -> Iterator[None]:
    """Mark records logged inside as part of a request to this endpoint, which arrives now."""
    token = _request.set((endpoint, time.monotonic()))
    try:
        yield
    finally:
        _request.reset(token)


def about(error: Exception) -> Mapping[str, str]:
    """The `extra` of a record about an error."""
    return {"error": type(error).__name__}
