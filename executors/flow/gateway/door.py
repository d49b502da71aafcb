"""The gateway's door: each call of the gRPC server comes from a known caller, within its limits, or is refused.

Only the standard health service is open to all: by it the Flow and orchestrators see that the server is up. A caller is
known by its token in the metadata `authorization: Bearer TOKEN`; `clipseek-library: NAME` chooses among the token's
libraries.
"""

import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc

from clipseek.api.errors import AccessDenied, ClipSeekError
from clipseek.config.access import ANYONE, SERVER, AccessFile, Grant
from clipseek.config.libraries import MAIN
from executors.flow.callers import Caller, signed
from executors.flow.gateway.rates import Rates
from executors.flow.metrics import Arrival
from executors.flow.quirks.own_port import abort_with

logger = logging.getLogger(__name__)

HEALTH = "/grpc.health.v1.Health/"
CALL = "/jina.JinaRPC/Call"
SINGLE = "/jina.JinaSingleDataRequestRPC/process_single_data"
# Calls that inform a known caller: is the Flow up, which endpoints it has, which version it is.
INFO_METHODS = (
    "/jina.JinaGatewayDryRunRPC/dry_run",
    "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery",
    "/jina.JinaInfoRPC/_status",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


class Doorkeeper:
    """Identifies callers by the metadata of their calls.

    Args:
        access: the tokens.
        secret: the Flow's own, which the service uses as its token.
        may_be_open: whether a service without tokens serves everyone.
    """

    def __init__(self, access: AccessFile, secret: str, *, may_be_open: bool) -> None:
        self._access, self._secret, self._may_be_open = access, secret, may_be_open

    def caller(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """The caller, and the library that the call is for. Raises: AccessDenied, StoreError."""
        texts = {key: value for key, value in metadata if isinstance(value, str)}
        scheme, _, token = texts.get("authorization", "").partition(" ")
        grant = self._grant(token.strip() if scheme.lower() == "bearer" else "")
        library = texts.get("clipseek-library") or grant.libraries[0]
        if library not in grant.libraries:
            raise AccessDenied(f"Your token does not open the library '{library[:80]}'. Name another one, or none.")
        return Caller(grant.name, library, grant.server_folders)

    def _grant(self, token: str) -> Grant:
        if token and hmac.compare_digest(token.encode(), self._secret.encode()):
            return Grant(SERVER, "", (MAIN,), server_folders=True, created_at="")
        if self._access.is_open and self._may_be_open:
            return Grant(ANYONE, "", (MAIN,), server_folders=True, created_at="")
        grant = self._access.grant_of(token) if token else None
        if grant is None:
            problem = "does not know this token" if token else "requires a token"
            raise AccessDenied(
                f"The server {problem}. Its operator makes one with `clipseek token add NAME`; set CLIPSEEK_TOKEN."
            )
        return grant


class DoorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Admits calls, signs their caller into the request, and strips internal data from the answer.

    Args:
        door: identifies the caller.
        rates: limits each caller.
        secret: the Flow's own, to sign with.
        refusal: turns an error into the answer from which Jina's clients raise it.
    """

    def __init__(self, door: Doorkeeper, rates: Rates, secret: str, refusal: Callable[[Exception], Any]) -> None:
        self._door, self._rates, self._secret, self._refusal = door, rates, secret, refusal

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler
        if method == CALL:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(handler.stream_stream), handler.request_deserializer, handler.response_serializer
            )
        if method == SINGLE:
            return grpc.unary_unary_rpc_method_handler(
                self._single(handler.unary_unary), handler.request_deserializer, handler.response_serializer
            )
        if method not in INFO_METHODS:
            return abort_with(grpc.StatusCode.PERMISSION_DENIED, f"{method} is not offered here.")
        try:
            self._door.caller(handler_call_details.invocation_metadata)
        except ClipSeekError as error:
            logger.info("%s refused: %s", method, error)
            return abort_with(grpc.StatusCode.UNAUTHENTICATED, str(error))
        return handler

    def _stream(self, behaviour: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
        async def guarded(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            under_way: list[tuple[str, Callable[[], None]]] = []
            refused: list[ClipSeekError] = []

            async def admitted() -> AsyncIterator[Any]:
                async for request in requests:
                    try:
                        leave = await self._admit(request, context)
                    except ClipSeekError as error:
                        refused.append(error)  # the call ends after the requests before this one
                        return
                    under_way.append((request.header.exec_endpoint, leave))
                    yield request

            try:
                self._door.caller(context.invocation_metadata())  # before anything is read
                async for answer in behaviour(admitted(), context):
                    _leave(under_way, answer.header.exec_endpoint)
                    yield _plain(answer)
            except ClipSeekError as error:
                refused.append(error)
            finally:
                for _, leave in under_way:
                    leave()
            for refusal in refused:
                logger.info("refused: %s: %s", type(refusal).__name__, refusal)
                yield self._refusal(refusal)

        return guarded

    def _single(self, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            try:
                leave = await self._admit(request, context)
                try:
                    return _plain(await behaviour(request, context))
                finally:
                    leave()
            except ClipSeekError as error:
                logger.info("refused: %s: %s", type(error).__name__, error)
                return self._refusal(error)

        return guarded

    async def _admit(self, request: Any, context: Any) -> Callable[[], None]:
        """Wait for the request's turn and sign the caller into it. Returns: a function to call when it is answered."""
        endpoint = request.header.exec_endpoint
        arrival = Arrival(endpoint)
        try:
            caller = self._door.caller(context.invocation_metadata())
            leave = await self._rates.enter(caller.name, endpoint)
        except BaseException as error:
            arrival.refused(error)
            raise
        request.parameters = signed(caller, endpoint, self._secret, time.time())

        def done() -> None:
            leave()
            arrival.answered()

        return done


def _leave(under_way: list[tuple[str, Callable[[], None]]], endpoint: str) -> None:
    for place, (entered, leave) in enumerate(under_way):
        if entered == endpoint:
            del under_way[place]
            leave()
            return


def _plain(answer: Any) -> Any:
    """The answer without the signature, which is for executors only, and without tracebacks of the server."""
    answer.parameters = {}
    del answer.header.status.exception.stacks[:]
    return answer
