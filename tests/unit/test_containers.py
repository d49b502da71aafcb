"""Dockerfile, Compose files and manifests agree with flow.yml and each other, and their tools accept them."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from jsonschema.validators import validator_for

from clipseek import __version__
from clipseek.service.run import PROCESS_ENVIRONMENT
from tests.kubernetes_manifests import (
    EXAMPLES,
    FOLDER,
    Manifest,
    arguments_of,
    base_manifests,
    built_manifests,
    built_overlay,
    by_kind_and_name,
    container_of,
    environment_of,
    has_kubectl,
    workloads,
)
from tests.markdown import Document

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = sorted(DOCKER.glob("compose*.yml"))
FLOW = yaml.safe_load((ROOT / "flow.yml").read_text(encoding="utf-8"))
ORDERED = ["shards", *(name for name in EXAMPLES if name != "shards")]  # the others change what it adds
KUBERNETES = ("1.27", kubernetes_validate.latest_version())  # from 1.27 on gRPC probes are stable
SECRET = {
    "name": "CLIPSEEK_FLOW_SECRET",
    "valueFrom": {"secretKeyRef": {"name": "flow", "key": "CLIPSEEK_FLOW_SECRET"}},
}
needs_kubectl = pytest.mark.skipif(not has_kubectl, reason="needs kubectl, which builds the overlay")


def documents(*files: Path) -> list[dict]:
    return [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def options_of(container: Manifest) -> dict[str, list[str]]:
    """The options behind `python -m executors.flow.pod executor|gateway`, each with its values."""
    options: dict[str, list[str]] = {}
    for argument in arguments_of(container)[4:]:
        if argument.startswith("--"):
            name = argument
        options.setdefault(name, []).extend([] if argument.startswith("--") else [argument])
    return options


@pytest.mark.parametrize("executor", FLOW["executors"], ids=lambda executor: executor["name"])
def test_each_executor_of_the_flow_has_a_manifest(executor):
    name = executor["name"].replace("_", "-")
    workload = workloads(base_manifests())[name]
    container = container_of(workload)
    assert container["args"][:4] == ["python", "-m", "executors.flow.pod", "executor"]
    assert options_of(container) == {
        "--name": [executor["name"]],
        "--uses": [executor["uses"]],
        "--py-modules": executor["py_modules"],
        "--grpc-server-options": [json.dumps(FLOW["with"]["grpc_server_options"])],
        "--host": ["0.0.0.0"],
        "--port": ["8080"],
        "--retries": [str(FLOW["with"]["retries"])],
    }
    assert container["ports"] == [{"containerPort": 8080}]
    assert workload["spec"]["replicas"] == 1
    assert {"configMapRef": {"name": "settings"}} in container["envFrom"]
    assert SECRET in container["env"]
    service = by_kind_and_name(base_manifests())["Service", name]["spec"]
    assert service["clusterIP"] == "None" and service["ports"] == [{"port": 8080}]


def test_the_gateway_knows_the_chain_and_the_address_of_every_executor():
    container = container_of(workloads(base_manifests())["gateway"])
    options = options_of(container)
    names = [executor["name"] for executor in FLOW["executors"]]
    chain = ["start-gateway", *names, "end-gateway"]
    assert json.loads(options["--graph-description"][0]) == {
        name: [following] for name, following in itertools.pairwise(chain)
    }
    assert json.loads(options["--deployments-addresses"][0]) == {
        name: [f"grpc://{label}-0.{label}:8080"] for name in names for label in [name.replace("_", "-")]
    }
    assert options["--uses"] == [FLOW["gateway"]["uses"]]
    assert options["--port"] == ["45679"]
    assert SECRET in container["env"]


def test_all_pods_run_this_version_and_its_process_settings():
    manifests = base_manifests()
    images = {container_of(workload)["image"] for workload in workloads(manifests).values()}
    assert images == {f"clipseek:{__version__}", f"clipseek-page:{__version__}"}
    settings = by_kind_and_name(manifests)["ConfigMap", "settings"]["data"]
    assert settings == PROCESS_ENVIRONMENT | {"CLIPSEEK_MODEL": "starter", "CLIPSEEK_SHARDS": "1"}


@needs_kubectl
@pytest.mark.parametrize("examples", [*([name] for name in EXAMPLES), ORDERED], ids="-".join)
def test_kubernetes_accepts_the_manifests_with_every_example(tmp_path, examples):
    for manifest in built_manifests(tmp_path, *examples):
        for version in KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_accepts_the_manifests(version):
    for manifest in base_manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_kustomization_names_every_manifest():
    [kustomization] = documents(FOLDER / "kustomization.yaml")
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == {*files, "indexer"}


@needs_kubectl
def test_the_example_of_replicas_gives_the_gateway_their_addresses(tmp_path):
    found = built_manifests(tmp_path, "replicas")
    addresses = json.loads(options_of(container_of(workloads(found)["gateway"]))["--deployments-addresses"][0])
    for name, label in (("video_loader", "video-loader"), ("image_encoder", "image-encoder")):
        assert workloads(found)[label]["spec"]["replicas"] == 2
        assert addresses[name] == [f"grpc://{label}-{number}.{label}:8080" for number in range(2)]
    claim = by_kind_and_name(found)["PersistentVolumeClaim", "videos"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@needs_kubectl
def test_the_example_of_shards_puts_a_head_in_front_of_two_indexers(tmp_path):
    found = built_manifests(tmp_path, "shards")
    assert workloads(found).keys() == {
        *("gateway", "page", "video-loader", "image-encoder", "text-encoder"),
        *("indexer-head", "indexer-0", "indexer-1"),
    }
    for shard in ("0", "1"):
        indexer = workloads(found)[f"indexer-{shard}"]
        options = options_of(container_of(indexer))
        assert (options["--name"], options["--shard-id"], options["--shards"]) == (
            [f"indexer/shard-{shard}"],
            [shard],
            ["2"],
        )
        assert indexer["spec"]["serviceName"] == f"indexer-{shard}"
        assert by_kind_and_name(found)["Service", f"indexer-{shard}"]["spec"]["selector"] == {
            "app.kubernetes.io/name": f"indexer-{shard}"
        }
    head = options_of(container_of(workloads(found)["indexer-head"]))
    assert json.loads(head["--connection-list"][0]) == {
        "0": ["indexer-0-0.indexer-0:8080"],
        "1": ["indexer-1-0.indexer-1:8080"],
    }
    gateway = options_of(container_of(workloads(found)["gateway"]))
    assert json.loads(gateway["--deployments-addresses"][0])["indexer"] == ["grpc://indexer-head-0.indexer-head:8080"]
    assert by_kind_and_name(found)["ConfigMap", "settings"]["data"]["CLIPSEEK_SHARDS"] == "2"


@needs_kubectl
def test_the_example_of_gpus_asks_for_one_where_it_is_used(tmp_path):
    found = workloads(built_manifests(tmp_path, "gpu"))
    on_gpus = {name for name, workload in found.items() if "nvidia.com/gpu" in yaml.safe_dump(workload)}
    assert on_gpus == {"image-encoder", "video-loader"}
    assert environment_of(container_of(found["image-encoder"]))["CLIPSEEK_DEVICE"] == "cuda"
    assert environment_of(container_of(found["video-loader"])) == {
        "CLIPSEEK_DECODER": "cuda",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
    }
    assert container_of(found["image-encoder"])["image"] == f"clipseek:{__version__}-cuda"


@needs_kubectl
def test_the_example_of_metrics_serves_them_in_every_pod_of_the_flow(tmp_path):
    found = built_manifests(tmp_path, "shards", "metrics")
    for name, workload in workloads(found).items():
        container = container_of(workload)
        serves = {"name": "metrics", "containerPort": 9464} in container["ports"]
        assert serves == (environment_of(container).get("CLIPSEEK_METRICS_BIND") == "0.0.0.0") == (name != "page"), name
    assert by_kind_and_name(found)["ConfigMap", "settings"]["data"]["CLIPSEEK_METRICS_PORT"] == "9464"
    assert {"ports": [{"port": 9464}]} in by_kind_and_name(found)["NetworkPolicy", "executors"]["spec"]["ingress"]


@needs_kubectl
def test_the_overlay_of_the_documents_changes_what_it_says(tmp_path):
    blocks = Document.read(ROOT / "docs" / "containers.md").blocks
    [overlay] = [block.text for block in blocks if "kind: Kustomization" in block.text]
    found = built_overlay(tmp_path, overlay)
    settings = by_kind_and_name(found)["ConfigMap", "settings"]["data"]
    assert (settings["CLIPSEEK_MODEL"], settings["CLIPSEEK_METRICS_PORT"]) == ("multilingual", "9464")
    assert workloads(found)["video-loader"]["spec"]["replicas"] == 2
    assert {container_of(workload)["image"] for workload in workloads(found).values()} == {
        f"registry.example/clipseek:{__version__}",
        f"registry.example/clipseek-page:{__version__}",
    }


def test_pods_write_to_their_volumes_only_and_find_what_they_name():
    found = base_manifests()
    claims = {each["metadata"]["name"] for each in found if each["kind"] == "PersistentVolumeClaim"}
    for workload in (each for each in found if each["kind"] in ("StatefulSet", "Deployment")):
        pod = workload["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        own = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])]
        volumes = [each["name"] for each in pod["volumes"]]
        mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        assert mounts.keys() == {"/store", "/cache", "/tmp"} and sorted([*own, *volumes]) == sorted(mounts.values())
        assert f"useradd --uid {pod['securityContext']['runAsUser']} " in DOCKERFILE
        shared = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
        assert shared <= claims


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_compose_takes_the_file(file):
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    content = yaml.safe_load(schema.read_text(encoding="utf-8"))
    [told] = documents(file)
    validator_for(content)(content).validate(told)


def test_compose_names_what_there_is():
    stages = set(re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE))
    arguments = set(re.findall(r"^ARG (\w+)=", DOCKERFILE, re.MULTILINE))
    [whole] = documents(DOCKER / "compose.yml")
    for file in COMPOSE:
        [told] = documents(file)
        volumes = {**whole["volumes"], **told.get("volumes", {})}
        for name, service in told["services"].items():
            build = service.get("build", {})
            assert name in whole["services"] or "image" in service
            assert {build["target"]} <= stages if "target" in build else file.name != "compose.yml"
            assert set(build.get("args", {})) <= arguments
            named = {volume.partition(":")[0] for volume in service.get("volumes", []) if volume[0] not in "./"}
            assert named <= set(volumes)


def test_the_dockerfile_passes_its_linter():
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    done = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_images_are_made_of_files_that_there_are():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    let_in = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)
