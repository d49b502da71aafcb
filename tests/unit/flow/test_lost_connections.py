"""An executor that is down: from Jina's error inside the gateway, through the answer, to the client's error."""

import grpc
import pytest
from jina.excepts import InternalNetworkError
from jina.serve.runtimes.gateway.graph.topology_graph import TopologyGraph
from jina.types.request.data import DataRequest

from clipseek.api.errors import RequestLost, ServerNotReady
from clipseek.client.transport import _translated
from executors.flow.quirks.lost_connections import raise_own_errors


def broken(code: grpc.StatusCode, details: str) -> InternalNetworkError:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
    return InternalNetworkError(error, details=details)


@pytest.fixture
def node(monkeypatch) -> TopologyGraph._ReqReplyNode:
    kind = TopologyGraph._ReqReplyNode
    monkeypatch.setattr(kind, "_handle_internalnetworkerror", kind._handle_internalnetworkerror)  # restored afterwards
    raise_own_errors()
    return kind("indexer")


@pytest.mark.parametrize(
    ("details", "kind"),
    [("recvmsg:Connection reset by peer", RequestLost), ("failed to connect to all addresses", ServerNotReady)],
)
def test_the_gateway_names_the_executor_that_is_down_as_data(node, details, kind):
    with pytest.raises(kind) as raised:
        node._handle_internalnetworkerror(broken(grpc.StatusCode.UNAVAILABLE, details))
    answer = DataRequest()
    answer.add_exception(raised.value)
    translated = _translated(answer.header.status)
    assert (type(translated), translated.executor) == (kind, "indexer")
    assert str(translated) == str(raised.value) and str(translated).startswith("The indexer of the server ")


def test_other_failures_stay_jinas(node):
    with pytest.raises(InternalNetworkError, match="timed out"):
        node._handle_internalnetworkerror(broken(grpc.StatusCode.DEADLINE_EXCEEDED, "late"))
