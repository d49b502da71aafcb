"""A cluster on its bad days: while users search and index, a part of each kind is killed, frozen and replaced.

`python -m benchmarks.cluster_drill` runs two gateways, two image encoders and one part of each other kind, as processes
at addresses of their own. Searches are sent once: what fails is a failure. A user whose gateway is away asks the other
one, as a load balancer would. Indexing repeats what fails, as `clipseek index` does.
"""

import argparse
import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from benchmarks.synthetic import videos
from benchmarks.synthetic.cluster import GATEWAY, ONE_OF_EACH, Cluster
from benchmarks.synthetic.models import write_folder
from clipseek.api.errors import ClipSeekError, RequestLost, ServerUnreachable
from clipseek.client import Client

FROZEN_SECONDS = 12.0
RESTART_SECONDS = 0.5  # until what died is started again, as `clipseek serve` does
_GATEWAYS = ("gateway-0", "gateway-1")
_LATE_SECONDS = 240.0


@dataclass
class Tally:
    """What came of the requests of one user since the last time."""

    requests: int = 0
    errors: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0

    def __iadd__(self, other: "Tally") -> "Tally":
        self.requests += other.requests
        self.errors += other.errors
        self.longest_seconds = max(self.longest_seconds, other.longest_seconds)
        return self


class User(threading.Thread):
    """Does `work` again and again until `end`."""

    def __init__(self, cluster: Cluster, gateway: str, work: Callable[[Client], None], retry_seconds: float) -> None:
        super().__init__(daemon=True)
        self._cluster, self._work, self._retry_seconds = cluster, work, retry_seconds
        self._first_gateway = self._gateway = gateway
        self._clients: dict[str, Client] = {}
        self._tally, self._changed, self._ends = Tally(), threading.Condition(), False

    def run(self) -> None:
        while not self._ends:
            started, error = time.monotonic(), ""
            try:
                self._ask()
            except ClipSeekError as raised:
                error = f"{type(raised).__name__}: {raised}"
            with self._changed:
                self._tally += Tally(1, [error] if error else [], time.monotonic() - started)
                self._changed.notify_all()

    def wait_for_more(self, count: int = 3) -> None:
        """Wait for the end of so many requests from now on."""
        with self._changed:
            until = self._tally.requests + count
            if not self._changed.wait_for(lambda: self._tally.requests >= until, _LATE_SECONDS):
                raise TimeoutError("a user got no answer")

    def take_tally(self) -> Tally:
        """What came of the requests. The next one asks the first gateway again."""
        with self._changed:
            self._gateway = self._first_gateway
            taken, self._tally = self._tally, Tally()
            return taken

    def end(self) -> None:
        self._ends = True
        self.join(_LATE_SECONDS)

    def _ask(self) -> None:
        try:
            self._work(self._client(self._gateway))
        except (ServerUnreachable, RequestLost) as error:
            if isinstance(error, RequestLost) and error.executor != GATEWAY:
                raise
            self._gateway = next(other for other in _GATEWAYS if other != self._gateway)
            self._work(self._client(self._gateway))

    def _client(self, gateway: str) -> Client:
        address = self._cluster.address(gateway)
        if address not in self._clients:
            self._clients[address] = self._cluster.client(gateway, retry_seconds=self._retry_seconds)
        return self._clients[address]


def _users(cluster: Cluster, folder: Path) -> tuple[list[User], list[User]]:
    """Those who search, two by texts and two by images, and the one who indexes."""
    picture, video = folder / "picture.jpg", videos.make(folder / "video.mp4", frames=60, fps=2).path
    cv2.imwrite(str(picture), videos.slate(5))

    def search_text(client: Client) -> None:
        client.search("a dog")

    def search_image(client: Client) -> None:
        client.search(image=picture)

    def index(client: Client) -> None:
        client.delete(client.index(video).video.video_id)

    works = (search_text, search_image, search_text, search_image)
    searching = [User(cluster, _GATEWAYS[number // 2], work, 0.0) for number, work in enumerate(works)]
    return searching, [User(cluster, _GATEWAYS[1], index, 60.0)]


def _kill(cluster: Cluster, part: str) -> None:
    cluster.kill(part)
    time.sleep(RESTART_SECONDS)
    cluster.start(part)
    cluster.wait_until_serving([part])


def _freeze(cluster: Cluster, part: str) -> None:
    cluster.freeze(part)
    time.sleep(FROZEN_SECONDS)
    cluster.thaw(part)


def _replace(cluster: Cluster, part: str) -> None:
    cluster.stop(part)
    cluster.start(part, moved=True)
    cluster.wait_until_serving([part])


EVENTS: dict[str, Callable[[Cluster, str], None]] = {
    "nothing": lambda _cluster, _part: time.sleep(FROZEN_SECONDS),
    "killed": _kill,
    "frozen": _freeze,
    "replaced": _replace,
}


def drill(cluster: Cluster, kinds: Sequence[str], folder: Path) -> Iterator[tuple[str, str, Tally, Tally]]:
    """Do each event to a part of each kind. Yields: the kind, the event, what became of searches, and of indexing."""
    cluster.start(*cluster.parts)
    cluster.wait_until_serving(cluster.parts)
    searching, indexing = _users(cluster, folder)
    everyone = [*searching, *indexing]
    with contextlib.ExitStack() as ends:
        for user in everyone:
            user.start()
            ends.callback(user.end)
        plan = [("", "nothing"), *((kind, event) for kind in kinds for event in EVENTS if event != "nothing")]
        for kind, event in plan:
            for user in everyone:
                user.wait_for_more()
                user.take_tally()
            EVENTS[event](cluster, f"{kind}-0")
            for user in everyone:
                user.wait_for_more()
            yield kind, event, _sum(searching), _sum(indexing)


def _sum(users: list[User]) -> Tally:
    total = Tally()
    for user in users:
        total += user.take_tally()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", default="", help="an empty PostgreSQL database, as CLIPSEEK_STORE (default: SQLite)")
    parser.add_argument("--indexers", type=int, default=1, help="more than one need --store (default: 1)")
    parser.add_argument("--loaders", type=int, default=1, help="more than one share a folder as an object store")
    parser.add_argument("--text-encoders", type=int, default=1, help="default: 1")
    parser.add_argument("--kinds", nargs="+", default=list(ONE_OF_EACH), choices=list(ONE_OF_EACH), metavar="KIND")
    options = parser.parse_args()
    counts = ONE_OF_EACH | {"image_encoder": 2, "text_encoder": options.text_encoders}
    counts |= {"video_loader": options.loaders, "indexer": options.indexers, GATEWAY: 2}
    print(
        f"{'part':15}{'what':10}{'searches':>9}{'failed':>8}{'longest':>10}{'indexed':>9}{'failed':>8}{'longest':>10}"
    )
    errors: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="clipseek-cluster-") as name:
        folder = Path(name)
        (folder / "objects").mkdir()
        media = f"local://{folder}/objects" if options.loaders > 1 else ""
        with Cluster(folder, write_folder(folder / "model"), counts, options.store, media) as cluster:
            for kind, event, searches, indexed in drill(cluster, options.kinds, folder):
                print(f"{kind:15}{event:10}{_columns(searches)}{_columns(indexed)}", flush=True)
                errors |= dict.fromkeys((*searches.errors, *indexed.errors), f"{kind} {event}")
    for error, when in errors.items():
        print(f"{when}: {error}")


def _columns(tally: Tally) -> str:
    return f"{tally.requests:>9}{len(tally.errors):>8}{tally.longest_seconds:>8.1f} s"


if __name__ == "__main__":
    main()
