"""Limits each caller: work per second, requests at a time, open calls, and a fair turn among the others.

The unit of work is a document, `BYTES_OF_WORK` of a request, or `FIELDS_OF_WORK`: 100 searches in one request weigh as
much as in 100.

Each caller has a lane for each endpoint. A lane lets a few requests through to the executors at a time; the others wait
in it. So a caller who floods one endpoint waits in a queue of their own, and delays the others by a few requests only.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from clipseek.api.errors import TooManyRequests
from executors.flow.gateway.request_size import RequestSize

BURST_SECONDS = 2.0  # of work that may come at once after a pause
LEAST_BURST = 64  # however low the rate: a query counts with each of its parts
BYTES_OF_WORK = 4 * 1024 * 1024  # a chunk of an upload
FIELDS_OF_WORK = 500  # reading them takes as long as a search
CALLS_PER_REQUEST = 2  # open at a time, for each request allowed under way; an empty one takes 30 KB of the gateway
LANE_WIDTH = 8  # twice what a client has under way of one kind: a video's four chunks, or four spans


@dataclass
class _Account:
    tokens: float  # of a token bucket, full at first
    filled_at: float
    under_way: int = 0
    open_calls: int = 0
    lanes: defaultdict[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(LANE_WIDTH))
    )


class Rates:
    """The limits of every caller. For one event loop."""

    def __init__(self, per_second: float, under_way: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._max_under_way, self._clock = per_second, under_way, clock
        self._full = max(per_second * BURST_SECONDS, LEAST_BURST)
        self._callers: dict[str, _Account] = {}

    async def enter(self, caller: str, endpoint: str, size: RequestSize) -> Callable[[], None]:
        """Wait for the caller's turn at an endpoint of the table. Returns: a function to call when it is answered.

        Raises: TooManyRequests: the caller has too many requests under way, or sends them too fast.
        """
        account = self._account(caller)
        if account.under_way >= self._max_under_way:
            raise TooManyRequests(
                f"'{caller}' has {account.under_way} requests under way, the most allowed at a time. Wait for an "
                f"answer before the next one; the operator can allow more with CLIPSEEK_REQUESTS_UNDER_WAY."
            )
        self._take_tokens(account, caller, _work(size))
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

    @contextmanager
    def open_call(self, caller: str) -> Iterator[None]:
        """Count a call while it is open, whether it holds requests or not. Raises: TooManyRequests."""
        account, most = self._account(caller), CALLS_PER_REQUEST * self._max_under_way
        if account.open_calls >= most:
            raise TooManyRequests(
                f"'{caller}' has {account.open_calls} calls open, the most allowed at a time. End some of them first; "
                f"the operator can allow more with CLIPSEEK_REQUESTS_UNDER_WAY."
            )
        account.open_calls += 1
        try:
            yield
        finally:
            account.open_calls -= 1

    def require(self, caller: str) -> None:
        """Check that a caller may send anything now. Raises: TooManyRequests."""
        self._take_tokens(self._account(caller), caller, 1)
        self._account(caller).tokens += 1

    def charge(self, caller: str, size: RequestSize) -> None:
        """Count a request that was refused."""
        account = self._account(caller)
        account.tokens = max(0.0, account.tokens - _work(size))

    def _account(self, caller: str) -> _Account:
        """A caller's account, with the tokens that have come in since."""
        now = self._clock()
        account = self._callers.setdefault(caller, _Account(self._full, now))
        account.tokens = min(self._full, account.tokens + (now - account.filled_at) * self._per_second)
        account.filled_at = now
        return account

    def _take_tokens(self, account: _Account, caller: str, work: int) -> None:
        if account.tokens < work:
            advice = (
                "Slow down and repeat it" if work <= self._full else f"Send at most {self._full:.0f} in one request"
            )
            raise TooManyRequests(
                f"'{caller}' sends more than {self._per_second:g} documents a second, the most allowed: this request "
                f"counts as {work}. {advice}; the operator can allow more with CLIPSEEK_REQUESTS_PER_SECOND."
            )
        account.tokens -= work


def _work(size: RequestSize) -> int:
    return max(1, size.documents, size.size_bytes // BYTES_OF_WORK, size.fields // FIELDS_OF_WORK)
