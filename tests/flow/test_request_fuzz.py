"""Hostile requests against a real server: a short form of `benchmarks.torture.fuzz`, and limits."""

import threading

import psutil
import pytest
from jina import Client as JinaClient
from jina.excepts import BadServer

from benchmarks.synthetic import videos
from benchmarks.torture.request_fuzz import fuzz
from clipseek.api.endpoints import EXECUTORS
from clipseek.api.errors import (
    ClipSeekError,
    DecoderCrashed,
    InvalidTimeRange,
    LimitExceeded,
    ServerError,
)
from clipseek.schema import BaseDoc, DocList, Query, Upload


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, tiny_model):
    limits = {"CLIPSEEK_MAX_REQUEST_MB": "20", "CLIPSEEK_MAX_CLIP_SECONDS": "5"}
    return launch(tmp_path_factory.mktemp("store"), CLIPSEEK_MODEL=str(tiny_model), **limits)


def executors(server) -> set[int]:
    return {child.pid for child in server.processes()}


def test_every_request_is_answered_or_refused_by_name(server, library):
    before = executors(server)
    outcomes = fuzz(library, 250)
    assert not outcomes.failures
    # Most requests to one executor are refused: few endpoints go there.
    assert outcomes.counts["answered"] > 30 and outcomes.counts["InvalidRequest"] > 5
    assert executors(server) == before
    assert len(library.health()) == len(EXECUTORS) and library.search("a cat", all_matches=True).matches


def test_a_bare_client_is_told_which_field_endpoint_or_executor_there_is_not(library, server):
    class Mistyped(Query):
        topk: int = 0

    client = JinaClient(host="127.0.0.1", port=server.port)

    def ask(endpoint: str, doc: Query, **options: str) -> str:
        with pytest.raises(BadServer) as refused:
            client.post(endpoint, DocList[type(doc)]([doc]), return_type=DocList[type(doc)], **options)
        return str(refused.value).replace("\\'", "'")  # it is protobuf's text of the answer

    assert "A Query has no field 'topk'. Did you mean 'top_k'?" in ask("/search", Mistyped(text="a", topk=3))
    assert "There is no endpoint '/serach'" in ask("/serach", Query(text="a"))
    assert "the executor 'indxer'" in ask("/search", Query(text="a"), target_executor="indxer")
    wrong = type("Query", (BaseDoc,), {"__annotations__": {"top_k": str}, "top_k": "many"})
    assert "top_k of a Query cannot be 'many'" in ask("/search", wrong())


def test_a_request_that_is_too_large_is_refused(library):
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_REQUEST_MB"):
        library._one("/upload", Upload(data=bytes(21_000_000)), "video_loader")


def test_a_video_that_is_too_large_is_refused_when_it_is_announced(library):
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_VIDEO_GB"):
        library._one("/upload", Upload(video_id="0" * 64, size_bytes=10**12), "video_loader")
    offer = Upload(video_id="1" * 64, size_bytes=5 * 10**9)
    assert library._one("/upload", offer, "video_loader").missing_offsets[-1] > 2**32


def test_a_clip_that_is_too_long_is_refused(library, tmp_path):
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_CLIP_SECONDS"):
        library.clip("toys.mp4", 0.0, 6.0, tmp_path / "clip.mp4")


def test_a_lost_decoder_is_named_and_the_service_goes_on(server, library, tmp_path):
    """Every decoder is killed while clips are cut, as the system kills the largest process when memory ends."""
    video = videos.make(tmp_path / "long.mp4", frames=400, fps=25, size=(1280, 720)).path
    name = library.index(video).video.video_id

    def decoders() -> list[psutil.Process]:
        return [child for loader in server.processes() for child in loader.children()]

    busy: list[psutil.Process] = []

    def kill_the_busy() -> None:
        while not busy:
            busy.extend(d for d in decoders() if any(f.path.endswith(".part.mp4") for f in d.open_files()))
        busy[0].kill()

    killer = threading.Thread(target=kill_the_busy)
    killer.start()
    with pytest.raises(DecoderCrashed, match=r"The clip \[0, 5\) s of 'long.mp4' crashed the decoder \(SIGKILL\)"):
        library.clip(name, 0.0, 5.0, tmp_path / "clip.mp4")
    killer.join()
    assert library.clip(name, 0.0, 5.0, tmp_path / "clip.mp4").size_bytes > 1000
    assert library.thumbnail(name, 1.0)


def test_times_that_are_none_are_refused(library, tmp_path):
    for start, end in ((float("nan"), 1.0), (0.0, float("inf")), (-1.0, 1.0)):
        with pytest.raises(InvalidTimeRange):
            library.clip("toys.mp4", start, end, tmp_path / "clip.mp4")
    with pytest.raises(ClipSeekError) as raised:
        library.thumbnail("toys.mp4", float("nan"))
    assert not isinstance(raised.value, ServerError)
