"""`@endpoint` makes a handler of requests out of a method that answers one document.

It does what every handler needs: it verifies the caller, and that the endpoint is for callers, drops what these may not
fill in, checks the document, runs the method in a thread, times it, counts it, and logs one line for each request.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, get_type_hints

from jina import requests

from clipseek.api.base_document import Document
from clipseek.api.endpoints import ENDPOINTS
from clipseek.api.errors import AccessDenied, ClipSeekError
from clipseek.config.access import SERVER
from clipseek.config.settings import Settings
from clipseek.machine import logs
from clipseek.schema import DocList
from executors.flow import metrics
from executors.flow.callers import Caller, Verifier
from executors.flow.document_checks import check_document

logger = logging.getLogger(__name__)
T = TypeVar("T")
D = TypeVar("D", bound=Document)

Answer = str | list[Any]  # details for the log line, or the documents of the answer
Steps = Generator[None, None, Answer]  # the same after some steps, between which others take their turn
Method = Callable[[Any, Any, Caller], Answer | Steps]


class Host(Protocol):
    """The executor, as far as its endpoints need it."""

    settings: Settings
    callers: Verifier

    @property
    def executor_name(self) -> str: ...

    async def in_queue(self, queue: str, caller: str, task: Callable[[], T]) -> T: ...


def endpoint(path: str, *, queue: str | Callable[[Any], str] = "", step: str = "") -> Callable[[Method], Any]:
    """Declare a method as the one that answers a document of an endpoint.

    The method takes the document, annotated with its class, and the caller. It fills in the document and returns the
    details for the log line ("" logs nothing), or it returns the documents of the answer. It runs in a thread. If it is
    a generator, it waits in the queue again at each `yield`.

    Args:
        queue: the queue of the executor in which a document waits, or a function that chooses one for it; "" runs it at
            once.
        step: the name of the step in the metrics; "" where it is none.
    """

    def declare(method: Method) -> Any:
        document = next(iter(get_type_hints(method).values()))

        def answer_one(executor: Host, doc: Document, caller: Caller) -> Generator[None, None, list[Any]]:
            started = time.monotonic()
            if caller.route and caller.route[0] == executor.executor_name:
                doc.keep_question()
            check_document(doc, executor.settings)
            with metrics.step(step) if step else nullcontext():
                answer = method(executor, doc, caller)
            if isinstance(answer, Generator):
                answer = yield from answer
            documents = [doc] if isinstance(answer, str) else answer
            line = answer if isinstance(answer, str) else f"documents: {len(answer)}"
            if line:
                logger.info("%s: %s, %.3f s", path, line, time.monotonic() - started)
            return documents

        async def answer_all(executor: Host, docs: DocList[Any], caller: Caller) -> DocList[Any]:
            answers = list_of(document)()
            for doc in docs or [document()]:  # a request without a document asks as an empty one does
                chosen = queue if isinstance(queue, str) else queue(doc)
                steps = answer_one(executor, doc, caller)
                while (documents := await executor.in_queue(chosen, caller.owner, partial(_advance, steps))) is None:
                    pass
                answers.extend(documents)
            message = await executor.in_queue("", caller.owner, answers.to_protobuf)
            object.__setattr__(answers, "to_protobuf", lambda: message)  # Jina would do it in the event loop
            return answers

        return _handler(path, document, answer_all)

    return declare


def _advance(steps: Generator[None, None, T]) -> T | None:
    """Take the next step. Returns: None, or what came of the last one."""
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    return None


def list_of(document: type[D]) -> type[DocList[D]]:
    kind: Any = DocList.__class_getitem__(document)
    return kind  # type: ignore[no-any-return]


def _check_caller(path: str, caller: Caller) -> None:
    """Raises: AccessDenied: the endpoint is for the service's own runner."""
    if path in ENDPOINTS and ENDPOINTS[path].instead and caller.name != SERVER:
        instead = ENDPOINTS[path].instead
        raise AccessDenied(f"Only the service's own runner may send requests to {path}. Use {instead}.")


def _handler(
    path: str, document: type[Document], answer: Callable[[Any, DocList[Any], Caller], Awaitable[DocList[Any]]]
) -> Any:
    """A handler of Jina's that verifies the caller, and logs a traceback for bugs only; Jina does for refusals too."""

    async def handle(
        executor: Host,
        docs: Any,
        parameters: Mapping[str, Any] = MappingProxyType({}),
        caller: Caller | None = None,
        **_: Any,
    ) -> Any:
        with logs.request(path), metrics.under_way(executor.executor_name, path):
            try:
                caller = caller or executor.callers.caller(parameters, path)
                _check_caller(path, caller)
                return await answer(executor, docs, caller)
            except ClipSeekError as error:
                logger.info("%s refused: %s: %s", path, type(error).__name__, error, extra=logs.about(error))
                raise
            except Exception as error:
                logger.exception("%s failed", path, extra=logs.about(error))
                raise

    handle.__name__ = path.rpartition("/")[2]
    handle.__annotations__ = {"docs": list_of(document), "return": list_of(document)}  # Jina reads the documents here
    return requests(on=path)(handle)
