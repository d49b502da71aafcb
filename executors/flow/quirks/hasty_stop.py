"""Jina 3.34: a server that must stop closes its executor first, in the event loop, and then drops all requests.

Until the executor has finished the work under way, the server takes further requests and answers none. So here it first
refuses what has not begun, which the gateway sends to another replica, and answers the rest.
"""

import os
from collections.abc import Callable

from jina.serve.runtimes.servers.grpc import GRPCServer

from clipseek.config.settings import START_ERRORS_VARIABLE

# For what is under way. `clipseek serve` kills its processes after 3.5 s, Kubernetes after 60.
SERVICE_SECONDS, POD_SECONDS = 2.5, 50.0
_jina_shutdown = GRPCServer.shutdown


def finish_before_stop(refuse_waiting: Callable[[], None] = lambda: None) -> None:
    """Have the server of this process answer what is under way before it stops."""

    async def shutdown(server: GRPCServer) -> None:
        refuse_waiting()
        await server.server.stop(SERVICE_SECONDS if START_ERRORS_VARIABLE in os.environ else POD_SECONDS)
        await _jina_shutdown(server)

    GRPCServer.shutdown = shutdown
