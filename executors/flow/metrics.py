"""The metrics for Prometheus; docs/monitoring.md explains each of them.

Every process of the Flow counts for itself. `clipseek serve` collects the counts of all
(clipseek/service/metrics_server.py); where each process runs in a pod of its own, each serves its own counts. Labels
are names from this code, never text that a caller sent.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server

from clipseek.api.endpoints import ENDPOINTS
from clipseek.api.errors import ClipSeekError
from clipseek.config.settings import SHARED_METRICS_VARIABLE, Settings
from clipseek.service.stored_metrics import StoredMetrics

logger = logging.getLogger(__name__)

OTHER = "other"  # the label of names that are not ours: bugs, and endpoints that do not exist
GATEWAY = "gateway"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REQUEST_SECONDS = Histogram(
    "clipseek_request_seconds",
    "Time from a request's arrival at the gateway to its answer.",
    ["endpoint"],
    buckets=_FAST,
)
STEP_SECONDS = Histogram(
    "clipseek_step_seconds", "Work of one step on one span or query, without waiting.", ["step"], buckets=_FAST
)
UNDER_WAY = Gauge(
    "clipseek_requests_under_way",
    "Requests that an executor, or the gateway, has not answered yet.",
    ["executor", "endpoint"],
    multiprocess_mode="livesum",
)
AT_WORK = Gauge(
    "clipseek_steps_at_work", "Spans and queries that a step is working on.", ["step"], multiprocess_mode="livesum"
)
ERRORS = Counter("clipseek_errors", "Requests that were refused or failed.", ["executor", "endpoint", "error"])
CACHE_LOOKUPS = Counter("clipseek_cache_lookups", "Lookups in a cache.", ["cache"])
CACHE_MISSES = Counter(
    "clipseek_cache_misses", "Lookups that found nothing, so that it was made or fetched.", ["cache"]
)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Time the work of a step: "decode", "encode", "store", "text" or "index"."""
    with AT_WORK.labels(name).track_inprogress(), STEP_SECONDS.labels(name).time():
        yield


@contextmanager
def under_way(executor: str, endpoint: str) -> Iterator[None]:
    """Count a request while it is answered, and its error if it fails."""
    with UNDER_WAY.labels(executor, endpoint).track_inprogress():
        try:
            yield
        except Exception as error:
            count_error(executor, endpoint, error)
            raise


def count_error(executor: str, endpoint: str, error: BaseException) -> None:
    """Count a request that was refused or failed, by the error's name."""
    name = type(error).__name__ if isinstance(error, ClipSeekError) else OTHER
    ERRORS.labels(executor, _label(endpoint), name).inc()


def _label(endpoint: str) -> str:
    return endpoint if endpoint in ENDPOINTS else OTHER


class Arrival:
    """A request that has arrived at the gateway."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = OTHER
        self._arrived_at = time.monotonic()
        UNDER_WAY.labels(GATEWAY, self._endpoint).inc()
        self.name(endpoint)

    def name(self, endpoint: str) -> None:
        """Say which endpoint it is for, once that is known."""
        UNDER_WAY.labels(GATEWAY, self._endpoint).dec()
        self._endpoint = _label(endpoint)
        UNDER_WAY.labels(GATEWAY, self._endpoint).inc()

    def refused(self, error: BaseException) -> None:
        """Count a request that is not admitted."""
        UNDER_WAY.labels(GATEWAY, self._endpoint).dec()
        count_error(GATEWAY, self._endpoint, error)

    def answered(self) -> None:
        """Count a request that was answered, or that its caller gave up."""
        UNDER_WAY.labels(GATEWAY, self._endpoint).dec()
        REQUEST_SECONDS.labels(self._endpoint).observe(time.monotonic() - self._arrived_at)


def serve_own(settings: Settings, stored_libraries: Callable[[], list[str]] = list) -> None:
    """Serve the metrics of this process, unless they are off or `clipseek serve` collects those of all processes.

    Args:
        stored_libraries: lists the libraries whose store this process keeps; by default none.
    """
    if not settings.metrics_port or SHARED_METRICS_VARIABLE in os.environ:
        return
    REGISTRY.register(StoredMetrics(settings, stored_libraries))
    try:
        start_http_server(settings.metrics_port, settings.metrics_bind)
    except OSError as error:
        logger.warning(
            "This process serves no metrics: port %d on %s cannot be used (%s). Only one process of a machine can use "
            "it; `clipseek serve` collects the metrics of all.",
            settings.metrics_port,
            settings.metrics_bind,
            error.strerror,
        )
