"""Parts of the service that are away, die, freeze and move, each a process at an address of its own, as pods are."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from docarray import DocList
from jina import Client as JinaClient

from benchmarks.synthetic import videos
from benchmarks.synthetic.cluster import ONE_OF_EACH, Cluster
from clipseek.api.errors import ServerNotReady
from clipseek.schema import Query, QueryPart

PHOTOGRAPH = Path(__file__).parents[1] / "photographs" / "cat.jpg"
ENCODERS = ("image_encoder-0", "image_encoder-1")
NAMED_SECONDS = 10.0  # until the caller learns who is away: it is found after four seconds, on a busy machine later
BACK_SECONDS = 10.0  # until what returned is used again: about one, on a busy machine more
LATE = 120.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, tiny_model) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), tiny_model, ONE_OF_EACH | {"image_encoder": 2}) as cluster:
        cluster.start("gateway-0", "indexer-0")
        yield cluster


@pytest.fixture
def client(cluster):
    with cluster.client(retry_seconds=0, timeout_seconds=LATE) as client:
        yield client


@pytest.fixture
def whole(cluster) -> Cluster:
    """The cluster with all its parts."""
    missing = [part for part in cluster.parts if part not in cluster.processes]
    cluster.start(*missing)
    cluster.wait_until_serving(missing)
    return cluster


def until(condition: Callable[[], bool], seconds: float = LATE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def works(ask: Callable[[], object]) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            ask()
        except ServerNotReady:
            return False
        return True

    return answers


def refuses(executor: str, ask: Callable[[], object]) -> None:
    """Check that the caller soon learns which executor is away."""
    started = time.monotonic()
    with pytest.raises(ServerNotReady, match=f"The {executor} of the server ") as raised:
        ask()
    assert raised.value.executor == executor
    assert time.monotonic() - started < NAMED_SECONDS


class Searches:
    """Searches with an image, four at a time without pause, by Jina's own client, which repeats nothing."""

    def __init__(self, cluster: Cluster) -> None:
        host, _, port = cluster.address("gateway-0").partition(":")
        self._client = JinaClient(host=host, port=int(port), asyncio=True)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._search_all()))
        self.answered, self.longest_seconds = 0, 0.0
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def wait_for_more(self, count: int = 20) -> None:
        """Wait for so many answers from now on, or an error."""
        before = self.answered
        until(lambda: bool(self.errors) or self.answered >= before + count)

    async def _search_all(self) -> None:
        await asyncio.gather(*(self._search() for _ in range(4)))

    async def _search(self) -> None:
        query = Query(parts=DocList[QueryPart]([QueryPart(image=PHOTOGRAPH.read_bytes())]))
        while not self._ends.is_set():
            started = time.monotonic()
            try:
                async for answers in self._client.post("/search", DocList[Query]([query]), return_type=DocList[Query]):
                    assert answers[0].answered
            except Exception as error:  # noqa: BLE001 (all of them count)
                self.errors.append(error)
                return
            self.answered += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)


def handled(cluster: Cluster, part: str) -> Callable[[], bool]:
    """Whether a part has answered a search since now."""
    before = cluster.log(part).count("/search: ")
    return lambda: cluster.log(part).count("/search: ") > before


def test_a_gateway_opens_and_serves_what_it_can_whoever_is_away(cluster, client, tmp_path):
    video = videos.make(tmp_path / "a video.mp4", frames=60, fps=10).path
    cluster.wait_until_serving(["gateway-0", "indexer-0"])
    until(works(client.videos), BACK_SECONDS)
    refuses("text_encoder", lambda: client.search("a dog"))
    refuses("video_loader", lambda: client.index(video))
    cluster.start("text_encoder-0", "video_loader-0")
    cluster.wait_until_serving(["text_encoder-0", "video_loader-0"])
    until(works(lambda: client.search("a dog")), BACK_SECONDS)
    refuses("image_encoder", lambda: client.search(image=PHOTOGRAPH))
    refuses("image_encoder", lambda: client.index(video))
    cluster.start(*ENCODERS, "word_reader-0")
    cluster.wait_until_serving([*ENCODERS, "word_reader-0"])
    until(works(lambda: client.search(image=PHOTOGRAPH)), BACK_SECONDS)
    assert client.index(video).video.status == "ready"
    assert all(component.ok for component in client.health())


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_replica_that_ends_costs_no_search_and_is_used_again_at_a_new_address(whole, end):
    with Searches(whole) as searches:
        for part in ENCODERS:  # the second end shows that the first part is in use again
            before = whole.address(part)
            getattr(whole, end)(part)
            searches.wait_for_more()
            whole.start(part, moved=True)
            whole.wait_until_serving([part])
            assert whole.address(part) != before
            until(handled(whole, part), BACK_SECONDS)
            searches.wait_for_more()
    assert not searches.errors


def test_a_frozen_replica_costs_no_search_and_is_used_again_when_it_thaws(whole):
    with Searches(whole) as searches:
        whole.freeze("image_encoder-1")
        searches.wait_for_more()
        until(lambda: searches.longest_seconds > 1.0)  # those that were on their way to it
        searches.wait_for_more()
        whole.thaw("image_encoder-1")
        until(handled(whole, "image_encoder-1"))
    assert not searches.errors
    assert searches.longest_seconds < NAMED_SECONDS


def test_who_needs_a_frozen_executor_soon_learns_its_name_and_the_others_are_served(whole, client):
    for part in ENCODERS:
        whole.freeze(part)
    refuses("image_encoder", lambda: client.search(image=PHOTOGRAPH))
    refuses("image_encoder", lambda: client.search(image=PHOTOGRAPH))
    client.search("a dog")
    for part in ENCODERS:
        whole.thaw(part)
    until(works(lambda: client.search(image=PHOTOGRAPH)), BACK_SECONDS)
