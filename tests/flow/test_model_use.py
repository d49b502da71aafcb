"""A library changes its model and back while it is searched, and whatever is killed meanwhile, no search fails."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic import videos
from benchmarks.synthetic.models import write_folder
from clipseek.api.errors import ClipSeekError
from clipseek.client import Client
from tests.flow.conftest import Server, run
from tests.flow.test_indexing_jobs import runner_of, until

VIDEOS, SECONDS = 20, 30
TEXTS = ("a red car", "a dog in the snow", "people at a table")


@pytest.fixture(scope="module")
def other_model(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "other", seed=3, dimensions=40)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Videos of a few scenes each, of coloured blocks."""
    folder = tmp_path_factory.mktemp("videos")
    made = []
    for number in range(VIDEOS):
        blocks = np.random.default_rng(number).integers(0, 256, (3, 3, 4, 3), np.uint8)
        scenes = [block.repeat(40, axis=0).repeat(40, axis=1) for block in blocks]
        pictures = [scenes[3 * place // (10 * SECONDS)] for place in range(10 * SECONDS)]
        made.append(videos.make(folder / f"{number}.mp4", frames=10 * SECONDS, fps=10, pictures=pictures).path)
    return made


def index(client: Client, files: list[Path]) -> None:
    jobs = [client.index(file, wait=False) for file in files]
    until(lambda: not any(client.job(job.job_id).is_unfinished for job in jobs))


def found(client: Client) -> list[list[tuple[str, float, float, float]]]:
    """What the library answers, in an order that does not depend on equal scores."""
    answers = [client.search(text, top_k=40, all_matches=True).matches for text in TEXTS]
    return [sorted((m.video_id, m.start_seconds, m.end_seconds, round(m.score, 3)) for m in a) for a in answers]


def models(client: Client) -> dict[str, str]:
    return {Path(model.name).name: model.state for model in client.models() if model.model_id}


def wait_for_share(client: Client, job_id: str, share: float) -> None:
    def is_there() -> bool:
        job = client.job(job_id)
        assert job.state in ("waiting", "running"), job
        return job.done_seconds >= share * VIDEOS * SECONDS

    until(is_there)


@contextmanager
def searched(server: Server) -> Iterator[list[int]]:
    """Search all the while. Yields: how many matches each search had."""
    counts: list[int] = []
    failures: list[ClipSeekError] = []
    ending = threading.Event()

    def search() -> None:
        with server.client() as client:
            while not ending.is_set():
                try:
                    counts.append(len(client.search(TEXTS[len(counts) % 3], top_k=40, all_matches=True).matches))
                except ClipSeekError as error:
                    failures.append(error)
                time.sleep(0.01)

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield counts
    finally:
        ending.set()
        thread.join()
    assert not failures and counts and min(counts) > 0


def test_a_library_changes_its_model_and_back_while_it_is_searched(launch, tmp_path, tiny_model, other_model, files):
    home = tmp_path / "home"
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model), CLIPSEEK_MOST_RESTARTS="9")
    with server.client() as client:
        index(client, files)
        before = found(client)
        with searched(server) as counts:
            job_id = client.use_model(str(other_model), wait=False).job_id
            wait_for_share(client, job_id, 0.2)
            assert models(client) == {"tiny": "answers", "other": "changing"} and found(client) == before
            runner_of(server).kill()
            wait_for_share(client, job_id, 0.5)
            server.processes()[2].kill()  # the image encoder
            until(lambda: not client.job(job_id).is_unfinished)
            assert client.job(job_id).state == "done", client.job(job_id)
            searches = len(counts)
            until(lambda: len(counts) > searches + 20)
            assert models(client) == {"other": "answers", "tiny": "kept"}
            changed = found(client)
            assert changed != before
            started = time.monotonic()
            assert client.use_model(str(tiny_model)).state == "answers"
            assert found(client) == before and time.monotonic() - started < 10
        assert client.use_model(str(other_model)).state == "answers" and found(client) == changed
        run(server, "model", "forget", str(tiny_model))
        assert models(client) == {"other": "answers"}
        for video in client.videos():
            client.delete(video.video_id)
        index(client, files)  # by the new model from the start
        assert found(client) == changed and models(client) == {"other": "answers"}
        job_id = client.use_model(str(tiny_model), wait=False).job_id
        wait_for_share(client, job_id, 0.2)
    server.stop(signal.SIGKILL)
    server = launch(home, CLIPSEEK_MODEL=str(tiny_model))  # the setting does not change what the library uses
    server.wait_for("and that one answers")
    with server.client() as client:
        until(lambda: not client.job(job_id).is_unfinished)
        assert client.job(job_id).state == "done" and models(client)["tiny"] == "answers"
        assert found(client) == before
