"""The pods of the Kubernetes manifests, each as a process here: its own command, environment and folders.

Not tested is what only a cluster does: pulling images, mounting volumes, its network, its users.
"""

import contextlib
import itertools
import os
import re
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
from tests.kubernetes_manifests import built_overlay, claim_of, container_of, has_kubectl, of_kind, workloads

ROOT = Path(__file__).parents[2]
READY_SECONDS = 240
COMMANDS = {"python": [], "clipseek": ["-m", "clipseek"]}
SECRETS = {"flow": {"CLIPSEEK_FLOW_SECRET": "a secret of all pods"}, "page": {"CLIPSEEK_TOKEN": "none"}}
# Two gateways, and two of what indexes.
OVERLAY = """
resources: [../docker/kubernetes/base]
replicas: [{name: video-loader, count: 2}, {name: image-encoder, count: 2}]
"""
PODS = {
    *("gateway-0", "gateway-1", "video-loader-0", "video-loader-1", "image-encoder-0", "image-encoder-1"),
    *("word-reader-0", "text-encoder-0", "indexer-0", "jobs-0"),
}
pytestmark = pytest.mark.skipif(not has_kubectl, reason="needs kubectl, which builds the manifests")


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
        arguments = [self._here(argument, pod) for argument in container["args"][1:]]
        process = subprocess.Popen(
            [sys.executable, *COMMANDS[container["args"][0]], *arguments],
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

    def client(self, token: str, gateway: str = "gateway-0") -> Client:
        return Client(f"grpc://127.0.0.1:{self.ports[gateway]}", token=token, timeout_seconds=120)

    def _environment(self, pod: str) -> dict[str, str]:
        values = self.settings | {"CLIPSEEK_CACHE": str(self.folder / f"{pod}-cache")}
        for variable in self.pods[pod]["env"]:
            name, source = variable["name"], variable.get("valueFrom")
            secret = source and SECRETS[source["secretKeyRef"]["name"]][name]
            values[name] = secret or self._here(variable["value"], pod)
        return values

    def _here(self, argument: str, pod: str) -> str:
        """An argument with this machine's addresses and ports for those of the cluster."""
        if argument in (str(port["containerPort"]) for port in self.pods[pod].get("ports", [])):
            return str(self.ports[pod])
        for service in {name.rpartition("-")[0] for name in self.ports}:
            pods = itertools.cycle(port for name, port in self.ports.items() if name.rpartition("-")[0] == service)
            argument = re.sub(rf"//{service}:\d+", lambda _, pods=pods: f"//127.0.0.1:{next(pods)}", argument)
        return argument


@pytest.fixture(scope="module")
def make_cluster(tmp_path_factory, tiny_model) -> Iterator[Callable[[], Cluster]]:
    manifests = built_overlay(OVERLAY)
    settings = of_kind(manifests, "ConfigMap")["settings"]["data"]
    settings |= {"CLIPSEEK_MODEL": str(tiny_model), "CLIPSEEK_WORDS": "off"}
    pods, claims = {}, {}
    for name, workload in workloads(manifests).items():
        for number in range(0 if name == "page" else workload["spec"]["replicas"]):
            pod = f"{name}-{number}"
            pods[pod] = container_of(workload)
            claims[pod] = claim_of(workload) or (name if name == "gateway" else pod)  # gateways share a secret
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
    token = AccessFile(cluster.home("gateway-0")).add("alice")
    for pod in cluster.pods:
        cluster.start(pod)
    for pod in cluster.pods.keys() - {"jobs-0"}:
        assert cluster.is_serving(pod), pod
    titles = [f"video {number}.mp4" for number in range(4)]
    with cluster.client(token) as client, cluster.client(token, "gateway-1") as other:
        for number, title in enumerate(titles):
            video = videos.make(tmp_path / title, frames=60 + number, fps=10)
            assert client.index(video.path).video.status == "ready"
        assert [video.title for video in other.videos()] == titles
        answer = other.search("a dog", all_matches=True, top_k=50)
        assert {match.title for match in answer.matches} == set(titles) and answer.videos_searched == 4
        clip = client.clip(titles[1], 1.0, 3.0, tmp_path / "clip.mp4")
        assert len(videos.read(clip.path)) == 20
        facts = {component.name: component.facts for component in client.health()}
        assert facts["indexer"]["videos"] == "4"
    with cluster.client("") as client, pytest.raises(AccessDenied):
        client.videos()
    for process in cluster.running.values():
        process.send_signal(signal.SIGTERM)
    assert {pod: process.wait(timeout=60) for pod, process in cluster.running.items()} == dict.fromkeys(PODS, 0)


def test_without_tokens_the_gateway_says_so_and_ends(make_cluster):
    cluster = make_cluster()
    process = cluster.start("gateway-0")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot start. At '0.0.0.0' anyone on the network could use this service" in told
    assert "Traceback" not in told
