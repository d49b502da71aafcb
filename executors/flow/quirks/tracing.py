"""OpenTelemetry's OTLP exporter, as Jina 3.34 uses it: while its collector is down it tries for ten seconds, even when
the process is about to end. Version 1.15, which pip installs with Jina, tries for a minute.
"""

import os
from collections.abc import Iterator

from clipseek.config.settings import Settings


def export_traces_once() -> None:
    """Have the exporter of traces, if there is one, try each batch for a second.

    Call it before Jina creates the exporter.
    """
    if not Settings.from_env().otlp:
        return
    from opentelemetry.exporter.otlp.proto.grpc import exporter

    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    exporter._expo = _pauses  # type: ignore[attr-defined]  # only 1.15 reads it


def _pauses(max_value: float) -> Iterator[float]:
    """The pauses before each try; at the longest one the exporter gives up."""
    yield from (0.0, max_value)
