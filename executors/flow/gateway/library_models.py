"""Which model answers in a library: the gateway asks the indexer, and tells the encoders with each request.

After a change of the model, requests under way, and through other gateways those of up to `FRESH_SECONDS`, are still
embedded by the one before. The indexer answers those by that one's vectors, which it keeps.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

import grpc
from cachetools import LRUCache
from jina.types.request.data import DataRequest

from clipseek.api.endpoints import IMAGE_ENCODER, INDEXER, TEXT_ENCODER
from clipseek.api.errors import ClipSeekError, ServerFailed, ServerNotReady, error_from_name
from clipseek.config.access import SERVER
from clipseek.schema import DocList, Model
from executors.flow.callers import Caller, signed

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0  # of an answer: asking takes a few milliseconds
ASK_SECONDS = 2.0  # then a request goes with what was known last
FIRST_SECONDS = 8.0  # where nothing was known yet; clients wait 10 s for /health
_MOST_LIBRARIES = 10_000
_ENDPOINT = "/model"
ENCODERS = {IMAGE_ENCODER, TEXT_ENCODER}


class Pool(Protocol):
    """Sends requests to executors, as `ReplicaPool`."""

    async def send_requests_once(self, requests: list[Any], deployment: str) -> tuple[Any, Mapping[str, Any]]: ...


class LibraryModels:
    """The name of each library's model. For one event loop.

    Args:
        pool: the connections to the executors.
        secret: the Flow's own, to sign with.
    """

    def __init__(self, pool: Pool, secret: str) -> None:
        self._pool, self._secret = pool, secret
        self._known: LRUCache[str, tuple[str, float]] = LRUCache(_MOST_LIBRARIES)

    async def name_for(self, route: tuple[str, ...], library: str) -> str:
        """The model for a request; "" where no model concerns it, or the library has none: then the server's own.

        Raises: ServerNotReady, or the indexer's error: it does not say, and never has. A guess could be wrong.
        """
        if len(route) == 1 or not ENCODERS & set(route):
            return ""
        known = self._known.get(library)
        if known and time.monotonic() - known[1] < FRESH_SECONDS:
            return known[0]
        try:
            async with asyncio.timeout(ASK_SECONDS if known else FIRST_SECONDS):
                name = await self._ask(library)
        except (ClipSeekError, grpc.aio.AioRpcError, TimeoutError) as error:
            logger.info("the model of the library '%s' is not known now: %s", library, error)
            if known is None:
                raise error if isinstance(error, ClipSeekError) else _unknown() from error
            name = known[0]
        self._known[library] = name, time.monotonic()
        return name

    def forget(self, library: str) -> None:
        """Ask again for the next request: the model has just changed."""
        self._known.pop(library, None)

    async def _ask(self, library: str) -> str:
        request = DataRequest()
        request.header.exec_endpoint = _ENDPOINT
        request.header.target_executor = f"^({INDEXER})$"
        request.parameters = signed(Caller(SERVER, library, route=(INDEXER,)), _ENDPOINT, self._secret, time.time())
        request.data.docs = DocList[Model]([Model()])
        answer, metadata = await self._pool.send_requests_once([request], INDEXER)
        if "is-error" in metadata:
            exception = answer.status.exception
            raise error_from_name(exception.name, *(list(exception.args[:2]) or [""])) or ServerFailed(
                answer.status.description
            )
        answer.document_array_cls = DocList[Model]
        return str(answer.docs[0].name)


def _unknown() -> ServerNotReady:
    return ServerNotReady(
        "The indexer of the server does not say which model your library uses. Try again in a moment.", executor=INDEXER
    )
