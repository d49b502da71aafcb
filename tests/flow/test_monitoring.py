"""What an operator sees of a running service: metrics on one address, logs as JSON, traces that may go nowhere."""

import json
import os
import re
import signal
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clipseek.api.errors import MediaMissing, VideoNotFound
from clipseek.machine.ports import free_port
from tests.flow.conftest import ROOT

DASHBOARD = ROOT / "docker" / "monitoring" / "grafana-dashboard.json"


class Metrics:
    """What a server's /metrics says."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/metrics"

    def read(self) -> dict[tuple[str, ...], float]:
        """Name and label values in the order of the labels' names -> value."""
        with urllib.request.urlopen(self._address) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return {
            (s.name, *(s.labels[label] for label in sorted(s.labels))): s.value
            for family in families
            for s in family.samples
        }


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"metrics": free_port("127.0.0.1"), "collector": free_port("127.0.0.1")}


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, ports):
    """A server with all of it on, and no collector of traces where it is told to be."""
    return launch(
        tmp_path_factory.mktemp("store"),
        CLIPSEEK_METRICS_PORT=str(ports["metrics"]),
        CLIPSEEK_LOG_LEVEL="INFO",
        CLIPSEEK_LOG_FORMAT="json",
        CLIPSEEK_OTLP=f"127.0.0.1:{ports['collector']}",
    )


@pytest.fixture(scope="module")
def metrics(ports) -> Metrics:
    return Metrics(ports["metrics"])


@pytest.fixture(scope="module")
def used(server, library, tmp_path_factory):
    """The service, once it has done and refused a bit of everything."""
    for _ in range(3):
        [best] = library.search("a red flower", top_k=1).matches
    for _ in range(2):
        clip = tmp_path_factory.mktemp("clips") / "clip.mp4"
        library.clip(best.video_id, 0.37, 1.91, clip)  # which no other test has made
    with pytest.raises((VideoNotFound, MediaMissing)):
        library.clip("0" * 64, 0.0, 1.0, clip)
    return server


def test_the_metrics_tell_what_was_done(used, metrics):
    found = metrics.read()
    assert found["clipseek_stored_videos",] == 8
    assert found["clipseek_stored_frames",] == 100
    assert found["clipseek_stored_hours",] == pytest.approx(
        (8.0 + 8.0 + 6.2 + 9.64 + 10.0 + 13.0 + 20.0 + 24.0) / 3600, rel=0.01
    )
    assert found["clipseek_request_seconds_count", "/search"] == 3
    assert found["clipseek_step_seconds_count", "index"] == 3
    assert found["clipseek_step_seconds_count", "text"] == 1
    assert found["clipseek_cache_lookups_total", "texts"] == 3
    assert found["clipseek_cache_misses_total", "texts"] == 1
    assert (found["clipseek_cache_lookups_total", "clips"], found["clipseek_cache_misses_total", "clips"]) == (2, 1)
    spans = found["clipseek_request_seconds_count", "/index"]
    assert spans == 8
    assert all(found["clipseek_step_seconds_count", step] == spans for step in ("decode", "encode", "store"))
    assert found["clipseek_errors_total", "/clip", "VideoNotFound", "video_loader"] == 1
    assert not any(
        found[name] for name in found if name[0] in ("clipseek_requests_under_way", "clipseek_steps_at_work")
    )
    processes = {"gateway", "video_loader", "word_reader", "image_encoder", "text_encoder", "indexer"}
    assert {name[1] for name in found if name[0] == "clipseek_process_up"} == processes
    assert all(found["clipseek_process_resident_bytes", name] > 50e6 for name in processes)


def test_the_dashboard_asks_for_metrics_that_there_are(used, metrics):
    there = {name[0] for name in metrics.read()}
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    named = {name for expression in asked for name in re.findall(r"clipseek_\w+", expression)}
    assert len(named) > 10
    assert named <= there


def test_the_documents_name_the_metrics_that_there_are(used, metrics):
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(clipseek_\w+)", text, re.MULTILINE))
    endings = re.compile("_(bucket|count|sum|created)$")
    assert told == {endings.sub("", name[0]) for name in metrics.read() if not name[0].endswith("_created")}


def test_counts_outlive_a_process_that_is_started_again(used, metrics):
    before = metrics.read()
    os.kill(used.processes()[3].pid, signal.SIGKILL)  # the text encoder
    used.wait_for("text_encoder is back")
    with used.client() as client:
        client.search("a red flower")
    after = metrics.read()
    assert after["clipseek_restarts_total", "text_encoder"] == 1
    assert after["clipseek_process_up", "text_encoder"] == 1
    lookups = ("clipseek_cache_lookups_total", "texts")
    assert after[lookups] == before[lookups] + 1


def test_every_line_is_an_object_and_says_what_it_is_about(used):
    told = [json.loads(line) for line in used.lines]
    assert {line["process"] for line in told} >= {"server", "gateway", "video_loader", "image_encoder", "indexer"}
    [refused] = [line for line in told if line.get("error") == "VideoNotFound" and line["process"] == "video_loader"]
    assert (refused["endpoint"], refused["level"]) == ("/clip", "INFO")
    searches = [line for line in told if line["message"].startswith("search: ")]
    assert all(line["endpoint"] == "/search" and 0 < line["seconds"] < 60 for line in searches)


def test_a_service_whose_collector_is_away_says_so_seldom_and_stops_in_time(used):
    about = [line for line in used.lines if "opentelemetry" in line]
    assert len(about) <= 10  # once for each process
    assert used.stop(signal.SIGTERM) == 0  # what takes too long to stop is ended, and that is no 0
