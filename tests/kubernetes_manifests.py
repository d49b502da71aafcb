"""The manifests of docker/kubernetes as tests read them, alone or with examples that `kubectl kustomize` adds."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "docker" / "kubernetes"
EXAMPLES = sorted(path.name for path in (FOLDER / "examples").iterdir())
has_kubectl = shutil.which("kubectl") is not None

Manifest = dict[str, Any]


def base_manifests() -> list[Manifest]:
    """What `kubectl apply -k docker/kubernetes` applies, read without kubectl."""
    return _resources(FOLDER)


def _resources(folder: Path) -> list[Manifest]:
    found = []
    for name in yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]:
        path = folder / name
        found += _resources(path) if path.is_dir() else yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return found


def built_manifests(folder: Path, *examples: str) -> list[Manifest]:
    """The manifests with examples. Needs kubectl and an empty folder."""
    components = "".join(f"- ../docker/kubernetes/examples/{name}\n" for name in examples)
    overlay = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources: [../docker/kubernetes]\ncomponents:\n{components}"
    )
    return built_overlay(folder, overlay)


def built_overlay(folder: Path, overlay: str) -> list[Manifest]:
    """The manifests with an overlay whose folder is beside docker/. Needs kubectl and an empty folder."""
    shutil.copytree(FOLDER, folder / "docker" / "kubernetes")
    place = folder / "overlay"
    place.mkdir()
    (place / "kustomization.yaml").write_text(overlay, encoding="utf-8")
    done = subprocess.run(["kubectl", "kustomize", place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def by_kind_and_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Manifests by (kind, name)."""
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The StatefulSets and Deployments by name."""
    return {name: manifest for (kind, name), manifest in by_kind_and_name(manifests).items() if kind in WORKLOADS}


WORKLOADS = ("StatefulSet", "Deployment")


def container_of(workload: Manifest) -> Manifest:
    """The one container of a workload's pods."""
    [container] = workload["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(container: Manifest) -> dict[str, str]:
    """The variables that a container sets to plain values."""
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


def arguments_of(container: Manifest) -> list[str]:
    """A container's arguments, with `$(NAME)` replaced as Kubernetes does it."""
    values = environment_of(container)
    return [re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], argument) for argument in container["args"]]
