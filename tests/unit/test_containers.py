"""What is said of containers fits together, and what is written for their tools is what these take."""

import os
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

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = sorted(DOCKER.glob("compose*.yml"))
MANIFESTS = sorted((DOCKER / "kubernetes").glob("*.yaml"))
# gRPC probes are no longer an experiment from 1.27 on.
VIDEO = "compute,utility,video"  # what the driver's library for decoding is part of
KUBERNETES = ("1.27", kubernetes_validate.latest_version())


def documents(*files: Path) -> list[dict]:
    return [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def write_manifests(folder: Path, **settings: str) -> Path:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLIPSEEK_")}
    command = [sys.executable, "-m", "executors.kubernetes", str(folder)]
    subprocess.run(command, env=environment | settings, cwd=ROOT, check=True)
    return folder


def test_the_manifests_are_those_of_the_flow(tmp_path):
    made = {file.name: file.read_text() for file in write_manifests(tmp_path).iterdir()}
    assert made == {file.name: file.read_text() for file in MANIFESTS}, "run `make manifests`"


def test_settings_make_other_manifests(tmp_path):
    counts = {"CLIPSEEK_SHARDS": "3", "CLIPSEEK_LOADER_REPLICAS": "2"}
    write_manifests(
        tmp_path, **counts, CLIPSEEK_MAX_VIDEO_GB="5", CLIPSEEK_TOKEN="a secret", CLIPSEEK_HOME="/elsewhere"
    )
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert "a secret" not in text and "/elsewhere" not in text
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents(*tmp_path.glob("[!k]*.yaml"))}
    shards = ["indexer-0", "indexer-1", "indexer-2"]
    assert {name for kind, name in found if kind == "StatefulSet"} == {
        *("video-loader", "image-encoder", "text-encoder", "indexer-head"),
        *shards,
    }
    assert found["StatefulSet", "video-loader"]["spec"]["replicas"] == 2
    assert found["PersistentVolumeClaim", "videos"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert found["ConfigMap", "settings"]["data"]["CLIPSEEK_MAX_VIDEO_GB"] == "5"


@pytest.mark.parametrize(
    ("setting", "name"), [("CLIPSEEK_DEVICE", "image-encoder"), ("CLIPSEEK_DECODER", "video-loader")]
)
def test_a_gpu_is_asked_for_where_it_is_used(tmp_path, setting, name):
    write_manifests(tmp_path, **{setting: "cuda"})
    [found] = [each for each in documents(*tmp_path.glob("[!k]*.yaml")) if "nvidia.com/gpu" in yaml.safe_dump(each)]
    assert found["metadata"]["name"] == name
    [container] = found["spec"]["template"]["spec"]["containers"]
    told = {"image-encoder": ("CLIPSEEK_DEVICE", "cuda")}.get(name, ("NVIDIA_DRIVER_CAPABILITIES", VIDEO))
    assert dict(zip(("name", "value"), told, strict=True)) in container["env"]


def test_metrics_may_be_gathered_where_there_are_any(tmp_path):
    made = documents(*write_manifests(tmp_path, CLIPSEEK_METRICS_PORT="9464").glob("[!k]*.yaml"))
    assert "CLIPSEEK_METRICS_BIND" not in "".join(file.read_text() for file in MANIFESTS)
    for each in made:
        kubernetes_validate.validate(each, KUBERNETES[-1], strict=True)
        if each["kind"] in ("StatefulSet", "Deployment") and each["metadata"]["name"] != "page":
            [container] = each["spec"]["template"]["spec"]["containers"]
            assert {"name": "metrics", "containerPort": 9464} in container["ports"]
            assert {"name": "CLIPSEEK_METRICS_BIND", "value": "0.0.0.0"} in container["env"]
    [settings] = [each["data"] for each in made if each["kind"] == "ConfigMap"]
    assert settings["CLIPSEEK_METRICS_PORT"] == "9464"
    [policy] = [each for each in made if each["kind"] == "NetworkPolicy"]
    assert {"ports": [{"port": 9464}]} in policy["spec"]["ingress"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_the_manifests(version):
    *others, kustomization = sorted(documents(*MANIFESTS), key=lambda each: each["kind"] == "Kustomization")
    for each in others:
        kubernetes_validate.validate(each, version, strict=True)
    assert kustomization["resources"] == [file.name for file in MANIFESTS if file.name != "kustomization.yaml"]


def test_pods_write_to_their_volumes_only_and_find_what_they_name():
    found = documents(*MANIFESTS)
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
