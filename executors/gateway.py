"""The Flow's gateway: Jina's own for gRPC, which ends when the process that started it ends."""

from typing import Any

from jina.serve.runtimes.gateway.grpc import GRPCGateway

from executors.lifetime import end_with_parent


class ClipSeekGateway(GRPCGateway):  # type: ignore[misc]  # jina has no types
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        end_with_parent()
