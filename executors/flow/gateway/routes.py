"""Which executors a request is for.

Jina sends each request through the whole chain, where those that have nothing to do with it pass it on. A search would
take half as long again, and wait for a loader that is down.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any

from clipseek.api.endpoints import IMAGE_ENCODER, INDEXER, LOADER, TEXT_ENCODER

ROUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "/probe": (LOADER, IMAGE_ENCODER, INDEXER),
        "/index": (LOADER, IMAGE_ENCODER, INDEXER),
        "/search": (IMAGE_ENCODER, TEXT_ENCODER, INDEXER),
        "/timeline": (IMAGE_ENCODER, TEXT_ENCODER, INDEXER),
        "/calibrate": (TEXT_ENCODER, INDEXER),
        "/delete": (LOADER, INDEXER),
    }
)


def routed(stream: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    """A gateway's way to answer requests, which names the executors of those that name none."""

    async def answer(requests: AsyncIterator[Any], *args: Any, **options: Any) -> AsyncIterator[Any]:
        async def named() -> AsyncIterator[Any]:
            async for request in requests:
                route = ROUTES.get(request.header.exec_endpoint)
                if route and not request.header.target_executor:
                    request.header.target_executor = any_of(route)
                yield request

        async for each in stream(named(), *args, **options):
            yield each

    return answer


def any_of(executors: tuple[str, ...]) -> str:
    """The pattern by which Jina knows several executors."""
    return f"^({'|'.join(executors)})$"
