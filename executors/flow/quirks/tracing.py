"""Jina's traces, made harmless: a collector that is away holds nothing up."""

import os
from collections.abc import Iterator

from clipseek.config.settings import Settings


def try_once() -> None:
    """Have the exporter of traces, where they are wanted, try each batch once and for a second.

    By itself it tries for a minute and sleeps in between, also when the process is to end. To be called before Jina
    makes the exporter.
    """
    if not Settings.from_env().otlp:
        return
    from opentelemetry.exporter.otlp.proto.grpc import exporter

    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    exporter._expo = _pauses


def _pauses(max_value: float) -> Iterator[float]:
    """Before each try; the exporter gives up when the longest is due."""
    yield from (0.0, max_value)
