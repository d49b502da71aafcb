"""`ChainExecutor`: what every executor of the Flow shares."""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from jina import Executor

from clipseek.api.errors import ServerNotReady, StoreError
from clipseek.config.settings import Settings
from clipseek.machine import logs
from clipseek.machine.private_files import make_private_from_now_on, protect
from clipseek.machine.versions import own_versions
from clipseek.schema import Component, Health
from executors.flow import metrics
from executors.flow.callers import Caller, Verifier
from executors.flow.endpoint import endpoint
from executors.flow.lifetime import (
    end_with_parent,
    exit_child_without_teardown,
    processes_down,
    report_start_failure,
)
from executors.flow.quirks.hasty_stop import finish_before_stop
from executors.flow.quirks.own_port import guard_own_port
from executors.machine.fair_queue import FairQueue

T = TypeVar("T")

WORKER = "worker"  # a queue with one thread, for work that must be done one at a time
AT_ONCE = ""  # what needs no queue: its threads are enough for all but a flood
_AT_ONCE_THREADS = 8
_RECALL = "recall"  # a queue with one thread: each measurement reads all of a store, and takes seconds


class ChainExecutor(Executor):  # type: ignore[misc]  # jina has no types
    """An executor that answers `/health`, each document in a thread."""

    def __init__(self, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings or Settings.from_env()
        self.callers = Verifier(self.settings.flow_secret, self.executor_name)
        logs.start(self.settings.log_level, self.settings.log_format, self.executor_name)
        make_private_from_now_on()
        protect(self.settings.home, self.settings.cache)
        self.queues: dict[str, FairQueue] = {}
        guard_own_port(self.callers, self._documents_of)
        finish_before_stop(self._refuse_waiting)
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
        sizes = {AT_ONCE: _AT_ONCE_THREADS, _RECALL: 1, **self.queue_sizes()}
        self.queues = {name: FairQueue(size, name) for name, size in sizes.items()}
        metrics.serve_own(self.settings, self.stored_libraries)

    def _documents_of(self, endpoint: str) -> Any:
        """The list of documents that an endpoint takes; None where there is no such endpoint."""
        handler = self.requests.get(endpoint)
        return handler and handler.request_schema

    def load(self) -> None:
        """Prepare what the handlers need. An error here stops the start, and `clipseek serve` shows it."""

    def queue_sizes(self) -> Mapping[str, int]:
        """The queues of the executor, and how many documents of each are worked on at a time."""
        return {WORKER: 1}

    def submit(self, queue: str, caller: str, task: Callable[[], T]) -> Future[T]:
        """Run a task in a thread of a queue, or at once where `queue` is "". What it logs has the same request."""
        run: Callable[[], T] = partial(contextvars.copy_context().run, task)
        return self.queues[queue].submit(caller, run)

    async def in_queue(self, queue: str, caller: str, task: Callable[[], T]) -> T:
        """Await what `submit` runs."""
        return await asyncio.wrap_future(self.submit(queue, caller, task))

    def _refuse_waiting(self) -> None:
        stopping = ServerNotReady(f"The {self.executor_name} of the server is stopping.", executor=self.executor_name)
        for queue in self.queues.values():
            queue.refuse_waiting(stopping)

    @endpoint("/health", queue=lambda doc: _RECALL if doc.check_recall else AT_ONCE)
    def health(self, doc: Health, caller: Caller) -> str:
        component = self.component(caller)
        component.facts = {**component.facts, **own_versions()}
        if doc.check_recall:
            component.facts |= self.recall(caller)
        doc.components.append(component)
        doc.down |= processes_down()
        return ""

    @property
    def executor_name(self) -> str:
        """The executor's name in `flow.yml`, without the number of the replica that Jina adds."""
        return str(self.runtime_args.name).partition("/")[0]

    def stored_libraries(self) -> list[str]:
        """The libraries whose store this process keeps."""
        return []

    def component(self, _caller: Caller, /) -> Component:
        """The state of this executor, and of the caller's library in it."""
        return Component(name=self.executor_name)

    def recall(self, _caller: Caller, /) -> dict[str, str]:
        """Further facts: how much of what it should find the index finds. Only an indexer has one."""
        return {}

    def close(self) -> None:
        for queue in self.queues.values():
            queue.close()
        super().close()
        exit_child_without_teardown()
