"""What a client repeats while the server restarts one of its processes, and what it does not."""

import asyncio
import re

import grpc
import pytest

from clipseek.api.documents import Health, Query
from clipseek.api.errors import (
    InvalidSetting,
    LimitExceeded,
    RequestLost,
    ServerNotReady,
    ServerTimeout,
    ServerUnreachable,
)
from clipseek.client.transport import Transport


class Scripted(Transport):
    """A transport whose server answers as told: an error is raised, anything else is the answer."""

    def __init__(self, *answers, retry_seconds=5.0):
        super().__init__("127.0.0.1", 1, retry_seconds=retry_seconds)
        self.answers, self.asked = list(answers), 0

    async def _connect(self):
        pass

    async def _post_once(self, endpoint, doc, executor, timeout_seconds):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, endpoint="/search", doc=None, timeout_seconds=60.0):
        return asyncio.run(self.post(endpoint, doc or Query(), timeout_seconds=timeout_seconds))


def test_a_request_is_asked_again_until_it_is_answered_and_that_is_said_once(caplog):
    transport = Scripted(ServerNotReady("The indexer is down."), ServerUnreachable("Nobody."), "the answer")
    assert transport.ask() == "the answer"
    assert transport.asked == 3
    first, last = caplog.messages
    assert first.startswith("The indexer is down. ")
    assert re.fullmatch(r"The server answers again after \d+\.\d s \(/search\)\.", last)


def test_a_request_that_takes_a_process_down_each_time_is_left(caplog):
    transport = Scripted(RequestLost("The indexer crashed.", executor="indexer"))
    with pytest.raises(RequestLost):
        transport.ask()
    assert transport.asked == 3


def test_a_request_that_several_processes_ended_under_goes_on(caplog):
    lost = [RequestLost(f"The {name} crashed.", executor=name) for name in ("gateway", "indexer", "video_loader")]
    assert Scripted(*lost, "the answer").ask() == "the answer"


def test_health_is_told_as_it_is():
    transport = Scripted(ServerNotReady("down"))
    with pytest.raises(ServerNotReady):
        transport.ask("/health", Health())
    assert transport.asked == 1


@pytest.mark.parametrize(("retry_seconds", "timeout_seconds"), [(0.0, 60.0), (60.0, 0.1)])
def test_no_longer_than_it_may(retry_seconds, timeout_seconds, caplog):
    transport = Scripted(ServerNotReady("down"), retry_seconds=retry_seconds)
    with pytest.raises(ServerNotReady):
        transport.ask(timeout_seconds=timeout_seconds)
    assert transport.asked == 1


def test_a_request_past_its_deadline_is_not_asked_again():
    transport = Scripted(TimeoutError())
    with pytest.raises(ServerTimeout, match=r"did not answer /search within 60 s"):
        transport.ask()
    assert transport.asked == 1


def broken(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (broken(grpc.StatusCode.UNAVAILABLE, "recvmsg:Connection reset by peer"), RequestLost, "The gateway of"),
        (
            broken(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: Connection refused"),
            ServerUnreachable,
            "No ClipSeek server",
        ),
        (broken(grpc.StatusCode.RESOURCE_EXHAUSTED, ""), LimitExceeded, "The request /upload is larger than"),
        (broken(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"), InvalidSetting, "The program at"),
    ],
)
def test_a_gateway_that_does_not_answer_is_named_by_its_failure(error, kind, message):
    translated = Transport("127.0.0.1", 1, retry_seconds=0.0)._broken(error, "/upload")
    assert type(translated) is kind
    assert str(translated).startswith(message)
