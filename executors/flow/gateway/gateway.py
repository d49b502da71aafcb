"""The Flow's gateway: Jina's own for gRPC, behind a door. It ends when the process that started it ends."""

import asyncio
from typing import Any

from jina.serve.runtimes.gateway.grpc import GRPCGateway
from jina.types.request.data import DataRequest

from clipseek.api.errors import ClipSeekError, InvalidSetting
from clipseek.config.access import AccessFile, check_network, is_loopback
from clipseek.config.settings import Settings
from clipseek.config.tls import check_tls
from clipseek.machine import logs
from executors.flow.gateway.door import DoorInterceptor
from executors.flow.gateway.doorkeeper import Doorkeeper
from executors.flow.gateway.library_models import LibraryModels
from executors.flow.gateway.rates import Rates
from executors.flow.gateway.streams import asked_once, cancelled_with_caller, note_tasks, one_by_one
from executors.flow.lifetime import end_with_parent, exit_child_without_teardown, report_start_failure
from executors.flow.metrics import GATEWAY, serve_own
from executors.flow.quirks.hasty_stop import finish_before_stop
from executors.flow.quirks.own_connections import describe_endpoints, use_own_connections
from executors.flow.quirks.tracing import export_traces_once
from executors.flow.quirks.unread_sizes import measure_nothing

# Here, because each process that Jina starts for a Flow imports the Flow's gateway first.
export_traces_once()
finish_before_stop()
measure_nothing()
use_own_connections()


class ClipSeekGateway(GRPCGateway):  # type: ignore[misc]  # jina has no types
    grpc_server_options: dict[str, Any] | None

    def __init__(self, runtime_args: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(runtime_args=runtime_args, **kwargs)
        end_with_parent()
        try:
            check_network(self._settings, self.host)
            check_tls(self._settings)
        except ClipSeekError as error:
            report_start_failure(error)
            raise
        self.ssl_certfile, self.ssl_keyfile = self._settings.tls_cert or None, self._settings.tls_key or None
        limit = {"grpc.max_receive_message_length": self._settings.max_request_bytes}
        self.grpc_server_options = {**(self.grpc_server_options or {}), **limit}

    async def setup_server(self) -> None:
        note_tasks(asyncio.get_running_loop())
        handler = self._request_handler  # gRPC calls the methods of these names
        handler.Call = cancelled_with_caller(handler.Call)
        handler.process_single_data = one_by_one(handler.Call)
        handler.endpoint_discovery = asked_once(handler.endpoint_discovery)
        describe_endpoints(self.streamer.topology_graph)
        self.streamer._validate_flow_docarray_compatibility = lambda: None  # the endpoints are ours: a second saved
        self.streamer._connection_pool.connect()
        await super().setup_server()

    async def shutdown(self) -> None:
        await super().shutdown()
        exit_child_without_teardown()

    @property
    def _settings(self) -> Settings:
        return Settings.from_env()

    def aio_tracing_server_interceptors(self) -> list[Any]:
        """The door, then Jina's own interceptors."""
        settings = self._settings
        logs.start(settings.log_level, settings.log_format, GATEWAY)
        serve_own(settings)
        if not settings.flow_secret:
            raise InvalidSetting("CLIPSEEK_FLOW_SECRET is not set: gateway and executors need the same secret.")
        may_be_open = is_loopback(self.host) or settings.allow_anyone
        door = DoorInterceptor(
            Doorkeeper(AccessFile(settings.home), settings.flow_secret, may_be_open=may_be_open),
            Rates(settings.requests_per_second, settings.requests_under_way),
            settings.flow_secret,
            _refusal,
            LibraryModels(self.streamer._connection_pool, settings.flow_secret),
        )
        return [door, *(super().aio_tracing_server_interceptors() or [])]


def _refusal(error: Exception) -> DataRequest:
    answer = DataRequest()
    answer.add_exception(error)
    return answer
