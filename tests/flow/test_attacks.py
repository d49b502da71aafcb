"""Attacks on a running service: none stops it, slows others much, takes memory that stays, or plants what it says."""

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from jina.proto import jina_pb2_grpc
from jina.types.request.data import DataRequest
from PIL import Image

from benchmarks.synthetic import videos
from benchmarks.torture.call_fuzz import Target, fuzz_calls
from clipseek.api.endpoints import EXECUTORS
from clipseek.api.errors import ClipSeekError, InvalidRequest, VideoNotFound
from clipseek.client import Client
from clipseek.config.access import AccessFile
from clipseek.schema import DocList, Query, QueryPart, Video, VideoSpan
from tests.flow.conftest import Server
from tests.protobuf import documents

# That a search of another caller may take. `make torture` asks for one second; other tests share this machine.
MOST_SECONDS = 5.0
CALL, SINGLE = "/jina.JinaRPC/Call", "/jina.JinaSingleDataRequestRPC/process_single_data"


@dataclass
class World:
    server: Server
    tokens: dict[str, str]
    video: Video

    def client(self, name: str) -> Client:
        return Client(self.server.host, token=self.tokens[name], timeout_seconds=120)

    def peak_mb(self, name: str) -> float:
        """The most memory that a process of the service has had resident."""
        process = dict(zip((*EXECUTORS, "gateway"), self.server.processes(), strict=True))[name]
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture(scope="module")
def world(launch, tmp_path_factory, tiny_model) -> Iterator[World]:
    home = tmp_path_factory.mktemp("service") / "store"
    access = AccessFile(home)
    tokens = {name: access.add(name, (name,)) for name in ("alice", "mallory", "honest")}
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model), CLIPSEEK_LOG_LEVEL="INFO")
    made = World(server, tokens, Video())
    file = videos.make(tmp_path_factory.mktemp("videos") / "a.mp4", frames=60).path
    made.video = made.client("alice").index(file).video
    made.client("mallory").index(file, title="mine.mp4")
    yield made


@pytest.fixture
def calm(world) -> Iterator[None]:
    """Alice searches all the time, and never waits long."""
    end, slowest = threading.Event(), [0.0]

    def search() -> None:
        client = world.client("alice")
        while not end.is_set():
            started = time.monotonic()
            assert client.search("a cat", all_matches=True).matches
            slowest[0] = max(slowest[0], time.monotonic() - started)

    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(search)
        yield
        end.set()
        searching.result()
    assert slowest[0] < MOST_SECONDS


def test_a_regular_expression_as_the_executors_name_stops_nobody(world, calm):
    client = world.client("mallory")
    for target in ("^" + ".*" * 20 + "!", "(a|a)*" * 30, ".*", "indexer", "text_encoder|.*"):
        with pytest.raises(InvalidRequest, match="/search cannot be sent to the executor"):
            client._post("/search", Query(text="a cat"), target)


def test_a_stranger_costs_the_gateway_nothing_that_grows_with_the_call(world, calm):
    """Four calls of 250 MB each, without a token; also to the health service, which anyone may ask."""
    before = world.peak_mb("gateway")
    big = bytes(250_000_000)

    def call(method: str) -> str:
        options = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{world.server.port}", options) as channel:
            try:
                if method == CALL:
                    answers = channel.stream_stream(method)(iter([big]), timeout=60)
                    return DataRequest(next(answers)).header.status.exception.name
                answer = channel.unary_unary(method)(big, timeout=60)
                return DataRequest(answer).header.status.exception.name if method == SINGLE else "served"
            except grpc.RpcError as error:
                return error.code().name

    methods = [CALL, SINGLE, "/jina.JinaInfoRPC/_status", "/grpc.health.v1.Health/Check"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(call, methods))
    assert answers == ["AccessDenied", "AccessDenied", "UNAUTHENTICATED", "served"]
    assert world.peak_mb("gateway") - before < 60


def _request(endpoint: str, docs: DocList, target: str = "") -> DataRequest:
    request = DataRequest()
    request.header.exec_endpoint, request.header.target_executor = endpoint, target
    request.data.docs = docs
    return request


def _raw(world: World, name: str, request: DataRequest, **header: str) -> str:
    """The error that answers a request which no client of ours would send."""
    with grpc.insecure_channel(f"127.0.0.1:{world.server.port}") as channel:
        answer = jina_pb2_grpc.JinaSingleDataRequestRPCStub(channel).process_single_data(
            request, metadata=(("authorization", f"Bearer {world.tokens[name]}"),)
        )
    return answer.header.status.exception.name


def test_many_searches_in_one_request_count_as_many(world, calm):
    many = DocList[Query]([Query(text=f"a cat {number}") for number in range(3000)])
    assert _raw(world, "mallory", _request("/search", many)) == "TooManyRequests"


def test_a_request_of_countless_empty_documents_is_refused_unread(world, calm):
    before = world.peak_mb("gateway")
    request = _request("/search", DocList[Query]([Query(text="a cat")]))
    empty = b"\n\x00" * 8_000_000
    data = request.proto_with_data.SerializeToString() + documents(empty)
    with grpc.insecure_channel(f"127.0.0.1:{world.server.port}", [("grpc.max_send_message_length", -1)]) as channel:
        metadata = (("authorization", f"Bearer {world.tokens['mallory']}"),)
        answer = DataRequest(channel.unary_unary(SINGLE)(data, metadata=metadata, timeout=60))
    assert answer.header.status.exception.name == "InvalidRequest"
    assert world.peak_mb("gateway") - before < 100


def test_an_endpoint_that_does_not_exist_is_refused_and_leaves_no_trace(world):
    for endpoint in ("/nothing", "_jina_dry_run_", ""):
        assert _raw(world, "mallory", _request(endpoint, DocList[Video]([Video()]))) == "InvalidRequest"


FORGED = {
    "/probe": Video(
        video_id="",
        title="\x1b]0;owned\x07\nx\u202e",
        size_bytes=1,
        duration_seconds=9e5,
        width=7,
        codec="forged",
        model_id="local-dir:/tmp/evil@0",
        missing_start_seconds=[0.0],
        missing_end_seconds=[9.0],
        added_at=1.0,
    ),
    "/index": VideoSpan(
        video_id="",
        end_seconds=1.0,
        pictures=bytes(32 * 32 * 3),
        picture_width=32,
        picture_height=32,
        pts_seconds=[0.25],
        cut_seconds=[0.25],
        embeddings=b"\x00\x3c" + bytes(46),
        dimensions=24,
        model_id="forged",
        stored=True,
    ),
}


@pytest.mark.parametrize("endpoint", FORGED)
def test_what_executors_establish_cannot_be_forged(world, endpoint):
    """All facts of a video and its spans are those of its file, whatever a caller writes."""
    client = world.client("mallory")
    known = client.video(client.video("mine.mp4").video_id)
    before = known.to_dict()
    curve = client.timeline("mine.mp4", "a cat").curve_scores
    doc = FORGED[endpoint].model_copy(update={"video_id": known.video_id})
    if endpoint == "/index":
        with pytest.raises(InvalidRequest, match=r"The span \[0, 1\) s, even at 1 frames a second, is none of"):
            client._post(endpoint, doc, None)
        doc = doc.model_copy(update={"end_seconds": known.duration_seconds})
    client._post(endpoint, doc, None)
    after = client.video(known.video_id).to_dict()
    assert after.pop("title") in {"mine.mp4", "]0;ownedx"}
    assert {key: value for key, value in before.items() if key not in {"id", "title"}} == {
        key: value for key, value in after.items() if key != "id"
    }
    client.rename(known.video_id, "mine.mp4")
    assert client.timeline("mine.mp4", "a cat").curve_scores == curve


@pytest.mark.parametrize("endpoint", FORGED)
def test_nothing_goes_to_the_indexer_alone(world, endpoint):
    client = world.client("mallory")
    for video_id in ("../../etc", world.video.video_id):
        for executor in EXECUTORS:
            doc = FORGED[endpoint].model_copy(update={"video_id": video_id})
            with pytest.raises(InvalidRequest, match=f"{endpoint} cannot be sent to the executor"):
                client._post(endpoint, doc, executor)
    with pytest.raises(ClipSeekError) as refused:
        client._post(endpoint, FORGED[endpoint].model_copy(update={"video_id": "../../etc"}), None)
    assert type(refused.value) in {VideoNotFound, InvalidRequest}
    assert "../../etc" not in {video.video_id for video in client.videos()}


def test_vectors_of_a_query_are_the_encoders_alone(world):
    client = world.client("mallory")
    honest = client.search("a cat", all_matches=True)
    forged = [1.0, *[0.0] * 23]
    for target in (None, "text_encoder|indexer"):
        query = Query(text="a cat", all_matches=True, embedding=forged, neutral_embedding=forged, one_cosine=1.0)
        answer = client._one("/search", query, target)
        assert [match.score for match in answer.matches] == [match.score for match in honest.matches]
        part = QueryPart(embedding=forged, title="forged")
        with pytest.raises(ClipSeekError):
            client._one("/search", Query(parts=DocList[QueryPart]([part]), all_matches=True), target)


def test_images_are_decoded_one_at_a_time(world, calm):
    """Eight of 50 megapixels in four requests: what one of them takes, and no more."""
    file = io.BytesIO()
    Image.new("RGBA", (7070, 7070), "red").save(file, "PNG")
    before = world.peak_mb("image_encoder")
    parts = DocList[QueryPart]([QueryPart(image=file.getvalue()) for _ in range(2)])
    client = world.client("mallory")

    def search(_: int) -> int:
        return len(client._one("/search", Query(parts=parts, all_matches=True)).matches)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(search, range(4)))
    assert world.peak_mb("image_encoder") - before < 600


def test_pictures_larger_than_the_model_needs_are_not_made(world, calm):
    span = VideoSpan(video_id=world.video.video_id, end_seconds=30.0, frames_per_second=30.0)
    span = span.model_copy(update={"picture_width": 4096, "picture_height": 4096})
    before = world.peak_mb("video_loader")
    with pytest.raises(ClipSeekError):
        world.client("alice")._one("/index", span)
    assert world.peak_mb("video_loader") - before < 1500


def test_no_call_with_any_header_to_any_port_does_harm(world):
    """A short form of the suite in `make torture`."""
    server = world.server
    target = Target(server.port, server.home.parent, server.home, server.processes())
    with world.client("honest") as honest:
        outcomes = fuzz_calls(target, world.tokens["mallory"], honest, count=400, most_seconds=MOST_SECONDS)
    assert outcomes.failures == []
    assert {"AccessDenied", "InvalidRequest", "PERMISSION_DENIED", "answered"} <= set(outcomes.counts)


def test_the_service_is_whole_after_all_that(world):
    assert len(world.client("alice").health()) == len(EXECUTORS)
    assert world.client("alice").search("a cat", all_matches=True).matches
