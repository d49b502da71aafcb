"""Who passes the gateway's door, without a server: handlers as gRPC calls them."""

import asyncio
import threading
from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from jina.proto import jina_pb2
from jina.types.request.data import DataRequest
from prometheus_client import REGISTRY

from clipseek.api.errors import AccessDenied, InvalidRequest, ServerNotReady, TooManyRequests
from clipseek.config.access import ANYONE, SERVER, AccessFile, service_token
from clipseek.schema import DocList, Query, QueryPart
from executors.flow.callers import Verifier
from executors.flow.gateway import door
from executors.flow.gateway.door import CALL, HEALTH, INFO_METHODS, MOST_BYTES, SINGLE, DoorInterceptor
from executors.flow.gateway.doorkeeper import Doorkeeper
from executors.flow.gateway.rates import Rates
from executors.flow.gateway.request_size import RequestSize
from tests.unit.flow.door_server import refusals

SECRET = "5e" * 32
ONE = RequestSize(1)


def bearer(token: str, library: str = "") -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")] + ([("clipseek-library", library)] if library else [])


@pytest.fixture
def access(tmp_path):
    return AccessFile(tmp_path)


def test_without_tokens_everyone_gets_in_only_where_the_service_may_be_open(access):
    assert Doorkeeper(access, SECRET, may_be_open=True).caller([]).name == ANYONE
    with pytest.raises(AccessDenied, match="requires a token"):
        Doorkeeper(access, SECRET, may_be_open=False).caller([])


def test_with_tokens_only_the_right_ones_get_in(access):
    right = access.add("alice", ("a", "b"))
    gone = access.add("gone", ("a",))
    access.revoke("gone")
    for may_be_open in (True, False):
        door = Doorkeeper(access, SECRET, may_be_open=may_be_open)
        caller = door.caller(bearer(right))
        assert (caller.name, caller.library, caller.server_folders) == ("alice", "a", False)
        assert door.caller(bearer(right, "b")).library == "b"
        own, of_nothing = service_token(SECRET), service_token("")
        assert door.caller(bearer(own)).name == SERVER
        assert [door.caller(bearer(own, name)).library for name in ("", "a", "c")] == ["main", "a", "c"]
        for wrong in ("", "wrong", right[:-1], right + "x", right.upper(), gone, own[:-1], SECRET, of_nothing, "é"):
            with pytest.raises(AccessDenied):
                door.caller(bearer(wrong))
        for metadata in ([], [("authorization", right)], [("authorization", f"Basic {right}")], bearer(right, "c")):
            with pytest.raises(AccessDenied):
                door.caller(metadata)


def test_the_service_itself_names_no_library_that_cannot_be(access):
    with pytest.raises(InvalidRequest, match="not a valid name"):
        Doorkeeper(access, SECRET, may_be_open=False).caller(bearer(service_token(SECRET), "../a"))


def test_only_the_service_says_whose_job_it_works_on(access):
    door = Doorkeeper(access, SECRET, may_be_open=True)
    filed_by = [("clipseek-filed-by", "bob")]
    working = door.caller(bearer(service_token(SECRET)) + filed_by)
    assert (working.name, working.owner) == (SERVER, "bob")
    assert door.caller(bearer(service_token(SECRET))).owner == SERVER
    assert door.caller(bearer("wrong") + filed_by).owner == ANYONE
    alice = door.caller(bearer(access.add("alice")) + filed_by)
    assert (alice.name, alice.owner, alice.filed_by) == ("alice", "alice", "")


def test_the_secret_itself_is_no_token(access):
    """It signs requests at the executors' own ports: whoever reads the service's token must not learn it."""
    assert SECRET not in service_token(SECRET) and service_token(SECRET) != service_token(SECRET[1:])
    door = Doorkeeper(access, SECRET, may_be_open=True)
    assert door.caller(bearer(SECRET)).name == ANYONE  # as without one


def request(endpoint: str = "/search", target: str = "", documents: int = 1, text: str = "a cat") -> DataRequest:
    made = DataRequest()
    made.header.exec_endpoint = endpoint
    if target:
        made.header.target_executor = target
    made.data.docs = DocList[Query]([Query(text=text) for _ in range(documents)])
    return DataRequest(made.proto_with_data.SerializeToString())


def serialized(request: DataRequest) -> bytes:
    return request.buffer or request.SerializeToString()


class Gateway:
    """The door in front of a gateway that answers each request with itself, and keeps what reached it."""

    def __init__(self, door: Doorkeeper, rates: Rates) -> None:
        self.reached: list[tuple[str, dict[str, str]]] = []  # target and parameters
        self.read = 0
        self.answer = None
        self.reads_ahead = False
        self.health: dict[str, grpc.RpcMethodHandler] = {}
        self._interceptor = DoorInterceptor(door, rates, SECRET, self._refusal)

    @staticmethod
    def _refusal(error: Exception) -> DataRequest:
        answer = DataRequest()
        answer.add_exception(error)
        return answer

    async def handler(self, method: str, metadata: list[tuple[str, str]]):
        async def stream(requests, _context):
            ahead = []
            async for each in requests:
                self.reached.append((each.header.target_executor, dict(each.parameters)))
                if self.reads_ahead:
                    ahead.append(each)
                else:
                    yield each
            for each in ahead:
                yield each

        async def single(each, context):
            if self.answer:
                return await self.answer(each, context)
            self.reached.append((each.header.target_executor, dict(each.parameters)))
            return each

        made = self.health.get(method.removeprefix(HEALTH)) or {
            CALL: grpc.stream_stream_rpc_method_handler(stream, DataRequest),
            SINGLE: grpc.unary_unary_rpc_method_handler(single, DataRequest),
        }.get(method, grpc.unary_unary_rpc_method_handler(single, DataRequest))

        async def proceed(_details):
            return made

        details = SimpleNamespace(method=method, invocation_metadata=metadata)
        return await self._interceptor.intercept_service(proceed, details)

    async def ask(self, method: str, metadata: list[tuple[str, str]], *requests: DataRequest) -> list[DataRequest]:
        async def sent(requests):
            for each in requests:
                self.read += 1
                yield serialized(each)

        async def abort(code, reason):
            raise grpc.RpcError(code, reason)

        handler = await self.handler(method, metadata)
        context = SimpleNamespace(invocation_metadata=lambda: metadata, abort=abort)
        return [each async for each in handler.stream_stream(sent(requests), context)]


@pytest.fixture
def token(access):
    return access.add("alice", ("a",))


@pytest.fixture
def gateway(access, token):
    return Gateway(Doorkeeper(access, SECRET, may_be_open=True), Rates(100, 3))


def error_of(answer: DataRequest) -> str:
    return answer.header.status.exception.name


@pytest.mark.parametrize("method", [CALL, SINGLE])
def test_a_call_with_a_wrong_token_is_refused_before_it_is_read(gateway, method):
    before = refusals("gateway", "other", "AccessDenied")
    [answer] = asyncio.run(gateway.ask(method, bearer("wrong"), request()))
    assert error_of(answer) == "AccessDenied"
    assert refusals("gateway", "other", "AccessDenied") == before + 1
    assert gateway.read == 0 and not gateway.reached


@pytest.mark.parametrize("method", [*INFO_METHODS, "/jina.JinaExecutorRestore/restore", "/any.Thing/else"])
def test_other_calls_without_a_token_are_aborted_before_they_are_read(gateway, method):
    with pytest.raises(grpc.RpcError):
        asyncio.run(gateway.ask(method, [], request()))
    assert gateway.read == 0 and not gateway.reached


def test_health_answers_everyone_without_reading(gateway):
    asked = []

    async def status(each, _context):
        asked.append(each)
        return "serving"

    gateway.health = {
        "Check": grpc.unary_unary_rpc_method_handler(status),
        "Watch": grpc.unary_stream_rpc_method_handler(None),
    }
    assert asyncio.run(gateway.ask(HEALTH + "Check", [], request())) == ["serving"]
    with pytest.raises(grpc.RpcError):  # it would hold a stream open for nobody
        asyncio.run(gateway.ask(HEALTH + "Watch", [], request()))
    assert gateway.read == 0 and asked == [HealthCheckRequest()]


@pytest.mark.parametrize("method", [CALL, SINGLE])
def test_an_admitted_request_is_signed_with_its_route_and_the_answer_is_not(gateway, token, method):
    [answer] = asyncio.run(gateway.ask(method, bearer(token), request(target="text_encoder|indexer")))
    [(target, parameters)] = gateway.reached
    assert target == "^(text_encoder|indexer)$"
    caller = Verifier(SECRET, "indexer").caller(parameters, "/search")
    assert (caller.name, caller.library, caller.route) == ("alice", "a", ("text_encoder", "indexer"))
    assert answer.parameters == {}


@pytest.mark.parametrize(
    ("image", "target", "passed"),
    [
        (b"", "", "^(text_encoder|indexer)$"),
        (b"", "image_encoder|text_encoder|indexer", "^(text_encoder|indexer)$"),
        (b"a picture", "", "^(image_encoder|text_encoder|indexer)$"),
        (b"a picture", "text_encoder|indexer", "^(text_encoder|indexer)$"),
    ],
)
def test_a_query_without_images_needs_no_image_encoder(gateway, token, image, target, passed):
    query = Query(parts=DocList[QueryPart]([QueryPart(text="a cat"), QueryPart(image=image)]))
    asked = request(target=target)
    asked.document_array_cls = DocList[Query]
    asked.data.docs = DocList[Query]([query])
    [answer] = asyncio.run(gateway.ask(SINGLE, bearer(token), DataRequest(asked.proto_with_data.SerializeToString())))
    assert gateway.reached[0][0] == passed
    answer.document_array_cls = DocList[Query]
    assert answer.docs == DocList[Query]([query])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (request("/nothing"), "InvalidRequest"),
        (request(target="^" + ".*" * 20 + "!"), "InvalidRequest"),
        (request(target="indexer"), "InvalidRequest"),
        (request("/probe", target="indexer"), "InvalidRequest"),
        (request(documents=3000), "TooManyRequests"),
        (request("/videos", text="x" * (MOST_BYTES + 1)), "LimitExceeded"),
    ],
)
@pytest.mark.parametrize("method", [CALL, SINGLE])
def test_a_request_that_may_not_pass_is_refused_by_name(gateway, token, method, wrong, error):
    [answer] = asyncio.run(gateway.ask(method, bearer(token), DataRequest(wrong.SerializeToString())))
    assert error_of(answer) == error
    assert not gateway.reached


@pytest.mark.parametrize("method", [CALL, SINGLE])
@pytest.mark.parametrize(("first", "second"), [("/search", "/videos"), ("/videos", "/search")])
def test_the_endpoint_that_was_measured_is_the_one_that_is_asked(gateway, token, method, first, second):
    """Protobuf merges several headers, and the last one counts."""
    header = jina_pb2.DataRequestProto(header=jina_pb2.HeaderProto(exec_endpoint=second)).SerializeToString()
    for wrong in (serialized(request(first)) + header, header + serialized(request(first))):
        [answer] = asyncio.run(gateway.ask(method, bearer(token), DataRequest(wrong)))
        assert error_of(answer) == "InvalidRequest"
    assert not gateway.reached


def test_refused_requests_count_too(access, token):
    """Refusing one costs the gateway something: whoever sends nothing else is told to slow down."""
    gateway = Gateway(Doorkeeper(access, SECRET, may_be_open=True), Rates(100, 3, clock=lambda: 0.0))
    bad = request("/videos", text="x" * (MOST_BYTES + 1)).SerializeToString()

    async def errors():
        return [error_of((await gateway.ask(SINGLE, bearer(token), DataRequest(bad)))[0]) for _ in range(20)]

    assert asyncio.run(errors()) == ["LimitExceeded"] * 8 + ["TooManyRequests"] * 12  # 25 documents each, of 200


def test_a_large_request_is_measured_beside_the_event_loop(gateway, access, token, monkeypatch):
    """Meanwhile another caller's request passes."""
    measuring, free = threading.Event(), threading.Event()
    measure = door.measure_request

    def measure_slowly(data):
        if len(data) > 100_000:
            measuring.set()
            assert free.wait(30)
        return measure(data)

    async def ask():
        large = asyncio.create_task(gateway.ask(SINGLE, bearer(token), request(text="x" * 200_000)))
        assert await asyncio.to_thread(measuring.wait, 30)
        [answer] = await gateway.ask(SINGLE, bearer(bob), request())
        assert not error_of(answer) and not large.done()
        free.set()
        await large

    bob = access.add("bob", ("b",))
    monkeypatch.setattr(door, "measure_request", measure_slowly)
    try:
        asyncio.run(ask())
    finally:
        free.set()


def test_requests_of_an_executor_that_is_away_are_counted_as_failed(gateway, token):
    async def fail(_request, _context):
        raise ServerNotReady("away", executor="indexer")

    gateway.answer = fail
    before = refusals("gateway", "/search", "ServerNotReady")
    [answer] = asyncio.run(gateway.ask(SINGLE, bearer(token), request()))
    assert error_of(answer) == "ServerNotReady"
    assert refusals("gateway", "/search", "ServerNotReady") == before + 1


def test_names_that_callers_make_up_are_not_kept(access, token):
    rates = Rates(1000, 3)
    gateway = Gateway(Doorkeeper(access, SECRET, may_be_open=True), rates)
    for number in range(20):
        asyncio.run(gateway.ask(SINGLE, bearer(token), request(f"/nothing/{number}")))
        asyncio.run(gateway.ask(SINGLE, bearer(token), request(target=f"nobody-{number}")))
        asyncio.run(gateway.ask(SINGLE, bearer(f"wrong-{number}"), request()))
    asyncio.run(gateway.ask(SINGLE, bearer(token), request()))
    assert {name: list(account.lanes) for name, account in rates._callers.items()} == {"alice": ["/search"]}


def test_calls_that_inform_count_too(gateway, token):
    async def ask_until_refused():
        for _ in range(1000):
            await gateway.ask(INFO_METHODS[0], bearer(token), request())

    with pytest.raises(grpc.RpcError, match="documents a second"):
        asyncio.run(ask_until_refused())
    assert 100 < len(gateway.reached) < 1000


def test_one_open_call_may_send_any_number_of_requests_one_after_the_other(gateway, token):
    answers = asyncio.run(gateway.ask(CALL, bearer(token), *[request() for _ in range(10)]))  # three at a time
    assert [error_of(answer) for answer in answers] == [""] * 10


def test_a_refused_request_ends_the_call_after_the_answers_to_those_before_it(gateway, token):
    gateway.reads_ahead = True
    answers = asyncio.run(gateway.ask(CALL, bearer(token), request(), request("/nothing"), request()))
    assert [error_of(answer) for answer in answers] == ["", "InvalidRequest"]


def test_answers_tell_nothing_of_the_servers_code(gateway, token):
    async def fail(each, _context):
        each.add_exception(KeyError("/srv/secret"))
        assert each.header.status.exception.stacks
        return each

    gateway.answer = fail
    [answer] = asyncio.run(gateway.ask(SINGLE, bearer(token), request()))
    assert error_of(answer) == "KeyError" and not answer.header.status.exception.stacks


def test_the_largest_request_without_images_passes(gateway, token):
    empty = len(serialized(request("/videos", text="x" * MOST_BYTES)))
    for size, error in ((MOST_BYTES, ""), (MOST_BYTES + 1, "LimitExceeded")):
        made = request("/videos", text="x" * (MOST_BYTES - (empty - size)))
        assert len(serialized(made)) == size
        [answer] = asyncio.run(gateway.ask(SINGLE, bearer(token), made))
        assert error_of(answer) == error


def test_the_metrics_count_each_request_once_and_none_as_under_way_for_ever(gateway, token):
    def counted() -> list[float]:
        under_way = [
            REGISTRY.get_sample_value("clipseek_requests_under_way", {"executor": "gateway", "endpoint": name}) or 0.0
            for name in ("/search", "other")
        ]
        answered = REGISTRY.get_sample_value("clipseek_request_seconds_count", {"endpoint": "/search"}) or 0.0
        return [*under_way, answered, refusals("gateway", "other", "InvalidRequest")]

    before = counted()
    for endpoint in ("/search", "/nothing"):
        asyncio.run(gateway.ask(SINGLE, bearer(token), request(endpoint)))
    assert [after - value for after, value in zip(counted(), before, strict=True)] == [0, 0, 1, 1]


@pytest.mark.parametrize("method", [CALL, SINGLE])
def test_places_are_given_back(access, token, method):
    """Also by requests that fail, and by calls that are given up: three may be under way."""
    rates = Rates(1000, 3)
    gateway = Gateway(Doorkeeper(access, SECRET, may_be_open=True), rates)

    async def work():
        for _ in range(10):
            [answer] = await gateway.ask(method, bearer(token), request())
            assert not error_of(answer)
        for _ in range(10):
            handler = await gateway.handler(method, bearer(token))
            stuck = asyncio.create_task(_give_up(handler, bearer(token)))
            await asyncio.sleep(0)
            stuck.cancel()
            await asyncio.wait([stuck])
        leaves = [await rates.enter("alice", "/search", ONE) for _ in range(3)]
        with pytest.raises(TooManyRequests):
            await rates.enter("alice", "/search", ONE)
        for leave in leaves:
            leave()

    asyncio.run(work())


async def _give_up(handler, metadata):
    context = SimpleNamespace(invocation_metadata=lambda: metadata)

    async def sent():
        yield serialized(request())
        await asyncio.Event().wait()

    return [each async for each in handler.stream_stream(sent(), context)]
