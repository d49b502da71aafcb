"""Jina 3.34: how the gateway knows and reaches the executors is fit for good days only.

It asks each executor for its endpoints, and opens its port once all have answered: while one is away, it serves
nothing. It asks each replica for its methods, without a time limit, so a frozen one holds requests forever. And it says
in an error text only which executor is away.

So here it reads the endpoints from our table, and has connections of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jina._docarray import LegacyDocumentJina
from jina.serve.executors import __dry_run_endpoint__ as DRY_RUN  # noqa: N812 (a constant)
from jina.serve.runtimes.gateway.graph.topology_graph import TopologyGraph
from jina.serve.runtimes.gateway.streamer import GatewayStreamer

from clipseek.api.endpoints import ENDPOINTS
from clipseek.schema import document_class
from executors.flow.gateway.replicas import ReplicaPool


def use_own_connections() -> None:
    """Have the gateways of this process connect to the executors by a `ReplicaPool`."""
    GatewayStreamer._create_connection_pool = _make_pool


def _make_pool(
    _streamer: GatewayStreamer,
    addresses: Mapping[str, Sequence[str]],
    _compression: Any,
    _registry: Any,
    _meter: Any,
    _logger: Any,
    interceptors: Sequence[Any] | None,
    *_: Any,
) -> ReplicaPool:
    return ReplicaPool(addresses, interceptors)


def describe_endpoints(graph: TopologyGraph) -> None:
    """Tell a gateway's graph what it would ask the executors. Each has every endpoint: the door chooses the route."""
    documents = {path: document_class(row.document) for path, row in ENDPOINTS.items()} | {DRY_RUN: LegacyDocumentJina}
    models = {
        path: {
            "input": document,
            "output": document,
            "is_generator": False,
            "is_singleton_doc": False,
            "parameters": None,
        }
        for path, document in documents.items()
    }
    for node in graph.all_nodes:
        node.endpoints, node._pydantic_models_by_endpoint = list(models), models
    graph._all_endpoints = set(models)
