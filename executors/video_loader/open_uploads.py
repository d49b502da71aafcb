"""Counts the uploads that callers have begun and not ended, so that nobody begins ever more."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clipseek.errors import ClipSeekError, TooManyRequests

FORGOTTEN_SECONDS = 3600.0  # an upload that no piece came of for so long counts no more; it may still go on

Upload = tuple[str, str]  # library and video id


class OpenUploads:
    """The open uploads of each caller, `most` at a time. Safe for threads."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._callers: defaultdict[str, dict[Upload, float]] = defaultdict(dict)
        self._lock = threading.Lock()

    @contextmanager
    def going_on(self, caller: str, upload: Upload) -> Iterator[None]:
        """Take a piece of an upload. One whose piece is refused counts no more, until its next piece.

        Raises:
            TooManyRequests: it would be one upload too many.
        """
        self.begin(caller, upload)
        try:
            yield
        except ClipSeekError:
            self.done(caller, upload)
            raise

    def begin(self, caller: str, upload: Upload) -> None:
        """Note that a piece of an upload has come. Raises: TooManyRequests: it would be one upload too many."""
        now = self._clock()
        with self._lock:
            uploads = self._callers[caller]
            for old in [each for each, seen in uploads.items() if seen < now - FORGOTTEN_SECONDS]:
                del uploads[old]
            if upload not in uploads and len(uploads) >= self._most:
                raise TooManyRequests(
                    f"'{caller}' has {len(uploads)} uploads open, the most there may be. Finish or delete one before "
                    f"the next; the operator can allow more with CLIPSEEK_OPEN_UPLOADS."
                )
            uploads[upload] = now

    def done(self, caller: str, upload: Upload) -> bool:
        """Note that an upload is complete or given up. Returns: whether it was open."""
        with self._lock:
            return self._callers[caller].pop(upload, None) is not None
