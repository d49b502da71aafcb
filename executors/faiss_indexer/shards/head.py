"""The head of an indexer with several shards: it answers like one indexer, with the answers of its shards.

It replaces Jina's own head (executors/flow/quirks/shard_heads.py); sharded.py says what it asks.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from jina.excepts import InternalNetworkError
from jina.proto import jina_pb2
from jina.types.request.data import DataRequest, Response

from clipseek.api.base_document import BaseDoc, DocList
from clipseek.api.documents import Calibration, Health, Query, Video, VideoSpan
from clipseek.api.endpoints import INDEXER
from clipseek.api.errors import ClipSeekError
from clipseek.config.settings import Settings
from clipseek.machine import logs
from executors.faiss_indexer.shards.sharded import ShardedIndex
from executors.flow import metrics
from executors.flow.callers import Caller, Verifier, signed
from executors.flow.endpoint import list_of
from executors.flow.lifetime import RECONNECTING, end_with_parent, exit_child_without_teardown
from executors.flow.quirks.own_port import guard_own_port
from executors.flow.quirks.shard_heads import JinaHead

logger = logging.getLogger(__name__)
D = TypeVar("D", bound=BaseDoc)


class ShardFailed(Exception):
    """An error of a shard, as a status of Jina."""

    def __init__(self, status: Any) -> None:
        super().__init__(f"{status.exception.name}: {' '.join(status.exception.args)}")
        self.status = status


class Head(JinaHead):  # type: ignore[misc]  # jina has no types
    """Answers the endpoints of the indexer; requests to others are passed on."""

    def __init__(self, args: Any, logger: Any, **kwargs: Any) -> None:
        args.grpc_channel_options = RECONNECTING
        super().__init__(args, logger, **kwargs)
        self._settings = Settings.from_env()
        self._callers = Verifier(self._settings.flow_secret, INDEXER)
        self._name = f"{self._deployment_name}-head"
        logs.start(self._settings.log_level, self._settings.log_format, self._name)
        metrics.serve_own(self._settings)
        end_with_parent()
        index = ShardedIndex(self._settings, self._ask)
        self._answers: dict[str, tuple[type[BaseDoc], Callable[[Any, Caller], Awaitable[Any]]]] = {
            "/probe": (Video, _of_each(index.probe)),
            "/index": (VideoSpan, _of_each(index.index)),
            "/delete": (Video, _of_each(index.delete)),
            "/search": (Query, _of_each(index.search)),
            "/timeline": (Query, _of_each(index.timeline)),
            "/calibrate": (Calibration, _of_each(index.calibrate)),
            "/health": (Health, _of_each(index.health)),
            "/videos": (Video, index.videos),
        }
        guard_own_port(self._callers, self._documents_of)

    def _documents_of(self, endpoint: str) -> Any:
        return list_of(self._answers[endpoint][0]) if endpoint in self._answers else None

    async def close(self) -> None:
        await super().close()
        exit_child_without_teardown()

    async def process_data(self, requests: list[Any], context: Any) -> Any:
        """Answer one request. Errors go back in the form of Jina's executors."""
        [request] = requests
        endpoint = request.header.exec_endpoint
        if endpoint not in self._answers:
            return request
        with logs.request(endpoint), metrics.under_way(self._name, endpoint):
            return await self._answered(request, endpoint, context)

    async def _answered(self, request: Any, endpoint: str, context: Any) -> Any:
        kind, answer = self._answers[endpoint]
        try:
            caller = self._callers.caller(request.parameters, endpoint)
            request.document_array_cls = list_of(kind)
            request.data.docs = await answer(request.docs, caller)
        except (InternalNetworkError, grpc.aio.AioRpcError) as error:
            context.set_code(error.code())
            context.set_details(error.details())
            return Response()
        except Exception as error:  # noqa: BLE001 (the edge of the process)
            _log(endpoint, error)
            if isinstance(error, ShardFailed):
                request.header.status.CopyFrom(error.status)
            else:
                request.add_exception(error)
                metrics.count_error(self._name, endpoint, error)  # a shard counts its own errors
            context.set_trailing_metadata((("is-error", "true"),))
        return request

    async def _ask(self, shard: int, endpoint: str, docs: DocList[D], caller: Caller) -> DocList[D]:
        """Send documents to a shard. Returns: its answer.

        Raises:
            ShardFailed: the shard raised an error. InternalNetworkError, AioRpcError: it cannot be reached.
        """
        request = DataRequest()
        request.header.exec_endpoint = endpoint
        request.document_array_cls = type(docs)
        request.data.docs = docs
        request.parameters = signed(caller, endpoint, self._settings.flow_secret, time.time())
        result = await self.connection_pool.send_requests_once(
            [request],
            deployment=self._deployment_name,
            shard_id=shard,
            timeout=self.timeout_send,
            retries=self._retries,
        )
        if isinstance(result, BaseException):
            raise result
        answer, _ = result
        if answer.header.status.code == jina_pb2.StatusProto.ERROR:
            raise ShardFailed(answer.header.status)
        answer.document_array_cls = type(docs)
        found: DocList[D] = answer.docs
        return found


def _of_each(answer: Callable[[Any, Caller], Awaitable[Any]]) -> Callable[[Any, Caller], Awaitable[Any]]:
    """Answers a list of documents one by one."""

    async def answer_all(docs: DocList[Any], caller: Caller) -> DocList[Any]:
        answers = [await answer(doc, caller) for doc in docs]
        return type(docs)(answers)

    return answer_all


def _log(endpoint: str, error: Exception) -> None:
    if isinstance(error, ClipSeekError | ShardFailed):
        logger.info("%s refused: %s: %s", endpoint, type(error).__name__, error, extra=logs.about(error))
    else:
        logger.exception("%s failed", endpoint, extra=logs.about(error))
