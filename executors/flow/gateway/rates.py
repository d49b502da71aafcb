"""How much one caller may ask for: so many requests a second, so many at a time, and not before the others' turn.

Each caller has a lane for each endpoint. A lane lets a few requests through to the executors at a time, the others
wait in it, so whoever floods one endpoint stands in a queue of his own: behind his few requests in each executor stand
those of the others.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from clipseek.api.errors import TooManyRequests

BURST_SECONDS = 2.0  # of requests that may come at once after a pause
LANE_WIDTH = 8  # twice what a client has under way of one kind: a video's four chunks, or four spans


@dataclass
class _Bucket:
    """A token bucket, full at first."""

    tokens: float
    filled_at: float


@dataclass
class _Books:
    """What is known of one caller."""

    bucket: _Bucket
    under_way: int = 0
    lanes: defaultdict[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(LANE_WIDTH))
    )


class Rates:
    """The limits of every caller. For one event loop."""

    def __init__(self, per_second: float, under_way: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._most, self._clock = per_second, under_way, clock
        self._callers: dict[str, _Books] = {}

    async def enter(self, caller: str, endpoint: str) -> Callable[[], None]:
        """Wait for the caller's turn at an endpoint. Returns: what to call when the request is done.

        Raises:
            TooManyRequests: the caller has too many requests under way, or sends them too fast.
        """
        books = self._callers.setdefault(caller, _Books(_Bucket(self._per_second * BURST_SECONDS, self._clock())))
        if books.under_way >= self._most:
            raise TooManyRequests(
                f"'{caller}' has {books.under_way} requests under way, the most there may be at a time. Wait for an "
                f"answer before the next one; the operator can allow more with CLIPSEEK_REQUESTS_UNDER_WAY."
            )
        self._take(books.bucket, caller)
        lane = books.lanes[endpoint]
        books.under_way += 1
        try:
            await lane.acquire()
        except BaseException:
            books.under_way -= 1
            raise

        def leave() -> None:
            lane.release()
            books.under_way -= 1

        return leave

    def _take(self, bucket: _Bucket, caller: str) -> None:
        now = self._clock()
        most = self._per_second * BURST_SECONDS
        bucket.tokens = min(most, bucket.tokens + (now - bucket.filled_at) * self._per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise TooManyRequests(
                f"'{caller}' sends more than {self._per_second:g} requests a second, the most there may be. Slow down "
                f"and repeat it; the operator can allow more with CLIPSEEK_REQUESTS_PER_SECOND."
            )
        bucket.tokens -= 1
