"""Sends each request to the executors that answer its endpoint.

Jina sends a request through the whole chain, where the other executors pass it on. A search would take half as long
again, and would wait for a loader that is down.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any

from clipseek.api.endpoints import ENDPOINTS

# Jina takes the executors of a request as a regular expression.
ROUTES: Mapping[str, str] = MappingProxyType(
    {path: f"^({'|'.join(row.executors)})$" for path, row in ENDPOINTS.items()}
)


def routed(stream: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """Wrap a gateway's way to answer requests: it names the executors of each request that names none."""

    async def answer(requests: AsyncIterator[Any], *args: Any, **options: Any) -> AsyncIterator[Any]:
        async def with_executors() -> AsyncIterator[Any]:
            async for request in requests:
                if not request.header.target_executor:
                    request.header.target_executor = ROUTES.get(request.header.exec_endpoint, "")
                yield request

        async for response in stream(with_executors(), *args, **options):
            yield response

    return answer
