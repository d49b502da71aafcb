"""Decodes images of queries in a process of its own: what hangs, crashes or uses up memory fails only its own query."""

import logging
from collections.abc import Mapping
from types import MappingProxyType

from clipseek.api.errors import ClipSeekError, DeadlineExceeded, DecoderCrashed, LimitExceeded, UnreadableImage
from clipseek.config.settings import Settings
from executors.machine.worker import WorkerOptions, WorkerPool
from executors.query_images import image_file

logger = logging.getLogger(__name__)

MOST_SECONDS = 5.0  # a photograph of 50 megapixels takes 0.6 s
MOST_BYTES = 1_000_000_000  # of memory; that photograph takes a quarter of it
_REASONS: Mapping[type[ClipSeekError], str] = MappingProxyType(
    {
        DeadlineExceeded: f"takes more than {MOST_SECONDS:g} s to decode",
        LimitExceeded: f"takes more than {MOST_BYTES / 1e9:g} GB of memory to decode",
        DecoderCrashed: "crashed its decoder",
    }
)


class ImageDecoder:
    """A process that decodes one image at a time. It starts with the first image. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._options = WorkerOptions(
            module=image_file.__name__,
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
            return self._pool.run(f"'{title}'", MOST_SECONDS, image_file.read_image, data, title)
        except tuple(_REASONS) as error:
            raise UnreadableImage(f"'{title}' {_REASONS[type(error)]}. Save it smaller, as JPEG or PNG.") from error

    def close(self) -> None:
        """End the process at once, if it was started."""
        if self._pool is not None:
            self._pool.close()


def explain_error(what: str, error: Exception) -> Exception:
    """Name an error that `read_image` does not know."""
    logger.error("%s failed", what, exc_info=error)
    return UnreadableImage(f"{what} cannot be read ({type(error).__name__}: {error}). Save it again.")
