"""The manifests of docker/kubernetes as `kubectl kustomize` builds them, and what they say."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "docker" / "kubernetes"
has_kubectl = shutil.which("kubectl") is not None

OUTSIDE = "outside"  # of the cluster

Manifest = dict[str, Any]
Labels = dict[str, str]


def _folders(kind: str) -> list[str]:
    files = sorted(FOLDER.glob("*/kustomization.yaml"))
    return [file.parent.name for file in files if yaml.safe_load(file.read_text(encoding="utf-8"))["kind"] == kind]


OVERLAYS, COMPONENTS = _folders("Kustomization"), _folders("Component")


@functools.cache
def _built(overlay: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        text = overlay.replace("../docker/kubernetes", os.path.relpath(FOLDER, Path(folder).resolve()))
        (Path(folder) / "kustomization.yaml").write_text(text, encoding="utf-8")
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def built_overlay(overlay: str) -> list[Manifest]:
    """The manifests of a kustomization.yaml in a folder beside docker/. Needs kubectl."""
    return list(yaml.safe_load_all(_built(overlay)))


def built_manifests(overlay: str, *components: str) -> list[Manifest]:
    """The manifests of an overlay with components. Needs kubectl."""
    paths = [f"../docker/kubernetes/{name}" for name in (overlay, *components)]
    return built_overlay(yaml.safe_dump({"resources": paths[:1], "components": paths[1:]}))


def by_kind_and_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Manifests by (kind, name)."""
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The manifests of a kind by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The Deployments by name. There is no other kind of workload."""
    assert not {each["kind"] for each in manifests} & {"StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"}
    return of_kind(manifests, "Deployment")


def container_of(workload: Manifest) -> Manifest:
    """The one container of a workload's pods."""
    [container] = workload["spec"]["template"]["spec"]["containers"]
    return container


def labels_of(workload: Manifest) -> Labels:
    """The labels of a workload's pods."""
    return workload["spec"]["template"]["metadata"]["labels"]


def claim_of(workload: Manifest) -> str | None:
    """The claim of the volume `store` of a workload's pods."""
    [store] = [each for each in workload["spec"]["template"]["spec"]["volumes"] if each["name"] == "store"]
    return store.get("persistentVolumeClaim", {}).get("claimName")


def environment_of(container: Manifest) -> dict[str, str]:
    """The variables that a container sets to plain values."""
    return {variable["name"]: variable["value"] for variable in container.get("env", []) if "value" in variable}


def options_of(container: Manifest) -> dict[str, list[str]]:
    """The options behind `python -m executors.flow.pod executor|gateway`, each with its values."""
    options: dict[str, list[str]] = {}
    for argument in container["args"][4:]:
        if argument.startswith("--"):
            name = argument
        options.setdefault(name, []).extend([] if argument.startswith("--") else [argument])
    return options


def selects(selector: Manifest, labels: Labels) -> bool:
    """Whether a selector with `matchLabels` and `matchExpressions` (of operator In) selects what has these labels."""
    expressions = selector.get("matchExpressions", [])
    assert {expression["operator"] for expression in expressions} <= {"In"}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def may_connect(manifests: list[Manifest], source: str, target: str, port: int) -> bool:
    """Whether the network policies let the pods of one workload reach a port of another's, at both ends.

    Args:
        source: a workload's name, or "namespace NAME" for pods of another namespace.
        target: a workload's name, or `OUTSIDE`.
    """
    pods = {name: labels_of(workload) for name, workload in workloads(manifests).items()}
    leaves = source not in pods or _is_allowed(manifests, "egress", pods[source], target, pods.get(target), port)
    return leaves and (
        target not in pods or _is_allowed(manifests, "ingress", pods[target], source, pods.get(source), port)
    )


def _is_allowed(
    manifests: list[Manifest], way: str, labels: Labels, peer: str, peer_labels: Labels | None, port: int
) -> bool:
    policies = [
        each["spec"]
        for each in of_kind(manifests, "NetworkPolicy").values()
        if way.capitalize() in each["spec"]["policyTypes"] and selects(each["spec"]["podSelector"], labels)
    ]
    rules = [rule for policy in policies for rule in policy.get(way, [])]
    ends = "from" if way == "ingress" else "to"
    return not policies or any(
        any(each["port"] == port for each in rule["ports"])
        and (ends not in rule or any(_is_peer(end, peer, peer_labels) for end in rule[ends]))
        for rule in rules
    )


def _is_peer(end: Manifest, peer: str, labels: Labels | None) -> bool:
    assert end.keys() in ({"podSelector"}, {"namespaceSelector"})
    if "podSelector" in end:
        return labels is not None and selects(end["podSelector"], labels)
    namespace = {"kubernetes.io/metadata.name": peer.removeprefix("namespace ")} if labels is None else {}
    return peer != OUTSIDE and selects(end["namespaceSelector"], namespace)


def bytes_of(quantity: str) -> float:
    """A quantity of memory or disk in bytes."""
    [(number, unit)] = re.findall(r"^([0-9.]+)([KMGT]i)$", quantity)
    return float(number) * 1024 ** (1 + "KMGT".index(unit[0]))
