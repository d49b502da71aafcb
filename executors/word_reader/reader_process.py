"""The process that reads words. It starts with the first span and ends when no more come: then it needs no memory."""

import logging

from clipseek.config.settings import Settings
from executors.machine.worker import WorkerOptions, WorkerPool
from executors.word_reader.material import ReaderOptions, SpanMaterial, SpanReading

logger = logging.getLogger(__name__)

_MODULE = "executors.word_reader.reading"
_NICENESS = 15  # people wait for pictures and searches, not for words
_IDLE_SECONDS = 30.0
# A span that takes so many times its length hangs. Speech takes a fifth of it on two processors, stills as much.
_TIMES_LENGTH, _LOADING_SECONDS = 20, 120.0


class ReaderProcess:
    """Reads spans one at a time. Any thread may call `read`.

    Attributes:
        options: what it reads with.
    """

    def __init__(self, settings: Settings, options: ReaderOptions, idle_seconds: float = _IDLE_SECONDS) -> None:
        self.options = options
        self._pool = WorkerPool(
            1,
            WorkerOptions(
                module=_MODULE,
                memory_bytes=settings.max_worker_gb * 1e9,
                explain=explain_error,
                crash_advice="Read the words of this video again, or leave some out with CLIPSEEK_WORDS",
                log_level=settings.log_level,
                log_format=settings.log_format,
                niceness=_NICENESS,
                idle_seconds=idle_seconds,
                ends_when_idle=True,
                name="word reader",
            ),
        )

    def read(self, material: SpanMaterial, video_id: str) -> SpanReading:
        """The words of a span. Raises: the errors of `WorkerPool.run`."""
        start, end = material.start_seconds, material.end_seconds
        what = f"reading the words of [{start:g}, {end:g}) s of video {video_id[:12]}"
        deadline = _LOADING_SECONDS + _TIMES_LENGTH * (end - start)
        return self._pool.run(what, deadline, _read_span, material, self.options)

    def close(self) -> None:
        """End the process at once."""
        self._pool.close()


def _read_span(material: SpanMaterial, options: ReaderOptions) -> SpanReading:
    from executors.word_reader.reading import read_span  # only here: the executor imports nothing that takes memory

    return read_span(material, options)


def explain_error(what: str, error: Exception) -> Exception:
    """What the caller sees of an unexpected error: a bug, or one of the system."""
    logger.error("%s failed", what, exc_info=error)
    return error
