"""Jina 3.34: when an executor is down or crashes, the gateway says which one in an error text only.

So the gateway raises our own error instead. It crosses the wire with the executor's name as data, and by it the client
decides what to repeat.
"""

from typing import Any

import grpc
from jina.excepts import InternalNetworkError
from jina.serve.runtimes.gateway.graph.topology_graph import TopologyGraph

from clipseek.api.errors import RequestLost, ServerNotReady
from clipseek.api.quirks import never_connected

Node = TopologyGraph._ReqReplyNode
_jina_handler = Node._handle_internalnetworkerror


def raise_own_errors() -> None:
    """Have the gateway of this process raise `ServerNotReady` and `RequestLost`."""
    Node._handle_internalnetworkerror = _handle


def _handle(node: Any, error: InternalNetworkError) -> None:
    if error.code() != grpc.StatusCode.UNAVAILABLE:
        _jina_handler(node, error)
    elif never_connected(error.details()):
        raise ServerNotReady(
            f"The {node.name} of the server is down. The server restarts it; `clipseek doctor` shows its state.",
            executor=node.name,
        ) from error
    else:
        raise RequestLost(
            f"The {node.name} of the server crashed while it worked on the request. The server restarts it. If this "
            f"happens each time, see the server's log.",
            executor=node.name,
        ) from error
