"""The Flow's gateway: Jina's own for gRPC, which ends when the process that started it ends."""

import asyncio
from typing import Any

from jina.serve.runtimes.gateway.grpc import GRPCGateway

from executors.cancelling import called_back, note_tasks
from executors.lifetime import end_with_parent


class ClipSeekGateway(GRPCGateway):  # type: ignore[misc]  # jina has no types
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        end_with_parent()

    async def setup_server(self) -> None:
        note_tasks(asyncio.get_running_loop())
        self._request_handler.Call = called_back(self._request_handler.Call)  # by that name gRPC knows it
        await super().setup_server()
