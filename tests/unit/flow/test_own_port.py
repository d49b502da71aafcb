"""What an executor reads of the requests at its own port, and where."""

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import ClassVar

import grpc
import pytest
from docarray import DocList
from jina.types.request.data import DataRequest

from clipseek.api.documents import Query
from executors.flow.callers import Caller, Verifier, signed
from executors.flow.quirks.own_port import DRY_RUN, SINGLE, OwnPortGuard
from tests.unit.flow.door_server import refusals

SECRET = "5e" * 32
ALICE = Caller("alice", route=("indexer",))


class Queries(DocList[Query]):
    """Notes in which threads documents are read."""

    readers: ClassVar[list[str]] = []

    @classmethod
    def from_protobuf(cls, message):
        cls.readers.append(threading.current_thread().name)
        return super().from_protobuf(message)


def sent(secret: str, endpoint: str = "/search", documents: int = 3) -> DataRequest:
    request = DataRequest()
    request.header.exec_endpoint = endpoint
    request.parameters = signed(ALICE, "/search", secret, time.time())
    request.data.docs = DocList[Query]([Query(text="a cat")] * documents)
    return DataRequest(request.proto_with_data.SerializeToString())


def ask(request: DataRequest) -> tuple[DataRequest, list[DataRequest]]:
    """The answer of a guarded server, and the requests that reached what it guards."""
    reached = []

    async def answer(passed, _context):
        reached.append(passed)
        return passed

    async def proceed(_details):
        return grpc.unary_unary_rpc_method_handler(answer)

    async def call():
        guard = OwnPortGuard(Verifier(SECRET, "indexer"), {"/search": Queries}.get)
        handler = await guard.intercept_service(proceed, SimpleNamespace(method=SINGLE))
        context = SimpleNamespace(set_trailing_metadata=lambda _: None)
        return await handler.unary_unary(request, context)

    Queries.readers.clear()
    return asyncio.run(call()), reached


@pytest.mark.parametrize("endpoint", ["/search", "/videos", "/nothing"])
def test_documents_of_others_than_the_gateway_are_not_read(endpoint):
    label = "other" if endpoint == "/nothing" else endpoint
    before = refusals("indexer", label, "AccessDenied")
    answer, reached = ask(sent("guessed", endpoint))
    assert refusals("indexer", label, "AccessDenied") == before + 1
    assert answer.header.status.exception.name == "AccessDenied"
    assert not reached and not Queries.readers


def test_documents_of_the_gateway_are_read_in_a_thread_once():
    _, [passed] = ask(sent(SECRET))
    assert [doc.text for doc in passed.docs] == ["a cat"] * 3
    [reader] = Queries.readers
    assert reader.startswith("documents")


def test_documents_that_cannot_be_read_are_an_error_of_the_request(monkeypatch):
    def fail(_message):
        raise ValueError("not a document")

    monkeypatch.setattr(Queries, "from_protobuf", fail)
    answer, reached = ask(sent(SECRET))
    assert (answer.header.status.exception.name, list(answer.header.status.exception.args)) == (
        "ValueError",
        ["not a document"],
    )
    assert not reached


def test_a_dry_run_has_no_documents():
    _, [passed] = ask(sent("guessed", DRY_RUN, documents=500))
    assert len(passed.proto_with_data.data.docs.docs) == 0
