"""Who may do what: tokens, libraries and the executors' own ports, against a real server."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from jina import Client as JinaClient
from jina.excepts import BadServer
from jina.proto import jina_pb2, jina_pb2_grpc
from jina.types.request.data import DataRequest, SingleDocumentRequest

from benchmarks.synthetic import videos
from clipseek.api.endpoints import ENDPOINTS, EXECUTORS
from clipseek.api.errors import AccessDenied, ClipSeekError, NotFound, VideoNotFound
from clipseek.client import Client, transport
from clipseek.config.access import AccessFile, service_token
from clipseek.schema import (
    BaseDoc,
    Calibration,
    Clip,
    Cue,
    DocList,
    Health,
    Job,
    Model,
    Query,
    QueryPart,
    Reel,
    Subtitles,
    Thumbnail,
    Transcript,
    Upload,
    Video,
    VideoSpan,
    WordSpan,
)
from executors.flow.callers import LIFETIME_SECONDS, Caller, signed
from tests.flow.conftest import Server

SECRET = "5f" * 32
NOWHERE = "0" * 64  # the id of no video


@dataclass
class World:
    """A server with two libraries: `both` is in each of them, `own` only in its holder's."""

    server: Server
    home: Path
    tokens: dict[str, str]
    both: str
    own: dict[str, str]

    def client(self, name: str, library: str | None = None) -> Client:
        return Client(self.server.host, token=self.tokens[name], library=library, timeout_seconds=120)


@pytest.fixture(scope="module")
def world(launch, tmp_path_factory, tiny_model) -> Iterator[World]:
    home, folder = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("videos")
    access = AccessFile(home)
    tokens = {
        "alice": access.add("alice", ("a",)),
        "bob": access.add("bob", ("b", "main", "c"), server_folders=True),
        "gone": access.add("gone", ("a", "b", "main")),
    }
    access.revoke("gone")
    server = launch(
        home,
        CLIPSEEK_MODEL=str(tiny_model),
        CLIPSEEK_LOG_LEVEL="DEBUG",
        CLIPSEEK_FLOW_SECRET=SECRET,
        CLIPSEEK_MEDIA_ROOTS=str(folder),
    )
    both = videos.make(folder / "both.mp4", frames=60).path
    made = World(server, home, tokens, "", {})
    for name, frames in (("alice", 80), ("bob", 100)):
        client = made.client(name)
        made.own[name] = client.index(videos.make(folder / f"{name}-own.mp4", frames=frames).path).video.video_id
        made.both = client.index(both, title=f"{name}-both.mp4").video.video_id
    yield made


def vector() -> list[float]:
    return (np.ones(24) / np.sqrt(24)).tolist()


# Requests to every endpoint about a video; an endpoint of the table that is missing here fails the test below.
ABOUT = {
    "/upload": lambda video: [
        Upload(video_id=video, title="x.mp4", size_bytes=5000),
        Upload(server_path="/etc/passwd"),
    ],
    "/subtitles": lambda video: [
        Subtitles(video_id=video),
        Subtitles(video_id=video, name="x.srt", data=b"1\n00:00:00,000 --> 00:00:01,000\nhello\n"),
    ],
    "/server_videos": lambda video: [Upload(server_path="/")],
    "/samples": lambda video: [Video()],
    "/probe": lambda video: [Video(video_id=video), Video(video_id=video, title="mine now")],
    "/index": lambda video: [
        VideoSpan(video_id=video, end_seconds=1.0, picture_width=32, picture_height=32),
        VideoSpan(
            video_id=video,
            end_seconds=1.0,
            pts_seconds=[0.0],
            embeddings=np.ones(24, np.float16).tobytes(),
            dimensions=24,
        ),
    ],
    "/words": lambda video: [
        WordSpan(video_id=video, end_seconds=1.0),
        WordSpan(video_id=video, end_seconds=1.0, cues=DocList[Cue]([Cue(text="x", source="speech")])),
    ],
    "/transcript": lambda video: [Transcript(video_id=video)],
    "/correct_cue": lambda video: [Cue(video_id=video, cue_id=1, text="x")],
    "/search": lambda video: [
        Query(text="a cat", all_matches=True, top_k=100),
        Query(text="a cat", all_matches=True, video_ids=[video]),
        Query(parts=[QueryPart(video_id=video, at_seconds=0.5)], all_matches=True),
        Query(parts=[QueryPart(embedding=vector(), text="a cat")], video_ids=[video], all_matches=True),
    ],
    "/timeline": lambda video: [
        Query(text="a cat", all_matches=True, video_ids=[video]),
        Query(text="a cat", embedding=vector(), all_matches=True, video_ids=[video]),
    ],
    "/calibrate": lambda video: [Calibration(reset=True)],
    "/clip": lambda video: [Clip(video_id=video, end_seconds=0.5), Clip(video_id=video, end_seconds=0.5, mode="copy")],
    "/join": lambda video: [Reel(video_ids=[video], start_seconds=[0.0], end_seconds=[0.5])],
    "/thumbnail": lambda video: [Thumbnail(video_id=video)],
    "/videos": lambda video: [Video(), Video(video_id=video)],
    "/job": lambda video: [Job(video_id=video)],
    "/jobs": lambda video: [Job(), Job(job_id=video[:12]), Job(video_id=video)],
    "/cancel_job": lambda video: [Job(job_id=video[:12]), Job(job_id=video[:12], video_id=video, forget=True)],
    "/lease_job": lambda video: [Job(runner="mine"), Job(runner="mine", video_id=video)],
    "/report_job": lambda video: [Job(runner="mine", job_id=video[:12], video_id=video, state="done")],
    "/delete": lambda video: [Video(video_id=video)],
    "/health": lambda video: [Health()],
    "/model": lambda video: [Model()],
    "/models": lambda video: [Model()],
    "/use_model": lambda video: [Model(name=video)],
    "/forget_model": lambda video: [Model(name=video)],
    "/switch_model": lambda video: [Model(name=video, model_id=video)],
}


def outcome(client: Client, endpoint: str, doc: BaseDoc, executor: str | None) -> str:
    """What comes of a request, in words: the answer, or the error."""
    try:
        answer = transport.run(client._transport.post(endpoint, doc, executor=executor, timeout_seconds=60))
    except ClipSeekError as error:
        return f"{type(error).__name__}: {error}"
    dumped = [asdict(each) for each in answer]
    return json.dumps(dumped, default=bytes.hex)


def without_noise(text: str) -> str:
    """The ids of documents and the room on the disk differ from one answer to the next."""
    if not text.startswith("["):
        return text

    def cleaned(value):
        if isinstance(value, dict):
            return {key: cleaned(each) for key, each in value.items() if key not in {"id", "free_bytes"}}
        return [cleaned(each) for each in value] if isinstance(value, list) else value

    return json.dumps(cleaned(json.loads(text)))


def endpoints(world: World) -> list[str]:
    """Those that the running Flow says it has."""
    with grpc.insecure_channel(f"127.0.0.1:{world.server.port}") as channel:
        found = jina_pb2_grpc.JinaDiscoverEndpointsRPCStub(channel).endpoint_discovery(
            jina_pb2.google_dot_protobuf_dot_empty__pb2.Empty(),
            metadata=(("authorization", f"Bearer {world.tokens['alice']}"),),
        )
    return [name for name in found.endpoints if not name.startswith("_jina")]


def state_of(client: Client, folder: Path) -> dict[str, object]:
    """All that a library is, as its holder sees it."""
    videos = [(v.video_id, v.title, v.frames, v.status, v.sampling) for v in client.videos()]
    found = client.search("a cat", all_matches=True, top_k=100)
    facts = client.health()[-1].facts
    return {
        "videos": videos,
        "matches": [(m.video_id, m.title, m.start_seconds, m.end_seconds, m.score) for m in found.matches],
        "counts": (facts["videos"], facts["frames"], facts["fitted_shift"]),
        "files": {file.name: file.read_bytes() for file in folder.iterdir()},
        "thumbnails": [client.thumbnail(video_id, 1.0) for video_id, *_ in videos],
    }


def test_no_endpoint_reaches_into_another_library(world):
    """Alice gets the same answers about bob's video as about none, and his library stays as it is.

    At every endpoint of the whole Flow, and of each of its executors.
    """
    alice, bob = world.client("alice"), world.client("bob")
    folder = world.home / "libraries" / "b" / "media"
    before = state_of(bob, folder)
    names = endpoints(world)
    assert set(ABOUT) == set(ENDPOINTS) <= set(names)
    for endpoint in names:
        asks = ABOUT[endpoint]
        for executor in (None, *EXECUTORS):
            for of_bob, of_nobody in zip(asks(world.own["bob"]), asks(NOWHERE), strict=True):
                outcome(alice, endpoint, of_nobody, executor)  # what the first of two changes, neither changes then
                told_of_nobody = without_noise(outcome(alice, endpoint, of_nobody, executor))
                told = without_noise(outcome(alice, endpoint, of_bob, executor))
                where = f"{endpoint} at {executor or 'the Flow'}: {told[:300]}"
                assert "bob" not in told, where
                for digits in (64, 12):
                    told = told.replace(world.own["bob"][:digits], NOWHERE[:digits])
                assert told == told_of_nobody, where
    assert state_of(bob, folder) == before


def test_jobs_of_another_library_are_as_if_there_were_none(world):
    alice, bob = world.client("alice"), world.client("bob")
    before = [job.to_dict() for job in bob.jobs()]
    for job in bob.jobs():
        for path in ("/jobs", "/cancel_job"):
            for forget in (False, True):
                with pytest.raises(NotFound, match=f"There is no job '{job.job_id}'"):
                    alice._one(path, Job(job_id=job.job_id, forget=forget))
    assert before and [job.to_dict() for job in bob.jobs()] == before


def test_nobody_but_the_service_does_jobs_and_switches_models(world):
    secret = Client(world.server.host, token=SECRET)
    asks = [("/lease_job", Job(runner="mine")), ("/report_job", Job(runner="mine", state="done"))]
    for path, doc in [*asks, ("/switch_model", Model(name=str(world.home))), ("/model", Model())]:
        for client in (world.client("alice"), world.client("bob")):
            with pytest.raises(AccessDenied, match="Only the service's own runner"):
                client._one(path, doc)
        with pytest.raises(AccessDenied, match="does not know this token"):  # the secret is for signatures only
            secret._one(path, doc)
    service = Client(world.server.host, token=service_token(SECRET), library="")
    assert service._one("/lease_job", Job(runner="mine")).job_id == ""  # there is none


def test_another_library_than_the_tokens_own_is_refused_whether_it_exists_or_not(world):
    told = []
    for library in ("b", "main", "never-made"):
        with pytest.raises(AccessDenied) as refused:
            world.client("alice", library).videos()
        told.append(str(refused.value).replace(f"'{library}'", "X"))
    assert len(set(told)) == 1
    assert not (world.home / "libraries" / "never-made").exists()
    assert [video.title for video in world.client("bob").videos()] == ["bob-own.mp4", "bob-both.mp4"]
    assert not world.client("bob", "main").videos()


def test_equal_videos_share_their_bytes_and_nothing_else(world, tmp_path):
    """A third library takes the common video, sends all of it, renames and deletes it: the others keep theirs."""
    alice, main = world.client("alice"), world.client("bob", "main")
    whole = next(iter((world.home / "libraries" / "a" / "media").glob(f"{world.both}.film*")))
    offer = transport.run(
        main._transport.post(
            "/upload",
            Upload(video_id=world.both, title="c.mp4", size_bytes=whole.stat().st_size),
            executor="video_loader",
            timeout_seconds=60,
        )
    )[0]
    assert not offer.complete and offer.missing_offsets == [0]
    scores = [(m.video_id, m.score) for m in alice.search("a cat", all_matches=True, top_k=100).matches]
    main.index(whole, title="c.mp4")
    copy = world.home / "media" / f"{world.both}.film.mp4"
    assert copy.stat().st_ino == whole.stat().st_ino
    main.rename("c.mp4", "d.mp4")
    main.clip("d.mp4", 0.0, 1.0, tmp_path / "d.mp4")
    assert {video.title for video in alice.videos()} >= {"alice-own.mp4", "alice-both.mp4"}
    main.delete("d.mp4")
    assert not copy.exists() and whole.exists()
    alice.clip("alice-both.mp4", 0.0, 1.0, tmp_path / "both.mp4")
    assert alice.thumbnail(world.both, 1.0)
    assert [(m.video_id, m.score) for m in alice.search("a cat", all_matches=True, top_k=100).matches] == scores
    for ask in (main.video, lambda name: main.thumbnail(world.both, 1.0)):
        with pytest.raises(VideoNotFound):
            ask("d.mp4")


def test_encoding_does_not_depend_on_what_others_indexed(world, tmp_path):
    """The pictures of a video that another library knows are all encoded anew, and score the same."""
    video = videos.make(tmp_path / "still.mp4", frames=200, fps=10).path
    made = []
    for library in ("main", "c"):
        client = world.client("bob", library)
        encoded = client.index(video, title="still.mp4").frames_encoded
        made.append((encoded, client.timeline("still.mp4", "a cat").curve_scores))
    world.client("bob", "main").delete("still.mp4")
    assert made[0] == made[1] and made[0][0] > 0


def test_without_a_token_nothing_but_health_answers(world):
    for token in ("", "wrong", world.tokens["gone"], world.tokens["alice"][:-1], world.tokens["alice"] + "x"):
        with pytest.raises(AccessDenied, match="token"):
            Client(world.server.host, token=token).videos()
    empty = jina_pb2.google_dot_protobuf_dot_empty__pb2.Empty()
    with grpc.insecure_channel(f"127.0.0.1:{world.server.port}") as channel:
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1
        refused = [
            lambda: jina_pb2_grpc.JinaDiscoverEndpointsRPCStub(channel).endpoint_discovery(empty),
            lambda: jina_pb2_grpc.JinaGatewayDryRunRPCStub(channel).dry_run(empty),
            lambda: jina_pb2_grpc.JinaInfoRPCStub(channel)._status(empty),
            lambda: list(
                ServerReflectionStub(channel).ServerReflectionInfo(iter([ServerReflectionRequest(list_services="")]))
            ),
            lambda: list(jina_pb2_grpc.JinaSingleDocumentRequestRPCStub(channel).stream_doc(SingleDocumentRequest())),
        ]
        for ask in refused:
            with pytest.raises(grpc.RpcError) as error:
                ask()
            assert error.value.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
        answer = jina_pb2_grpc.JinaSingleDataRequestRPCStub(channel).process_single_data(
            _request("/videos", DocList[Video]([Video()]))
        )
        assert answer.header.status.exception.name == "AccessDenied"


def test_what_a_caller_writes_into_the_parameters_is_dropped_and_answers_have_none(world):
    request = _request("/videos", DocList[Video]([Video()]))
    request.header.target_executor = "^indexer$"
    request.parameters = signed(Caller("bob", "b"), "/videos", "guessed", time.time())
    with grpc.insecure_channel(f"127.0.0.1:{world.server.port}") as channel:
        answer = jina_pb2_grpc.JinaSingleDataRequestRPCStub(channel).process_single_data(
            request, metadata=(("authorization", f"Bearer {world.tokens['alice']}"),)
        )
    answer.document_array_cls = DocList[Video]
    assert {video.title for video in answer.docs} == {"alice-own.mp4", "alice-both.mp4"}
    assert answer.parameters == {}


def _request(endpoint: str, docs: DocList) -> DataRequest:
    request = DataRequest()
    request.header.exec_endpoint = endpoint
    request.document_array_cls = type(docs)
    request.data.docs = docs
    return request


@pytest.fixture(scope="module")
def ports(world) -> list[int]:
    """The executors' own."""
    found = {
        connection.laddr.port
        for child in world.server.children().values()
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    executors = sorted(found - {world.server.port})
    assert len(executors) == len(EXECUTORS)
    return executors


def _at_port(port: int, endpoint: str, doc: BaseDoc, parameters: dict[str, str]) -> DataRequest:
    request = _request(endpoint, DocList[type(doc)]([doc]))
    request.parameters = parameters
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return jina_pb2_grpc.JinaSingleDataRequestRPCStub(channel).process_single_data(request)


def test_an_executors_own_port_believes_the_gateway_only(world, ports):
    now = time.time()
    bob = Caller("bob", "b", server_folders=True, route=EXECUTORS)
    right = signed(bob, "/videos", SECRET, now)
    text, signature = right["clipseek_caller"], right["clipseek_signature"]
    forged = {
        "none": {},
        "no signature": {"clipseek_caller": text},
        "another secret": signed(bob, "/videos", "guessed", now),
        "an empty secret": signed(bob, "/videos", "", now),
        "changed": {"clipseek_caller": text.replace('"b"', '"a"'), "clipseek_signature": signature},
        "of another endpoint": signed(bob, "/health", SECRET, now),
        "of another executor": signed(replace(bob, route=("nobody",)), "/videos", SECRET, now),
        "too old": signed(bob, "/videos", SECRET, now - LIFETIME_SECONDS - 1),
        "not text": {"clipseek_caller": [1], "clipseek_signature": "é"},
    }
    for port in ports:
        for endpoint, asks in ABOUT.items():
            doc = asks(world.own["bob"])[0]
            for what, parameters in forged.items():
                if endpoint == "/health" and what == "of another endpoint":
                    continue
                status = _at_port(port, endpoint, doc, parameters).header.status
                if not status.exception.name:  # an endpoint that this executor does not have: sent back as it came
                    assert endpoint in {"/videos"}, (port, endpoint, what)
                    continue
                assert status.exception.name == "AccessDenied", (port, endpoint, what, status.description)
    replayed = [
        [_at_port(port, "/health", Health(), parameters).header.status.exception.name for _ in range(2)]
        for port in ports
        for parameters in [signed(bob, "/health", SECRET, now)]
    ]
    assert replayed == [["", "AccessDenied"]] * len(ports)
    assert world.client("bob").video("bob-own.mp4").frames


def test_an_executors_own_port_offers_nothing_else(world, ports, tmp_path):
    """Jina's restore removes whatever file it is told."""
    victim = tmp_path / "victim"
    victim.touch()
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            asks = [
                lambda: jina_pb2_grpc.JinaExecutorRestoreStub(channel).restore(
                    jina_pb2.RestoreSnapshotCommand(snapshot_file=str(victim))
                ),
                lambda: jina_pb2_grpc.JinaExecutorSnapshotStub(channel).snapshot(
                    jina_pb2.google_dot_protobuf_dot_empty__pb2.Empty()
                ),
                lambda: list(jina_pb2_grpc.JinaRPCStub(channel).Call(iter([_request("/videos", DocList[Video]())]))),
                lambda: list(
                    jina_pb2_grpc.JinaSingleDocumentRequestRPCStub(channel).stream_doc(SingleDocumentRequest())
                ),
                lambda: jina_pb2_grpc.JinaDataRequestRPCStub(channel).process_data(
                    [_request("/videos", DocList[Video]())]
                ),
            ]
            for ask in asks:
                with pytest.raises(grpc.RpcError) as error:
                    ask()
                assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert victim.exists()


def test_a_bare_jina_client_says_who_it_is_by_metadata(world):
    async def titles(metadata):
        client = JinaClient(host="127.0.0.1", port=world.server.port, protocol="grpc", asyncio=True)
        docs = DocList[Video]([Video()])
        answers = client.post("/videos", docs, return_type=DocList[Video], metadata=metadata)
        return [doc.title async for part in answers for doc in part]

    token = ("authorization", f"Bearer {world.tokens['bob']}")
    assert asyncio.run(titles((token,))) == ["bob-own.mp4", "bob-both.mp4"]
    assert asyncio.run(titles((token, ("clipseek-library", "main")))) == []
    with pytest.raises(BadServer, match="AccessDenied"):
        asyncio.run(titles(()))


def test_server_folders_are_for_tokens_that_say_so(world):
    [folder] = {Path(root) for root in world.client("bob").health()[0].facts["media_roots"].split(os.pathsep)}
    assert {Path(video.server_path).name for video in world.client("bob").server_videos(str(folder))} >= {"both.mp4"}
    bob, alice = world.client("bob", "c"), world.client("alice")
    in_place = bob.index(folder / "both.mp4", on_server=True).video.video_id
    assert bob.server_path(in_place) == str((folder / "both.mp4").resolve())
    assert bob.server_path(in_place) and alice.server_path(world.both) == "" == world.client("bob").server_path(
        world.both
    )
    bob.delete(in_place)
    for ask in (lambda: alice.server_videos(str(folder)), lambda: alice.index(folder / "both.mp4", on_server=True)):
        with pytest.raises(AccessDenied, match="--server-folders"):
            ask()
    assert alice.health()[0].facts["media_roots"] == ""


def test_revoking_works_at_once_and_new_tokens_do(world):
    access = AccessFile(world.home)
    token = access.add("carol", ("a",))
    client = Client(world.server.host, token=token)
    assert client.videos()
    access.revoke("carol")
    with pytest.raises(AccessDenied):
        client.videos()


def test_the_audit_log_says_who_did_what(world):
    alice = world.client("alice")
    alice.rename("alice-own.mp4", "new.mp4")
    alice.rename("new.mp4", "alice-own.mp4")
    alice.calibrate(reset=True)
    log = world.home / "audit.log"
    assert log.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    said = [(line["caller"], line["library"], line["what"], line["title"]) for line in lines]
    own = [("alice", "a", what, "alice-own.mp4") for what in ("uploaded", "added", "indexed", "renamed")]
    assert [each for each in own if each in said] == own
    assert ("bob", "main", "deleted", "d.mp4") in said and ("bob", "main", "file deleted", "d.mp4") in said
    assert said[-1] == ("alice", "a", "calibrated", "")
    assert {line["video_id"] for line in lines if line["title"] == "alice-own.mp4"} == {world.own["alice"]}
    assert not any(world.own["bob"] == line["video_id"] for line in lines if line["caller"] == "alice")


def command_of(process):
    """What a process was started with; nothing of one that has ended."""
    try:
        return process.cmdline()
    except psutil.ZombieProcess:
        return []


def test_tokens_and_the_secret_appear_nowhere(world):
    """After all of the above: not in the log at DEBUG, not in a process list, not in a file of the store."""
    world.client("alice").videos()
    family = [psutil.Process(world.server.process.pid), *world.server.children().values()]
    commands = "\n".join(" ".join(command_of(process)) for process in family)
    texts = [world.server.output, commands]
    texts += [file.read_text(errors="replace") for file in world.home.rglob("*") if file.suffix in {".json", ".log"}]
    assert "executors.flow.gateway.door" in world.server.output  # the log is on
    for hidden in (*world.tokens.values(), SECRET, service_token(SECRET)):
        assert not any(hidden in text or hidden[9:] in text for text in texts)
