"""Each workaround for another library is still needed: a test fails once the library no longer has the fault.

Then remove the workaround, and its test.
"""

import asyncio
import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import yaml
from google.protobuf.message import DecodeError
from jina.excepts import InternalNetworkError
from jina.orchestrate.pods import factory
from jina.serve.executors import run
from jina.serve.helper import get_default_grpc_options
from jina.serve.networking.connection_stub import _ConnectionStubs as GrpcConnectionStub
from jina.serve.networking.utils import get_available_services
from jina.serve.runtimes.gateway.graph.topology_graph import TopologyGraph
from jina.serve.runtimes.servers.grpc import GRPCServer
from jina.serve.stream import RequestStreamer
from jina.types.request import Request
from jina.types.request.data import DataRequest

from clipseek.api.quirks import never_connected
from clipseek.machine.ports import free_port
from clipseek.service.stop import STOP_SECONDS
from executors.flow.quirks.own_port import ALLOWED_METHODS
from executors.flow.quirks.unread_sizes import measure_nothing
from tests.unit.flow.door_server import REFLECTION, open_call, served
from tests.unit.flow.replica_server import Executor, Link


def test_the_versions_that_the_quirks_name_are_installed():
    versions = {name: importlib.metadata.version(name) for name in ("jina", "docarray", "grpcio")}
    assert {name: version.rpartition(".")[0] for name, version in versions.items()} == {
        "jina": "3.34",
        "docarray": "0.41",
        "grpcio": "1.85",
    }


@pytest.mark.parametrize(
    ("first", "loaded"),
    [
        ("import docarray", True),
        ("import clipseek.schema", False),
        ("import executors.flow.pod", False),
        ("import executors.clip_encoder.image.executor, executors.clip_encoder.text.executor", False),
    ],
)
def test_docarray_by_itself_imports_torch(first, loaded):
    program = f"import sys; {first}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(loaded), done.stderr


def test_docarray_does_not_know_the_newer_pydantic():
    program = "import docarray"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True)
    assert "PydanticDeprecated" in done.stderr


def test_grpc_tells_a_refused_connection_from_a_broken_one_only_by_its_text():
    async def failure_at(port: int) -> grpc.aio.AioRpcError:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary("/any/call")(b"", timeout=30)
            return raised.value

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # the settings of HTTP/2: now the call is sent
        await reader.read(100)
        while b"/any/call" not in await reader.read(4096):
            pass
        writer.close()

    async def both() -> list[grpc.aio.AioRpcError]:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            broken = await failure_at(server.sockets[0].getsockname()[1])
        return [await failure_at(free_port("127.0.0.1")), broken]

    refused, broken = asyncio.run(both())
    assert refused.code() == broken.code() == grpc.StatusCode.UNAVAILABLE
    assert never_connected(refused.details()) and not never_connected(broken.details())


@pytest.mark.parametrize(
    ("option", "found"), [("grpc.keepalive_timeout_ms", False), ("grpc.http2.ping_timeout_ms", True)]
)
def test_grpc_finds_a_frozen_server_by_the_other_option(option, found):
    async def is_found() -> bool:
        options = [("grpc.keepalive_time_ms", 200), ("grpc.keepalive_permit_without_calls", 1), (option, 200)]
        async with Executor().served() as port, Link(port) as link:
            channel = grpc.aio.insecure_channel(link.address.removeprefix("grpc://"), options)
            await channel.channel_ready()
            link.freeze()
            breaking = asyncio.create_task(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
            done, _ = await asyncio.wait([breaking], timeout=30 if found else 2)
            await channel.close()
            return bool(done)

    assert asyncio.run(is_found()) == found


def test_jina_names_the_executor_that_is_down_in_a_text_only():
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "reset")
    with pytest.raises(InternalNetworkError) as raised:
        TopologyGraph._ReqReplyNode("indexer")._handle_internalnetworkerror(
            InternalNetworkError(error, details="reset")
        )
    assert "deployment indexer at" in raised.value.details()
    assert "indexer" not in [value for value in vars(raised.value).values() if value != raised.value.details()]
    assert not raised.value.trailing_metadata()


def test_jina_opens_the_gateway_once_every_executor_has_told_its_endpoints():
    opening = inspect.getsource(GRPCServer.setup_server)
    assert opening.index("_get_endpoints_input_output_models") < opening.index("self.server.start()")
    asking = inspect.getsource(RequestStreamer._get_endpoints_input_output_models)
    assert "_get_all_endpoints" in asking and "retry_forever=True" in asking


def test_jina_waits_without_a_limit_for_the_methods_of_a_frozen_replica():
    assert "await get_available_services(self.channel)" in inspect.getsource(GrpcConnectionStub._init_stubs)
    assert "timeout" not in inspect.getsource(get_available_services)


def test_jina_parses_what_it_forwards_to_measure_it(monkeypatch):
    with pytest.raises(DecodeError):
        Request.nbytes.fget(DataRequest(b"not parsed yet"))
    monkeypatch.setattr(DataRequest, "nbytes", None, raising=False)  # restored in the end
    measure_nothing()
    forwarded = DataRequest(b"not parsed yet")
    assert (forwarded.nbytes, forwarded.buffer) == (0, b"not parsed yet")
    source = inspect.getsource(GrpcConnectionStub.send_requests)
    assert source.count(".nbytes") == source.count("bytes_metric(request.nbytes)") + source.count(
        "bytes_metric(response.nbytes)"
    )


def test_a_deployment_cannot_name_a_head_of_its_own():
    source = inspect.getsource(run)
    assert "import HeaderRequestHandler" in source and "req_handler_cls = HeaderRequestHandler" in source


def test_an_executors_port_still_offers_what_nobody_should_call():
    offered = inspect.getsource(GRPCServer.setup_server)
    assert "add_JinaExecutorRestoreServicer_to_server" in offered
    assert not any("Restore" in method for method in ALLOWED_METHODS)


def test_the_exporter_of_traces_tries_for_longer_than_a_stop_takes(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TIMEOUT", raising=False)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint="127.0.0.1:1", insecure=True)
    try:
        assert exporter._timeout > STOP_SECONDS
        assert "deadline_sec = time() + self._timeout" in inspect.getsource(exporter._export)
    finally:
        exporter.shutdown()


def test_jina_imports_the_clients_of_its_makers_cloud():
    assert "from hubble" in inspect.getsource(factory)


def test_jina_misspells_its_options_for_pings():
    names = {name for name, _ in get_default_grpc_options()}
    assert "grpc.http1.max_pings_without_data" in names  # it should be http2
    assert not {name for name in names if name.startswith("grpc.http2.")}
    flow = yaml.safe_load((Path(__file__).parents[3] / "flow.yml").read_text(encoding="utf-8"))
    for server in (flow["with"], flow["gateway"]):
        assert server["grpc_server_options"] == {"grpc.http2.max_ping_strikes": 0}


def test_jina_does_not_cancel_what_its_caller_gave_up():
    assert ".cancel()" not in inspect.getsource(RequestStreamer)


def test_grpc_takes_a_damaged_message_for_an_error_of_the_server(caplog):
    class Unguarded(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, handler_call_details):
            return await continuation(handler_call_details)

    async def ask() -> grpc.StatusCode:
        async with served(Unguarded()) as channel:
            call = open_call(channel, REFLECTION, "")
            await call.write(b"\xff\xff\xff")
            return await call.code()

    assert asyncio.run(ask()) == grpc.StatusCode.UNKNOWN
    assert "DecodeError" in caplog.text
