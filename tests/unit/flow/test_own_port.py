"""What an executor reads of the requests at its own port, and where."""

import asyncio
import logging
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import grpc
import pytest
from docarray import DocList
from jina.types.request.data import DataRequest
from pydantic import Field

from clipseek.schema import Query, QueryPart
from executors.flow.callers import Caller, Verifier, signed
from executors.flow.quirks.own_port import DRY_RUN, SINGLE, OwnPortGuard
from tests.unit.flow.door_server import refusals

SECRET = "5e" * 32
ALICE = Caller("alice", route=("indexer",))


class NotedQuery(Query):
    """Notes in which threads documents are read, and which."""

    readers: ClassVar[list[str]] = []
    texts: ClassVar[list[str]] = []

    @classmethod
    def from_protobuf(cls, message):
        read = super().from_protobuf(message)
        cls.readers.append(threading.current_thread().name)
        cls.texts.append(read.text)
        return read


def sent(secret: str, endpoint: str = "/search", documents: int = 3, caller: Caller = ALICE) -> DataRequest:
    request = DataRequest()
    request.header.exec_endpoint = endpoint
    request.parameters = signed(caller, "/search", secret, time.time())
    request.data.docs = DocList[Query]([Query(text=f"{caller.name} {number}") for number in range(documents)])
    return DataRequest(request.proto_with_data.SerializeToString())


def ask(*requests: DataRequest, metadata: list | None = None) -> tuple[list[DataRequest], list[DataRequest]]:
    """The answers of a guarded server to requests at once, and the requests that reached what it guards.

    Args:
        metadata: to note in what the answers say beside their content.
    """
    reached = []

    async def answer(passed, _context):
        reached.append(passed)
        return passed

    async def proceed(_details):
        return grpc.unary_unary_rpc_method_handler(answer)

    async def call():
        guard = OwnPortGuard(Verifier(SECRET, "indexer"), {"/search": DocList[NotedQuery]}.get)
        handler = await guard.intercept_service(proceed, SimpleNamespace(method=SINGLE))
        context = SimpleNamespace(set_trailing_metadata=(metadata if metadata is not None else []).append)
        return await asyncio.gather(*(handler.unary_unary(request, context) for request in requests))

    NotedQuery.readers.clear()
    NotedQuery.texts.clear()
    return asyncio.run(call()), reached


@pytest.mark.parametrize("endpoint", ["/search", "/videos", "/nothing"])
def test_documents_of_others_than_the_gateway_are_not_read(endpoint):
    label = "other" if endpoint == "/nothing" else endpoint
    before = refusals("indexer", label, "AccessDenied")
    [answer], reached = ask(sent("guessed", endpoint))
    assert refusals("indexer", label, "AccessDenied") == before + 1
    assert answer.header.status.exception.name == "AccessDenied"
    assert not reached and not NotedQuery.readers


def test_documents_of_the_gateway_are_read_in_a_thread_once():
    _, [passed] = ask(sent(SECRET))
    assert [doc.text for doc in passed.docs] == ["alice 0", "alice 1", "alice 2"]
    assert [doc.text for doc in passed.docs] == NotedQuery.texts
    assert all(reader.startswith("documents") for reader in NotedQuery.readers)


def test_callers_take_turns_with_each_document():
    """A request of many documents delays another caller's by one or two of them."""
    _, [first, last] = ask(sent(SECRET, documents=50), sent(SECRET, documents=1, caller=replace(ALICE, name="bob")))
    assert (len(first.docs), len(last.docs)) == (1, 50)
    assert NotedQuery.texts.index("bob 0") < 5


def test_a_refusal_is_the_gateways_answer_to_that_request_and_one_line_of_the_log(caplog):
    request, metadata = sent("guessed", "/" + "x" * 10_000), []
    with caplog.at_level(logging.INFO):
        [answer], _ = ask(request, metadata=metadata)
    assert answer.header.request_id == request.header.request_id
    assert metadata == [(("is-error", "true"),)]
    [record] = caplog.records
    assert record.levelno == logging.INFO and len(record.getMessage()) < 300


class MistypedQuery(Query):
    """As a caller has it who mistypes a field, or gives it another type."""

    topk: int = 0
    padding: list[float] = Field(default=[])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (MistypedQuery(topk=3), "A NotedQuery has no field 'topk'. Did you mean 'top_k'?"),
        (MistypedQuery(padding=[0.5] * 16), "A NotedQuery has no field 'padding'. Did you mean 'padding_seconds'?"),
        (Query(parts=[QueryPart(text="a")]), ""),
    ],
)
def test_a_field_that_there_is_not_is_refused_by_its_name(document, message):
    request = sent(SECRET, documents=0)
    request.data.docs = DocList[type(document)]([document])
    [answer], reached = ask(DataRequest(request.proto_with_data.SerializeToString()))
    assert list(answer.header.status.exception.args) == ([message] if message else [])
    assert len(reached) == (not message)


def test_an_executor_behind_another_one_takes_what_that_one_sends():
    request = sent(SECRET, documents=0, caller=replace(ALICE, route=("text_encoder", "indexer")))
    request.data.docs = DocList[MistypedQuery]([MistypedQuery(topk=3)])
    _, reached = ask(DataRequest(request.proto_with_data.SerializeToString()))
    assert len(reached) == 1


def test_a_value_of_another_type_is_refused_by_the_name_of_its_field():
    request = sent(SECRET, documents=0)
    message = request.proto_with_data
    message.data.docs.docs.add().data["top_k"].text = "many"
    [answer], reached = ask(DataRequest(message.SerializeToString()))
    assert not reached and answer.header.status.exception.name == "InvalidRequest"
    assert list(answer.header.status.exception.args) == ["top_k of a NotedQuery cannot be 'many'."]


def test_documents_that_cannot_be_read_are_an_error_of_the_request(monkeypatch, caplog):
    def fail(_message):
        raise ValueError("not a document")

    monkeypatch.setattr(NotedQuery, "from_protobuf", fail)
    [answer], reached = ask(sent(SECRET))
    assert (answer.header.status.exception.name, list(answer.header.status.exception.args)) == (
        "ValueError",
        ["not a document"],
    )
    assert not reached
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_dry_run_has_no_documents():
    _, [passed] = ask(sent("guessed", DRY_RUN, documents=500))
    assert len(passed.proto_with_data.data.docs.docs) == 0
