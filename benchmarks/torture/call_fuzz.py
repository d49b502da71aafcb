"""Hostile calls: raw gRPC to the gateway and to each executor's own port, with any header, token and bytes.

Meanwhile an honest caller works in a library of her own. The service passes if no call slows her searches beyond a
second, no answer holds anything of hers, each process gives its memory back, no file appears outside the store, and the
audit log has all that she did.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
from hypothesis import strategies as st
from jina.proto import jina_pb2
from jina.types.request.data import DataRequest

from benchmarks.synthetic import videos
from benchmarks.torture.request_fuzz import NASTY_TEXTS, Outcomes, Request, requests, run_examples
from clipseek.api.endpoints import ENDPOINTS, EXECUTORS
from clipseek.api.errors import error_from_name
from clipseek.api.formats import sendable
from clipseek.client import Client
from executors.flow.endpoint import list_of

SINGLE, CALL = "/jina.JinaSingleDataRequestRPC/process_single_data", "/jina.JinaRPC/Call"
METHODS = (
    SINGLE,
    SINGLE,
    CALL,
    CALL,
    "/jina.JinaGatewayDryRunRPC/dry_run",
    "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery",
    "/jina.JinaInfoRPC/_status",
    "/jina.JinaDataRequestRPC/process_data",
    "/jina.JinaSingleDocumentRequestRPC/stream_doc",
    "/jina.JinaExecutorRestore/restore",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/any.Service/at_all",
)
TARGETS = ("", *EXECUTORS, "^indexer$", "^" + ".*" * 20 + "!", "(a|a)*" * 30, "[", "text_encoder|.*", "gateway")
PATHS = ("", "/", "_jina_dry_run_", "/search/../index")
REFUSALS = (
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
    "INVALID_ARGUMENT",
    "NOT_FOUND",  # the health of a service that there is not
)
TIMEOUT_SECONDS = 30.0
MOST_SECONDS = 1.0  # that a search of the honest caller takes
# What a process may have grown by in the end, whichever is more. The allocator keeps a part of what one large call
# took: a gateway of 65 MB went to 129 MB once in 3,000 calls, then held 97 MB, and no more at the end.
MEMORY_SHARE, MEMORY_BYTES = 0.2, 40e6
TEMPORARY = ("clipseek-", "pytest-", "tmp")  # how the names of temporary files begin
SECRET_TITLE = "nobody else knows this title.mp4"


@dataclass(frozen=True)
class HostileCall:
    """One call: to the gateway, or to the own port of an executor."""

    port: int
    method: str
    metadata: tuple[tuple[str, str], ...]
    data: bytes


@dataclass(frozen=True)
class Target:
    """The service under attack.

    Attributes:
        port: the gateway's.
        folder: of all that the service may write to.
        home: its store.
        processes: the gateway and the executors.
    """

    port: int
    folder: Path
    home: Path
    processes: Sequence[psutil.Process]

    def executor_ports(self) -> list[int]:
        found = (
            connection.laddr.port
            for process in self.processes
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        )
        return sorted(set(found) - {self.port})

    def memory(self) -> dict[int, int]:
        """Bytes of each process that it shares with no other."""
        return {process.pid: process.memory_full_info().uss for process in self.processes}

    def files_outside(self) -> set[Path]:
        """The files in the service's folder that are neither in its store nor in its cache, and those around it.

        Temporary files of this machine's programs may be around it.
        """
        own = (self.home, self.folder / "cache")
        inside = (path for path in self.folder.rglob("*") if not any(map(path.is_relative_to, own)))
        around = (path for path in self.folder.parent.iterdir() if not path.name.startswith(TEMPORARY))
        return {*inside, *around}


def calls(
    ports: Sequence[int], tokens: Sequence[str], made: st.SearchStrategy[Request]
) -> st.SearchStrategy[HostileCall]:
    """Calls to these ports; `made` are the documents in them."""
    texts = st.one_of(st.sampled_from(NASTY_TEXTS), st.text(max_size=40)).map(sendable)
    authorizations = st.one_of(
        *(st.just(f"Bearer {token}") for token in tokens), texts.map(lambda text: f"Bearer {text}"), texts
    ).map(lambda text: "".join(filter(str.isprintable, text.encode("ascii", "ignore").decode()))[:4000])

    @st.composite
    def drawn(draw: st.DrawFn) -> HostileCall:
        endpoint, _, doc = draw(made)
        request = DataRequest()
        request.header.exec_endpoint = draw(st.one_of(st.just(endpoint), st.sampled_from(PATHS), texts))
        request.header.target_executor = draw(st.one_of(st.just(""), st.sampled_from(TARGETS), texts))
        request.parameters = draw(st.dictionaries(texts, texts, max_size=3))
        request.data.docs = list_of(type(doc))([doc] * draw(st.sampled_from((1, 1, 1, 2, 50, 500))))
        data = request.proto_with_data.SerializeToString()
        if draw(st.integers(0, 9)) == 0:  # a second header: protobuf merges the two
            second = jina_pb2.HeaderProto(exec_endpoint=draw(st.sampled_from((*ENDPOINTS, *PATHS))))
            data += jina_pb2.DataRequestProto(header=second).SerializeToString()
        if draw(st.integers(0, 4)) == 0:  # damaged
            place = draw(st.integers(0, len(data)))
            data = data[:place] + draw(st.binary(max_size=40)) + data[place + draw(st.integers(0, 40)) :]
        metadata = [("authorization", draw(st.one_of(st.just(f"Bearer {tokens[0]}"), authorizations)))]
        if draw(st.integers(0, 3)) == 0:
            metadata.clear()
        if draw(st.integers(0, 3)) == 0:
            metadata.append(("clipseek-library", draw(st.sampled_from(("main", "alice", "../x", "mallory")))))
        return HostileCall(draw(st.sampled_from(ports)), draw(st.sampled_from(METHODS)), tuple(metadata), data)

    return drawn()


def send(channel: grpc.Channel, call: HostileCall) -> tuple[str, bytes]:
    """What comes of a call, in a word, and the bytes of its answer."""
    try:
        ask = channel.stream_stream(call.method)
        answers = ask(iter([call.data]), metadata=call.metadata, timeout=TIMEOUT_SECONDS)
        answer = b"".join(answers)
    except grpc.RpcError as error:
        return error.code().name, (error.details() or "").encode("utf-8", "replace")
    if call.method not in (SINGLE, CALL) or not answer:
        return "answered", answer
    try:
        return DataRequest(answer).header.status.exception.name or "answered", answer
    except Exception:  # noqa: BLE001 (several answers in a row)
        return "answered", answer


@dataclass
class Honest:
    """The honest caller: renames a video at the start and now and then, and searches all the time."""

    client: Client
    video_id: str
    titles: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    searches: int = 0
    faults: list[str] = field(default_factory=list)

    def work_until(self, end: threading.Event) -> None:
        while not end.is_set():
            begun = time.monotonic()
            try:
                found = self.client.search("a cat", all_matches=True)
                self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)
                self.searches += 1
                if not found.matches or found.matches[0].title not in (SECRET_TITLE, *self.titles):
                    self.faults.append("a search of the honest caller found something else")
                if self.searches % 50 == 1:
                    self.titles.append(f"{len(self.titles)} {SECRET_TITLE}")
                    self.client.rename(self.video_id, self.titles[-1])
            except Exception as error:  # noqa: BLE001 (whatever it is, the report has it)
                self.faults.append(f"the honest caller: {type(error).__name__}: {error}")


def fuzz_calls(
    target: Target, token: str, honest: Client, *, count: int, first: int = 0, most_seconds: float = MOST_SECONDS
) -> Outcomes:
    """Send `count` calls, the same for the same `first`.

    Args:
        token: of the hostile caller.
        honest: for the honest caller, with an empty library.
        most_seconds: that one of her searches may take.
    """
    outcomes = Outcomes()
    video = honest.index(videos.make(target.folder / "honest.mp4", frames=60).path, title=SECRET_TITLE).video
    caller = Honest(honest, video.video_id)
    ports = [target.port, target.port, *target.executor_ports()]
    hostile = calls(ports, [token, token[:-1], ""], requests([video.video_id]))

    def send_all(number: int, first: int) -> None:
        with _channels(ports) as channels:
            run_examples(
                hostile,
                number,
                first,
                lambda call: _note(outcomes, channels[call.port], call),
            )

    send_all(min(count, 50), first + 1)  # what grows once: caches, and the pools of threads and buffers
    memory, files = target.memory(), target.files_outside()
    outcomes.counts = Counter()
    end = threading.Event()
    working = threading.Thread(target=caller.work_until, args=(end,))
    working.start()
    send_all(count, first)
    end.set()
    working.join()
    outcomes.slowest_seconds = caller.slowest_seconds
    outcomes.failures += caller.faults
    outcomes.failures += _broken(target, caller, memory, files, most_seconds)
    return outcomes


@contextmanager
def _channels(ports: Sequence[int]) -> Iterator[dict[int, grpc.Channel]]:
    channels = {port: grpc.insecure_channel(f"127.0.0.1:{port}") for port in set(ports)}
    yield channels
    for channel in channels.values():
        channel.close()


def _is_expected(name: str) -> bool:
    """Whether the gateway may answer so: an error of ours, or a refusal of the whole call."""
    return name == "answered" or name in REFUSALS or error_from_name(name, "") is not None


def _note(outcomes: Outcomes, channel: grpc.Channel, call: HostileCall) -> None:
    name, answer = send(channel, call)
    outcomes.counts[name] += 1
    where = f"{call.method} at port {call.port}, {call.metadata}, {call.data[:200]!r}"
    if name in ("DEADLINE_EXCEEDED", "UNAVAILABLE") or not _is_expected(name):
        outcomes.failures.append(f"{name}: {where}")
    if SECRET_TITLE.encode() in answer:
        outcomes.failures.append(f"told of another library: {where}")


def _broken(target: Target, honest: Honest, memory: dict[int, int], files: set[Path], most_seconds: float) -> list[str]:
    """What the calls broke."""
    broken = []
    if honest.slowest_seconds > most_seconds:
        broken.append(f"a search of the honest caller took {honest.slowest_seconds:.2f} s")
    for pid, held in target.memory().items():
        if held > memory[pid] + max(MEMORY_SHARE * memory[pid], MEMORY_BYTES):
            broken.append(f"process {pid} grew from {memory[pid] / 1e6:.0f} to {held / 1e6:.0f} MB")
    broken += [f"a file outside the store: {path}" for path in sorted(target.files_outside() - files)]
    written = (json.loads(line) for line in (target.home / "audit.log").read_text(encoding="utf-8").splitlines())
    audited = {line["title"] for line in written if line["what"] == "renamed"}
    broken += [f"the audit log lacks the title {title!r}" for title in honest.titles if title not in audited]
    if not honest.titles:
        broken.append("the honest caller changed nothing that the audit log could lack")
    return broken
