"""Decodes images of queries in a process of its own: what hangs, crashes or uses up memory fails only its own query."""

import logging
import signal
from collections.abc import Mapping
from types import MappingProxyType

from clipseek.api.errors import ClipSeekError, DeadlineExceeded, DecoderCrashed, LimitExceeded, UnreadableImage
from clipseek.config.settings import Settings
from executors.machine.worker import WorkerOptions, WorkerPool
from executors.query_images import image_file

logger = logging.getLogger(__name__)

MOST_SECONDS = 5.0  # of processor time, so that busy cores refuse nobody; a photograph of 49 megapixels takes 0.8 s
PATIENCE_SECONDS = 30.0  # by the clock
MOST_BYTES = 1_000_000_000  # of memory; that photograph takes a quarter of it
_REASONS: Mapping[type[ClipSeekError], str] = MappingProxyType(
    {
        DeadlineExceeded: f"takes more than {PATIENCE_SECONDS:g} s to decode",
        LimitExceeded: f"takes more than {MOST_BYTES / 1e9:g} GB of memory to decode",
        DecoderCrashed: "crashed its decoder",
    }
)


class ImageDecoder:
    """A process that decodes one image at a time. It starts with the first image. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._options = WorkerOptions(
            module=__name__,
            memory_bytes=MOST_BYTES,
            explain=explain_error,
            crash_advice="Save the image again",
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        self._pool: WorkerPool | None = None

    def read(self, data: bytes, title: str = "the image") -> image_file.Pictures:
        """Decode an image file, as `read_image` does. Raises: UnreadableImage: that fails, or takes too long."""
        image_file.check_size(data, title)
        if self._pool is None:
            self._pool = WorkerPool(1, self._options)
        try:
            return self._pool.run(f"'{title}'", PATIENCE_SECONDS, read_in_time, MOST_SECONDS, data, title)
        except tuple(_REASONS) as error:
            is_slow = signal.SIGPROF.name in str(error)
            reason = f"takes more than {MOST_SECONDS:g} s to decode" if is_slow else _REASONS[type(error)]
            raise UnreadableImage(f"'{title}' {reason}. Save it smaller, as JPEG or PNG.") from error

    def close(self) -> None:
        """End the process at once, if it was started."""
        if self._pool is not None:
            self._pool.close()


def read_in_time(seconds: float, data: bytes, title: str) -> image_file.Pictures:
    """`read_image` in a worker, which the system kills with SIGPROF after so many seconds of processor time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return image_file.read_image(data, title)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def explain_error(what: str, error: Exception) -> Exception:
    """Name an error that `read_image` does not know."""
    logger.error("%s failed", what, exc_info=error)
    return UnreadableImage(f"{what} cannot be read ({type(error).__name__}: {error}). Save it again.")
