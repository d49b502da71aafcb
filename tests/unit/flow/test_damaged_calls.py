"""How calls end that send what a real gRPC server cannot read: at the gateway, whose caller it knows, and elsewhere."""

import asyncio
import logging

import grpc
import pytest
from jina.types.request.data import DataRequest

from clipseek.config.access import AccessFile
from executors.flow.callers import Verifier
from executors.flow.gateway.door import CALL, INFO_METHODS, SINGLE, SMALL_BYTES
from executors.flow.gateway.rates import LEAST_BURST, Rates
from executors.flow.quirks.own_port import OwnPortGuard
from tests.protobuf import varint
from tests.unit.flow.door_server import REFLECTION, SECRET, door, open_call, refusals, served

NO_MESSAGE = b"\xff\xff\xff"
NO_TEXT = b"\x0a\x02\xff\xfe"  # a text that is not UTF-8 in the first field
DAMAGED = "INVALID_ARGUMENT: The request is damaged. Send it again."
EXECUTOR_METHODS = ["/grpc.health.v1.Health/Check"]


async def outcomes(guard: grpc.aio.ServerInterceptor, method: str, token: str, payloads: list[bytes]) -> list[str]:
    """How a call answers each of the payloads: "answered", or the error, with which it ends."""
    found = []
    async with served(guard) as channel:
        call = open_call(channel, method, token)
        try:
            for payload in payloads:
                await call.write(payload)
                answer = await call.read()
                assert answer is not grpc.aio.EOF
                error = DataRequest(answer).header.status.exception if method in (CALL, SINGLE) else None
                found.append(f"{error.name}: {error.args[0]}" if error and error.name else "answered")
        except grpc.RpcError as error:
            found.append(f"{error.code().name}: {error.details()}")
    return found


@pytest.fixture
def ask(tmp_path):
    """Sends payloads to the gateway, as a caller with a token."""
    access = AccessFile(tmp_path)
    token = access.add("alice", ("a",))

    def ask(method: str, *payloads: bytes, rates: Rates | None = None) -> list[str]:
        return asyncio.run(outcomes(door(access, rates or Rates(1000, 4)), method, token, list(payloads)))

    return ask


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Whatever callers send: it is no bug of the server's, so nothing is logged as one."""
    caplog.set_level(logging.DEBUG, "grpc")
    caplog.set_level(logging.INFO)
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING or record.exc_info]


@pytest.mark.parametrize("method", INFO_METHODS)
def test_what_is_no_question_is_refused_by_name(ask, method):
    assert ask(method, NO_MESSAGE) == [DAMAGED]


@pytest.mark.parametrize("payload", [NO_MESSAGE, NO_TEXT, b"", b"\x0a\x7f"])
@pytest.mark.parametrize("method", [CALL, SINGLE])
def test_what_is_no_request_is_refused_by_name(ask, method, payload):
    [outcome] = ask(method, payload)
    assert outcome.startswith("InvalidRequest: ")


@pytest.mark.parametrize("field", ["exec_endpoint", "target_executor", "request_id"])
@pytest.mark.parametrize("method", [CALL, SINGLE])
def test_a_header_that_is_not_text_is_refused_by_name(ask, method, field):
    request = DataRequest()
    request.header.exec_endpoint, request.header.target_executor = "/search", "indexer"
    setattr(request.header, field, "/search" if field == "exec_endpoint" else "#######")
    data = request.proto_with_data.SerializeToString()
    text = getattr(request.header, field).encode()
    [outcome] = ask(method, data.replace(text, b"\xff" * len(text)))
    assert outcome.startswith("InvalidRequest: ")


@pytest.mark.parametrize("method", INFO_METHODS)
def test_a_question_is_short(ask, method):
    """None of them needs more, and the event loop reads them."""
    head = b"\x7a" + varint(SMALL_BYTES - 3)  # of a field that none of them has
    longest = head + bytes(SMALL_BYTES - 3)
    assert len(longest) == SMALL_BYTES
    assert ask(method, longest) == ["answered"]
    [outcome] = ask(method, longest + b"\x00")
    assert outcome == f"INVALID_ARGUMENT: {method} takes at most {SMALL_BYTES} bytes; {SMALL_BYTES + 1} were sent."


def test_each_message_of_an_open_call_counts(ask):
    rates = Rates(1, 4, clock=lambda: 0.0)
    *answered, refused = ask(REFLECTION, *[b""] * (LEAST_BURST + 10), rates=rates)
    assert answered == ["answered"] * LEAST_BURST
    assert refused.startswith("RESOURCE_EXHAUSTED: 'alice' sends more than 1 documents a second")


@pytest.mark.parametrize("method", [*EXECUTOR_METHODS, SINGLE])
def test_an_executor_refuses_by_name_too(method):
    guard = OwnPortGuard(Verifier(SECRET, "indexer"), {}.get)
    before = refusals("indexer", "other", "InvalidRequest")
    assert asyncio.run(outcomes(guard, method, "", [NO_MESSAGE])) == [DAMAGED]
    assert refusals("indexer", "other", "InvalidRequest") == before + (method == SINGLE)
    if method != SINGLE:
        assert asyncio.run(outcomes(guard, method, "", [b""])) == ["answered"]


def test_nobody_may_watch_an_executors_health():
    """A stream that nobody ends would cost something."""
    guard = OwnPortGuard(Verifier(SECRET, "indexer"), {}.get)
    [outcome] = asyncio.run(outcomes(guard, "/grpc.health.v1.Health/Watch", "", [b""]))
    assert outcome.startswith("PERMISSION_DENIED: ")
