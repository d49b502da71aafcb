"""`/metrics` of the whole service: counts of several processes, also of ones that ended, and what the stores hold."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clipseek.config.settings import SHARED_METRICS_VARIABLE, Settings
from clipseek.machine.ports import free_port
from clipseek.service.metrics_server import serve_metrics
from clipseek.service.supervise import ProcessState
from executors.faiss_indexer.store.records import Frames, VideoRecord
from executors.faiss_indexer.store.store import Store

VIDEO = VideoRecord("a" * 64, "video.mp4", 1, 1800.0, 320, 240, 25.0, "h264", "mp4", 0, False, 1.0)
COUNTING = """
import sys
from clipseek.api.errors import VideoNotFound
from executors.flow import metrics
try:
    with metrics.under_way("indexer", "/search"):
        raise VideoNotFound("no")
except VideoNotFound:
    pass
metrics.UNDER_WAY.labels("indexer", "/search").inc()  # it ends in the middle of a request
with metrics.step("index"):
    print("counted", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(tmp_path / "home", tmp_path, metrics_port=free_port("127.0.0.1"))


@pytest.fixture
def counts(tmp_path) -> Path:
    (tmp_path / "counts").mkdir()
    return tmp_path / "counts"


def samples(settings: Settings) -> dict[tuple[str, ...], float]:
    """What /metrics says: name and label values in the order of the labels' names -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (s.name, *(s.labels[label] for label in sorted(s.labels))): s.value
        for family in families
        for s in family.samples
    }


def no_processes() -> list[ProcessState]:
    return []


def test_counts_of_several_processes_are_one_and_outlive_them(settings, counts):
    environ = {**os.environ, SHARED_METRICS_VARIABLE: str(counts)}
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTING], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = ("clipseek_errors_total", "/search", "VideoNotFound", "indexer")
    under_way = ("clipseek_requests_under_way", "/search", "indexer")
    with serve_metrics(settings, counts, no_processes):
        for process in processes:
            assert process.stdout.readline() == b"counted\n"
        found = samples(settings)
        assert found[errors] == 2
        assert found[under_way] == 2
        assert found["clipseek_steps_at_work", "index"] == 2
        assert ("clipseek_step_seconds_count", "index") not in found or not found[
            "clipseek_step_seconds_count", "index"
        ]
        processes[0].kill()
        processes[0].communicate()
        found = samples(settings)
        assert found[errors] == 2
        assert found[under_way] == 1
        processes[1].communicate(b"")
        found = samples(settings)
        assert found["clipseek_step_seconds_count", "index"] == 1
        assert found.get(under_way, 0) == 0


def test_what_is_stored_is_told_of_all_libraries(settings, counts):
    for folder in (settings.home, settings.home / "libraries" / "press"):
        folder.mkdir(parents=True)
        with Store(folder) as store:
            store.register(VIDEO, "model")
            vectors = np.eye(3, 4, dtype=np.float16)
            store.put_span(VIDEO.video_id, (0.0, 30.0), Frames(np.arange(3.0), vectors), "model")
    with serve_metrics(settings, counts, no_processes):
        found = samples(settings)
        assert stored(found) == (2, 1.0, 6, 0)
        with Store(settings.home) as store:
            store.put_span(VIDEO.video_id, (30.0, 60.0), Frames(np.arange(30.0, 33.0), vectors), "model")
            assert stored(samples(settings)) == (2, 1.0, 9, 0)
        (settings.home / "index.db").write_text("this is no database")
        assert stored(samples(settings)) == (1, 0.5, 3, 1)


def stored(found: dict[tuple[str, ...], float]) -> tuple[float, ...]:
    names = ("stored_videos", "stored_hours", "stored_frames", "unreadable_stores")
    return tuple(found[f"clipseek_{name}",] for name in names)


def test_processes_are_told_with_their_restarts_and_memory(settings, counts):
    states = [ProcessState("indexer", os.getpid(), True, 2), ProcessState("gateway", 2**22, False, 1)]
    with serve_metrics(settings, counts, lambda: states):
        found = samples(settings)
    assert (found["clipseek_process_up", "indexer"], found["clipseek_process_up", "gateway"]) == (1, 0)
    assert (found["clipseek_restarts_total", "indexer"], found["clipseek_restarts_total", "gateway"]) == (2, 1)
    assert found["clipseek_process_resident_bytes", "indexer"] > 10e6
    assert ("clipseek_process_resident_bytes", "gateway") not in found


INDEXER = """
import sys
from pathlib import Path
from clipseek.config.settings import Settings
from executors.faiss_indexer.executor import FaissIndexer
indexer = FaissIndexer(Settings.from_env(), runtime_args={"name": "indexer"})
print("serves", flush=True)
sys.stdin.read()
indexer.close()
"""


def test_a_process_by_itself_serves_its_own_counts(settings):
    process = subprocess.Popen(
        [sys.executable, "-c", INDEXER],
        env={**os.environ, **settings.to_env()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"serves\n"
    found = samples(settings)
    process.communicate(b"")
    assert process.returncode == 0
    assert found["clipseek_stored_videos",] == 0
    assert found["process_resident_memory_bytes",] > 50e6
