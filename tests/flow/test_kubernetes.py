"""The pods of the Kubernetes manifests, each as a process here: its own command, environment and folders.

Not tested is what only a cluster does: pulling images, mounting volumes, its network, its users.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.synthetic import videos
from clipseek.api.errors import AccessDenied
from clipseek.client import Client
from clipseek.config.access import AccessFile
from clipseek.machine.ports import free_port
from tests.kubernetes_manifests import (
    arguments_of,
    base_manifests,
    built_manifests,
    by_kind_and_name,
    container_of,
    has_kubectl,
    workloads,
)

ROOT = Path(__file__).parents[2]
READY_SECONDS = 240
SECRETS = {"flow": {"CLIPSEEK_FLOW_SECRET": "a secret of all pods"}, "page": {"CLIPSEEK_TOKEN": "none"}}
EXAMPLES = ("shards", "replicas")
PODS = (
    {
        *("video-loader-0", "video-loader-1", "image-encoder-0", "image-encoder-1", "text-encoder-0"),
        *("indexer-head-0", "indexer-0-0", "indexer-1-0", "gateway"),
    }
    if has_kubectl
    else {"video-loader-0", "image-encoder-0", "text-encoder-0", "indexer-0", "gateway"}
)
SHARDS = {"indexer-0-0": ["0"], "indexer-1-0": ["1"]} if has_kubectl else {}


@dataclass
class Cluster:
    """A cluster made of processes. `pods` holds each pod's container by the pod's name."""

    folder: Path
    pods: dict[str, dict[str, Any]]
    claims: dict[str, str]  # pod -> whose folder is its CLIPSEEK_HOME
    settings: dict[str, str]
    ports: dict[str, int]
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, pod: str) -> subprocess.Popen[str]:
        container = self.pods[pod]
        process = subprocess.Popen(
            [sys.executable, *(self._here(argument, pod) for argument in arguments_of(container)[1:])],
            env={**os.environ, **self._environment(pod), "CLIPSEEK_HOME": str(self.home(pod))},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.running[pod] = process
        return process

    def home(self, pod: str) -> Path:
        home = self.folder / self.claims[pod]
        home.mkdir(parents=True, exist_ok=True)
        return home

    def is_serving(self, pod: str) -> bool:
        """What the probes of the manifest ask."""
        assert self.pods[pod]["readinessProbe"]["grpc"]["port"] == self.pods[pod]["ports"][0]["containerPort"]
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[pod]}") as channel:
            asked = health_pb2_grpc.HealthStub(channel).Check
            answer = asked(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=READY_SECONDS)
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    def client(self, token: str) -> Client:
        return Client(f"grpc://127.0.0.1:{self.ports['gateway']}", token=token, timeout_seconds=120)

    def _environment(self, pod: str) -> dict[str, str]:
        values = self.settings | {"CLIPSEEK_CACHE": str(self.folder / f"{pod}-cache")}
        for variable in self.pods[pod]["env"]:
            name, source = variable["name"], variable.get("valueFrom")
            values[name] = SECRETS[source["secretKeyRef"]["name"]][name] if source else variable["value"]
        return values

    def _here(self, argument: str, pod: str) -> str:
        """An argument with this machine's addresses and ports for those of the cluster."""
        if argument == str(self.pods[pod]["ports"][0]["containerPort"]):
            return str(self.ports[pod])
        for other, port in self.ports.items():
            service = other.rpartition("-")[0]
            argument = argument.replace(f"{other}.{service}:8080", f"127.0.0.1:{port}")
        return argument


@pytest.fixture(scope="module")
def make_cluster(tmp_path_factory, tiny_model) -> Iterator[Callable[[], Cluster]]:
    # Without kubectl the overlay cannot be built: then it is the manifests as they are.
    manifests = built_manifests(tmp_path_factory.mktemp("overlay"), *EXAMPLES) if has_kubectl else base_manifests()
    settings = by_kind_and_name(manifests)["ConfigMap", "settings"]["data"] | {"CLIPSEEK_MODEL": str(tiny_model)}
    pods, claims = {}, {}
    for name, workload in workloads(manifests).items():
        if name == "page":
            continue
        spec = workload["spec"]["template"]["spec"]
        for number in range(workload["spec"]["replicas"]):
            pod = f"{name}-{number}" if workload["kind"] == "StatefulSet" else name
            pods[pod] = container_of(workload)
            shared = [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v]
            claims[pod] = shared[0] if shared else pod
    clusters = []

    def make() -> Cluster:
        ports = {pod: free_port("127.0.0.1") for pod in pods}
        clusters.append(Cluster(tmp_path_factory.mktemp("cluster"), pods, claims, settings, ports))
        return clusters[-1]

    yield make
    for cluster in clusters:
        for process in cluster.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.communicate()


def test_videos_are_indexed_and_found_across_the_pods(make_cluster, tmp_path):
    cluster = make_cluster()
    assert set(cluster.pods) == PODS
    token = AccessFile(cluster.home("gateway")).add("alice")
    for pod in cluster.pods:
        cluster.start(pod)
    for pod in cluster.pods:
        assert cluster.is_serving(pod), pod
    titles = [f"video {number}.mp4" for number in range(4)]
    with cluster.client(token) as client:
        for number, title in enumerate(titles):
            video = videos.make(tmp_path / title, frames=60 + number, fps=10)
            assert client.index(video.path).video.status == "ready"
        assert [video.title for video in client.videos()] == titles
        answer = client.search("a dog", all_matches=True, top_k=50)
        assert {match.title for match in answer.matches} == set(titles) and answer.videos_searched == 4
        clip = client.clip(titles[1], 1.0, 3.0, tmp_path / "clip.mp4")
        assert len(videos.read(clip.path)) == 20
        facts = {component.name: component.facts for component in client.health()}
        assert facts["indexer"]["videos"] == "4"
        assert facts["indexer"].get("shards") == ("2" if SHARDS else None)
    with cluster.client("") as client, pytest.raises(AccessDenied):
        client.videos()
    stored = {pod: sorted(file.name for file in (cluster.home(pod) / "shards-2").iterdir()) for pod in SHARDS}
    assert stored == SHARDS
    for process in cluster.running.values():
        process.send_signal(signal.SIGTERM)
    assert {pod: process.wait(timeout=60) for pod, process in cluster.running.items()} == dict.fromkeys(PODS, 0)


def test_without_tokens_the_gateway_says_so_and_ends(make_cluster):
    cluster = make_cluster()
    process = cluster.start("gateway")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot start. At '0.0.0.0' anyone on the network could use this service" in told
    assert "Traceback" not in told
