"""Limits each caller: requests per second, requests at a time, and a fair turn among the others.

Each caller has a lane for each endpoint. A lane lets a few requests through to the executors at a time; the others wait
in it. So a caller who floods one endpoint waits in a queue of their own, and delays the others by a few requests only.
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
class _Account:
    tokens: float  # of a token bucket, full at first
    filled_at: float
    under_way: int = 0
    lanes: defaultdict[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(LANE_WIDTH))
    )


class Rates:
    """The limits of every caller. For one event loop."""

    def __init__(self, per_second: float, under_way: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._max_under_way, self._clock = per_second, under_way, clock
        self._callers: dict[str, _Account] = {}

    async def enter(self, caller: str, endpoint: str) -> Callable[[], None]:
        """Wait for the caller's turn at an endpoint. Returns: a function to call when the request is answered.

        Raises: TooManyRequests: the caller has too many requests under way, or sends them too fast.
        """
        account = self._callers.setdefault(caller, _Account(self._per_second * BURST_SECONDS, self._clock()))
        if account.under_way >= self._max_under_way:
            raise TooManyRequests(
                f"'{caller}' has {account.under_way} requests under way, the most allowed at a time. Wait for an "
                f"answer before the next one; the operator can allow more with CLIPSEEK_REQUESTS_UNDER_WAY."
            )
        self._take_token(account, caller)
        lane = account.lanes[endpoint]
        account.under_way += 1
        try:
            await lane.acquire()
        except BaseException:
            account.under_way -= 1
            raise

        def leave() -> None:
            lane.release()
            account.under_way -= 1

        return leave

    def _take_token(self, account: _Account, caller: str) -> None:
        now = self._clock()
        full = self._per_second * BURST_SECONDS
        account.tokens = min(full, account.tokens + (now - account.filled_at) * self._per_second)
        account.filled_at = now
        if account.tokens < 1:
            raise TooManyRequests(
                f"'{caller}' sends more than {self._per_second:g} requests a second, the most allowed. Slow down and "
                f"repeat the request; the operator can allow more with CLIPSEEK_REQUESTS_PER_SECOND."
            )
        account.tokens -= 1
