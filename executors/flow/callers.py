"""The caller of a request and its route, signed by the gateway and verified by each executor.

The executors' ports are open to every program of their machine. So the gateway puts the caller into each request's
`parameters`, signed with a secret that only the processes of one Flow share. A signature is valid for one endpoint, for
the executors of the route, for a limited time, and once in each executor. By the route the first executor knows that a
document comes straight from the caller, and the later ones that it comes from the executors before them.
"""

import hashlib
import hmac
import itertools
import json
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cachetools import TTLCache

from clipseek.api.errors import AccessDenied
from clipseek.config.libraries import MAIN

_CALLER, _SIGNATURE = "clipseek_caller", "clipseek_signature"
LIFETIME_SECONDS = 900.0  # longer than a request waits in the chain: clients give up after 600 s
_PROGRAM, _requests = secrets.token_hex(8), itertools.count()  # with the id of this process, a number is unique
_BLOCK = 8192  # requests whose use is noted together, a bit for each


@dataclass(frozen=True)
class Caller:
    """Who makes a request, and what for.

    Attributes:
        library: the library of this request.
        server_folders: whether the caller may use videos in folders of the server.
        route: the executors that the request passes, in order.
        filed_by: of the service itself, which works on a job: who filed that; "" where it works on none.
        model: the name of the model that answers in the library; "": the server's own.
    """

    name: str
    library: str = MAIN
    server_folders: bool = False
    route: tuple[str, ...] = ()
    model: str = ""
    filed_by: str = ""

    @property
    def owner(self) -> str:
        """Whose work the request is: who waits in turn for it, and whom the audit log names. It gives no right."""
        return self.filed_by or self.name


def signed(caller: Caller, endpoint: str, secret: str, now: float) -> dict[str, str]:
    """The parameters of a request to an endpoint."""
    number = f"{_PROGRAM}.{os.getpid()}", next(_requests)
    text = json.dumps({**asdict(caller), "endpoint": endpoint, "until": now + LIFETIME_SECONDS, "number": number})
    return {_CALLER: text, _SIGNATURE: _signature(text, secret)}


class Used:
    """Which numbers of requests were used. It forgets them once no request with them is valid.

    One caller may send 180,000 requests while the first is valid: with a bit for each they take 23 KB.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        # Kept a second longer than any request is valid, from the last use of a block on.
        self._blocks: TTLCache[tuple[str, int], bytearray] = TTLCache(math.inf, LIFETIME_SECONDS + 1, timer=clock)

    def add(self, process: str, number: int) -> bool:
        """Note a number. Returns: whether it is new."""
        index, place = divmod(number, _BLOCK)
        block = self._blocks.get((process, index), bytearray(_BLOCK // 8))
        self._blocks[process, index] = block
        byte, bit = divmod(place, 8)
        is_new = not block[byte] >> bit & 1
        block[byte] |= 1 << bit
        return is_new


class Verifier:
    """Accepts callers that the gateway signed. Safe for threads.

    Args:
        executor: the name of the executor that verifies.
    """

    def __init__(self, secret: str, executor: str, clock: Callable[[], float] = time.time) -> None:
        self.executor, self._secret, self._clock = executor, secret, clock
        self._used = Used(clock)
        self._lock = threading.Lock()

    def caller(self, parameters: Mapping[str, Any], endpoint: str) -> Caller:
        """The caller of a request. Raises: AccessDenied: it did not come from the gateway, or was used here before."""
        caller, number, until = self._signed(parameters, endpoint)
        now = self._clock()
        with self._lock:
            if until < now or not self._used.add(*number):
                raise _not_from_the_gateway()
        return caller

    def check(self, parameters: Mapping[str, Any], endpoint: str) -> Caller:
        """The same without using the request up. Raises: AccessDenied: it did not come from the gateway."""
        return self._signed(parameters, endpoint)[0]

    def _signed(self, parameters: Mapping[str, Any], endpoint: str) -> tuple[Caller, tuple[str, int], float]:
        """Returns: the caller, the request's number, and until when it is valid."""
        text, signature = str(parameters.get(_CALLER, "")), str(parameters.get(_SIGNATURE, ""))
        expected = _signature(text, self._secret)
        if not self._secret or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise _not_from_the_gateway()
        facts = json.loads(text)
        caller_endpoint, number, until = facts.pop("endpoint"), facts.pop("number"), facts.pop("until")
        caller = Caller(**facts | {"route": tuple(facts["route"])})
        is_here = caller_endpoint == endpoint and self.executor in caller.route
        if not is_here or until < self._clock():
            raise _not_from_the_gateway()
        process, count = number
        return caller, (process, count), until


def _signature(text: str, secret: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _not_from_the_gateway() -> AccessDenied:
    return AccessDenied(
        "This request did not come through the gateway. Send it there: an executor's own port answers only the gateway."
    )
