"""What every executor of the Flow shares: the pass-through endpoints, and an end when its parent ends.

Jina refuses to start a chain unless each endpoint that one executor exposes is exposed by the next one, with the same
document. So the documents of all endpoints that run through the chain are declared here once; an executor overrides
those it answers.
"""

import asyncio
import contextvars
import functools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from jina import Executor, requests
from jina.serve.instrumentation import InstrumentationMixin
from jina.serve.runtimes.servers.grpc import GRPCServer

from clipseek.api.base_document import DocList
from clipseek.api.documents import (
    Calibration,
    Clip,
    Component,
    Health,
    Query,
    Reel,
    Thumbnail,
    Upload,
    Video,
    VideoSpan,
)
from clipseek.api.errors import ClipSeekError, StoreError
from clipseek.config.settings import Settings
from clipseek.machine import logs
from executors.flow import metrics
from executors.flow.callers import Caller, Verifier
from executors.flow.lifetime import end_with_parent, processes_down, report_start_failure
from executors.flow.own_port import OfferedOnly

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def endpoint(path: str) -> Callable[[F], F]:
    """Declare a coroutine method as the handler of an endpoint. It is called with the documents and, as `caller`, with
    whom the gateway says that they are from; without that they are refused.

    What a handler raises is logged: a refusal in one line, anything unforeseen with its traceback. Jina's own log would
    show a traceback for both.
    """

    def declare(handler: F) -> F:
        @functools.wraps(handler)
        async def call(
            executor: "ChainExecutor",
            docs: Any,
            parameters: Mapping[str, Any] = MappingProxyType({}),
            caller: Caller | None = None,
            **_: Any,
        ) -> Any:
            with logs.request(path), metrics.under_way(executor.executor_name, path):
                try:
                    caller = caller or executor.callers.caller(parameters, path)
                    return await handler(executor, docs, caller=caller)
                except ClipSeekError as error:
                    logger.info("%s refused: %s: %s", path, type(error).__name__, error, extra=logs.about(error))
                    raise
                except Exception as error:
                    logger.exception("%s failed", path, extra=logs.about(error))
                    raise

        declared: F = requests(on=path)(call)
        return declared

    return declare


def guard_own_port() -> None:
    """Put `OfferedOnly` before the server of this process, which Jina builds itself: it asks for its interceptors once
    the executor is made."""

    def interceptors(server: GRPCServer) -> list[Any]:
        return [OfferedOnly(), *(InstrumentationMixin.aio_tracing_server_interceptors(server) or [])]

    GRPCServer.aio_tracing_server_interceptors = interceptors


class ChainExecutor(Executor):  # type: ignore[misc]  # jina has no types
    """An executor that passes every document on. Handlers are coroutines: Jina locks plain functions against another.

    The work itself runs in threads: `in_worker` for what must be done one at a time, `asyncio.to_thread` for the rest.
    """

    def __init__(self, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings or Settings.from_env()
        self.callers = Verifier(self.settings.flow_secret)
        logs.start(self.settings.log_level, self.settings.log_format, self.executor_name)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=type(self).__name__)
        guard_own_port()
        end_with_parent()
        try:
            self.load()
        except OSError as error:
            failure = StoreError(
                f"A folder of the service cannot be used ({error}). Check CLIPSEEK_HOME and CLIPSEEK_CACHE."
            )
            report_start_failure(failure)
            raise failure from error
        except Exception as error:
            report_start_failure(error)
            raise
        metrics.serve_own(self.settings, self.store_folders)

    def load(self) -> None:
        """Make ready what the handlers need. What is raised here ends the start, and `clipseek serve` shows it."""

    async def in_worker(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in this executor's one worker thread, after what was handed to it before."""
        call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    @endpoint("/probe")
    async def probe(self, docs: DocList[Video], *, caller: Caller) -> DocList[Video]:
        return docs

    @endpoint("/index")
    async def index(self, docs: DocList[VideoSpan], *, caller: Caller) -> DocList[VideoSpan]:
        return docs

    @endpoint("/search")
    async def search(self, docs: DocList[Query], *, caller: Caller) -> DocList[Query]:
        return docs

    @endpoint("/timeline")
    async def timeline(self, docs: DocList[Query], *, caller: Caller) -> DocList[Query]:
        return docs

    @endpoint("/calibrate")
    async def calibrate(self, docs: DocList[Calibration], *, caller: Caller) -> DocList[Calibration]:
        return docs

    @endpoint("/delete")
    async def delete(self, docs: DocList[Video], *, caller: Caller) -> DocList[Video]:
        return docs

    @endpoint("/upload")
    async def upload(self, docs: DocList[Upload], *, caller: Caller) -> DocList[Upload]:
        return docs

    @endpoint("/server_videos")
    async def server_videos(self, docs: DocList[Upload], *, caller: Caller) -> DocList[Upload]:
        return docs

    @endpoint("/samples")
    async def samples(self, docs: DocList[Video], *, caller: Caller) -> DocList[Video]:
        return docs

    @endpoint("/clip")
    async def clip(self, docs: DocList[Clip], *, caller: Caller) -> DocList[Clip]:
        return docs

    @endpoint("/join")
    async def join(self, docs: DocList[Reel], *, caller: Caller) -> DocList[Reel]:
        return docs

    @endpoint("/thumbnail")
    async def thumbnail(self, docs: DocList[Thumbnail], *, caller: Caller) -> DocList[Thumbnail]:
        return docs

    @endpoint("/health")
    async def health(self, docs: DocList[Health], *, caller: Caller) -> DocList[Health]:
        for doc in docs:
            doc.components.append(await asyncio.to_thread(self.component, caller))
            doc.down |= await asyncio.to_thread(processes_down)
        return docs

    @property
    def executor_name(self) -> str:
        """The executor's name in `flow.yml`, without the number of the replica that Jina adds."""
        return str(self.runtime_args.name).partition("/")[0]

    def store_folders(self) -> list[Path]:
        """The stores that this process keeps."""
        return []

    def component(self, _caller: Caller, /) -> Component:
        """This executor's line in the answer of `/health`, with what is in the caller's library."""
        return Component(name=self.executor_name)

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)
        super().close()
