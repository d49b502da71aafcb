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
from clipseek.api import errors
from clipseek.config.settings import SETTINGS, Settings
from clipseek.service.run import PROCESS_ENVIRONMENT
from executors.video_loader.executor import CLIP_CACHE_BYTES
from executors.video_loader.workers import video_workers
from tests.kubernetes_manifests import (
    COMPONENTS,
    OUTSIDE,
    OVERLAYS,
    Manifest,
    built_manifests,
    built_overlay,
    bytes_of,
    claim_of,
    container_of,
    environment_of,
    has_kubectl,
    labels_of,
    may_connect,
    of_kind,
    options_of,
    selects,
    workloads,
)
from tests.markdown import Document

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = sorted(DOCKER.glob("compose*.yml"))
FLOW = yaml.safe_load((ROOT / "flow.yml").read_text(encoding="utf-8"))
EXECUTORS = [executor["name"].replace("_", "-") for executor in FLOW["executors"]]
WORKLOADS = {*EXECUTORS, "gateway", "jobs", "page"}
KUBERNETES = ("1.27", kubernetes_validate.latest_version())  # from 1.27 on gRPC probes are stable
BUILDS = [
    *((overlay,) for overlay in OVERLAYS),
    *(("small", component) for component in COMPONENTS),
    ("small", *COMPONENTS),
    ("postgres", *COMPONENTS),
]
SECRET = {
    "name": "CLIPSEEK_FLOW_SECRET",
    "valueFrom": {"secretKeyRef": {"name": "flow", "key": "CLIPSEEK_FLOW_SECRET"}},
}
# Settings that hold for containers, and are not ours.
FOREIGN = {*PROCESS_ENVIRONMENT, "NVIDIA_DRIVER_CAPABILITIES"}
KNOWN = {row.variable for row in SETTINGS.values()} | FOREIGN
needs_kubectl = pytest.mark.skipif(not has_kubectl, reason="needs kubectl, which builds the manifests")
every_build = pytest.mark.parametrize("build", BUILDS, ids="-".join)


def documents(*files: Path) -> list[dict]:
    return [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def test_the_overlays_and_components_are_these():
    assert (OVERLAYS, COMPONENTS) == (["base", "postgres", "small"], ["gpu", "ingress", "monitoring", "object-store"])


@needs_kubectl
@every_build
def test_kubernetes_accepts_the_manifests(build):
    for manifest, version in itertools.product(built_manifests(*build), KUBERNETES):
        kubernetes_validate.validate(manifest, version, strict=True)


@needs_kubectl
@pytest.mark.parametrize("executor", FLOW["executors"], ids=lambda executor: executor["name"])
def test_each_executor_of_the_flow_has_a_manifest(executor):
    name = executor["name"].replace("_", "-")
    container = container_of(workloads(built_manifests("base"))[name])
    assert container["args"][:4] == ["python", "-m", "executors.flow.pod", "executor"]
    options = options_of(container)
    assert json.loads(options.pop("--grpc-server-options")[0]).items() >= FLOW["with"]["grpc_server_options"].items()
    assert options == {
        "--name": [executor["name"]],
        "--uses": [executor["uses"]],
        "--py-modules": executor["py_modules"],
        "--host": ["0.0.0.0"],
        "--port": ["8080"],
        "--retries": [str(FLOW["with"]["retries"])],
    }
    assert {"configMapRef": {"name": "settings"}} in container["envFrom"]
    assert SECRET in container["env"]


@needs_kubectl
def test_the_gateway_knows_the_chain_and_the_address_of_every_executor():
    manifests = built_manifests("base")
    container = container_of(workloads(manifests)["gateway"])
    options = options_of(container)
    names = [executor["name"] for executor in FLOW["executors"]]
    chain = ["start-gateway", *names, "end-gateway"]
    assert json.loads(options["--graph-description"][0]) == {
        name: [following] for name, following in itertools.pairwise(chain)
    }
    addresses = json.loads(options["--deployments-addresses"][0])
    assert addresses == {name: 4 * [f"grpc://{name.replace('_', '-')}:8080"] for name in names}
    for service in EXECUTORS:
        assert of_kind(manifests, "Service")[service]["spec"]["ports"] == [{"port": 8080}]
    assert options["--uses"] == [FLOW["gateway"]["uses"]]
    assert json.loads(options["--grpc-server-options"][0]) == FLOW["gateway"]["grpc_server_options"]
    assert options["--port"] == ["45679"]
    assert SECRET in container["env"]


@needs_kubectl
def test_clients_know_the_address_of_the_gateway():
    manifests = built_manifests("base")
    [port] = of_kind(manifests, "Service")["gateway"]["spec"]["ports"]
    for client in ("jobs", "page"):
        host = environment_of(container_of(workloads(manifests)[client]))["CLIPSEEK_HOST"]
        assert host == f"grpc://gateway:{port['port']}"
    assert SECRET in container_of(workloads(manifests)["jobs"])["env"]


@needs_kubectl
def test_all_pods_run_this_version_and_its_process_settings():
    manifests = built_manifests("base")
    images = {name: container_of(workload)["image"] for name, workload in workloads(manifests).items()}
    assert images == dict.fromkeys(WORKLOADS, f"clipseek:{__version__}") | {"page": f"clipseek-page:{__version__}"}
    settings = of_kind(manifests, "ConfigMap")["settings"]["data"]
    assert settings == PROCESS_ENVIRONMENT | {"CLIPSEEK_MODEL": "starter"}


@needs_kubectl
@every_build
def test_every_variable_is_a_setting(build):
    manifests = built_manifests(*build)
    named = {variable["name"] for each in workloads(manifests).values() for variable in container_of(each)["env"]}
    assert named | of_kind(manifests, "ConfigMap")["settings"]["data"].keys() <= KNOWN


@needs_kubectl
@every_build
def test_whatever_selects_pods_finds_them_and_their_ports(build):
    manifests = built_manifests(*build)
    found = workloads(manifests)
    assert found.keys() == WORKLOADS
    for name, workload in found.items():
        assert selects(workload["spec"]["selector"], labels_of(workload))
        assert not any(selects(workload["spec"]["selector"], labels_of(found[other])) for other in WORKLOADS - {name})
    for name, service in of_kind(manifests, "Service").items():
        [pods] = [
            each for each in found.values() if selects({"matchLabels": service["spec"]["selector"]}, labels_of(each))
        ]
        assert pods is found[name]
        assert {port["port"] for port in service["spec"]["ports"]} <= ports_of(pods)
    for name, budget in of_kind(manifests, "PodDisruptionBudget").items():
        assert [other for other in found if selects(budget["spec"]["selector"], labels_of(found[other]))] == [name]
        assert budget["spec"]["maxUnavailable"] == 1  # with 0, or one of one, no node could be emptied
    for policy in of_kind(manifests, "NetworkPolicy").values():
        assert any(selects(policy["spec"]["podSelector"], labels_of(workload)) for workload in found.values())
    for ingress in of_kind(manifests, "Ingress").values():
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            service = of_kind(manifests, "Service")[path["backend"]["service"]["name"]]
            assert path["backend"]["service"]["port"]["number"] in {port["port"] for port in service["spec"]["ports"]}


def ports_of(workload: Manifest) -> set[int]:
    return {port["containerPort"] for port in container_of(workload).get("ports", [])}


@needs_kubectl
@every_build
def test_pods_that_several_may_run_of_have_a_budget_of_disruption(build):
    manifests = built_manifests(*build)
    assert of_kind(manifests, "PodDisruptionBudget").keys() == WORKLOADS - {"page"}


@needs_kubectl
@every_build
def test_probes_ask_ports_that_there_are(build):
    for name, workload in workloads(built_manifests(*build)).items():
        container = container_of(workload)
        probes = [container[kind] for kind in ("startupProbe", "readinessProbe", "livenessProbe") if kind in container]
        assert len(probes) == (0 if name == "jobs" else 3), name
        [first, *_] = container.get("ports", [None])
        for probe in probes:
            [asked] = [probe[kind]["port"] for kind in ("grpc", "httpGet") if kind in probe]
            assert asked == first["containerPort"]


@needs_kubectl
@every_build
def test_the_network_lets_pods_do_what_the_flow_does_and_no_more(build):
    manifests = built_manifests(*build)
    calls = {(client, "gateway", 45679) for client in ("jobs", "page")}
    calls |= {("gateway", executor, 8080) for executor in EXECUTORS}
    calls |= {(name, OUTSIDE, 53) for name in WORKLOADS}
    if "ingress" in build:
        calls |= {("namespace ingress-nginx", "gateway", 45679), ("namespace ingress-nginx", "page", 8501)}
    if "monitoring" in build:
        calls |= {("namespace observers", name, 9464) for name in (*EXECUTORS, "gateway")}
        calls |= {("namespace ingress-nginx", name, 9464) for name in (*EXECUTORS, "gateway")}
    if "postgres" in build:
        calls |= {("indexer", OUTSIDE, 5432)}
    if "object-store" in build:
        calls |= {("video-loader", OUTSIDE, 443)}
    ports = {(name, port) for name, workload in workloads(manifests).items() for port in ports_of(workload)}
    ends = [*ports, *((OUTSIDE, port) for port in (53, 443, 5432))]
    strangers = ("namespace ingress-nginx", "namespace observers")
    assert calls == {
        (source, target, port)
        for source, (target, port) in itertools.product((*WORKLOADS, *strangers), ends)
        if source != target and (source, target) not in itertools.product(strangers, [OUTSIDE])
        if may_connect(manifests, source, target, port)
    }


@needs_kubectl
@every_build
def test_pods_write_to_their_volumes_only_and_find_what_they_name(build):
    manifests = built_manifests(*build)
    for name, workload in workloads(manifests).items():
        pod, container = workload["spec"]["template"]["spec"], container_of(workload)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
        assert f"useradd --uid {pod['securityContext']['runAsUser']} " in DOCKERFILE
        mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        assert mounts.keys() == {"/store", "/cache", "/tmp"}
        assert sorted(each["name"] for each in pod["volumes"]) == sorted(mounts.values()), name
        assert all(len(each) == 2 for each in pod["volumes"]), "a volume is of one kind"
    claims = of_kind(manifests, "PersistentVolumeClaim").keys()
    assert {claim_of(workload) for workload in workloads(manifests).values()} - {None} == claims


@needs_kubectl
@every_build
def test_pods_roll_unless_their_claim_is_for_one_node(build):
    manifests = built_manifests(*build)
    claims = of_kind(manifests, "PersistentVolumeClaim")
    for name, workload in workloads(manifests).items():
        claim = claim_of(workload)
        is_for_one = claim is not None and claims[claim]["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert is_for_one == (workload["spec"].get("strategy", {}).get("type") == "Recreate"), name
        assert workload["spec"]["replicas"] == 1 or not is_for_one, name


@needs_kubectl
@every_build
def test_every_pod_has_requests_and_limits_of_processors_and_memory(build):
    for name, workload in workloads(built_manifests(*build)).items():
        amounts = container_of(workload)["resources"]
        assert amounts["requests"].keys() == {"cpu", "memory"}, name
        assert amounts["limits"].keys() - {"nvidia.com/gpu"} == {"cpu", "memory"}, name
        assert bytes_of(amounts["requests"]["memory"]) <= bytes_of(amounts["limits"]["memory"])


@needs_kubectl
@every_build
def test_all_decoders_together_fit_into_the_loader(build, monkeypatch):
    container = container_of(workloads(built_manifests(*build))["video-loader"])
    limits = container["resources"]["limits"]
    environment = environment_of(container)
    monkeypatch.setattr(video_workers, "processor_count", lambda: int(limits["cpu"]))
    monkeypatch.setattr(video_workers, "WorkerPool", lambda count, options: None)
    settings = Settings.from_env(environment | {"CLIPSEEK_DECODER": "software"})
    decoders = sum(video_workers.VideoWorkers(settings).counts.values())
    of_the_loader = 0.5e9  # docs/performance.md: 0.22 GB
    assert of_the_loader + decoders * settings.max_worker_gb * 1e9 <= bytes_of(limits["memory"])
    [cache] = [
        each
        for each in workloads(built_manifests(*build))["video-loader"]["spec"]["template"]["spec"]["volumes"]
        if each["name"] == "cache"
    ]
    assert settings.media_cache_gb * 1e9 + CLIP_CACHE_BYTES <= bytes_of(cache["emptyDir"]["sizeLimit"])


@needs_kubectl
def test_small_has_one_of_each_and_keeps_the_index_in_a_claim():
    found = workloads(built_manifests("small"))
    assert {name: workload["spec"]["replicas"] for name, workload in found.items()} == dict.fromkeys(WORKLOADS, 1)
    assert claim_of(found["indexer"]) == "index"
    assert workloads(built_manifests("base"))["gateway"]["spec"]["replicas"] == 2


@needs_kubectl
def test_postgres_has_indexers_without_state():
    found = workloads(built_manifests("postgres"))
    assert {name: workload["spec"]["replicas"] for name, workload in found.items()} == {
        **dict.fromkeys(("gateway", "image-encoder", "indexer", "jobs", "text-encoder"), 2),
        **dict.fromkeys(("page", "video-loader", "word-reader"), 1),
    }
    assert claim_of(found["indexer"]) is None
    for name in ("CLIPSEEK_STORE", "CLIPSEEK_STORE_PASSWORD"):
        secret = {"name": name, "valueFrom": {"secretKeyRef": {"name": "store", "key": name}}}
        assert [each for each in found if secret in container_of(found[each])["env"]] == ["indexer"]


@needs_kubectl
def test_gpus_are_asked_for_where_they_are_used():
    found = workloads(built_manifests("small", "gpu"))
    on_gpus = {name for name in found if container_of(found[name])["resources"]["limits"].get("nvidia.com/gpu") == 1}
    assert on_gpus == {"image-encoder", "video-loader"}
    assert container_of(found["image-encoder"])["image"] == f"clipseek-cuda:{__version__}"
    assert container_of(found["video-loader"])["image"] == f"clipseek:{__version__}"
    assert environment_of(container_of(found["image-encoder"])) == {"CLIPSEEK_DEVICE": "cuda"}
    assert environment_of(container_of(found["video-loader"]))["CLIPSEEK_DECODER"] == "cuda"
    assert found["image-encoder"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0


@needs_kubectl
def test_loaders_of_an_object_store_keep_nothing_and_may_be_many():
    found = workloads(built_manifests("postgres", "object-store"))
    assert (found["video-loader"]["spec"]["replicas"], claim_of(found["video-loader"])) == (2, None)
    secret = {"name": "CLIPSEEK_MEDIA", "valueFrom": {"secretKeyRef": {"name": "media", "key": "CLIPSEEK_MEDIA"}}}
    assert [name for name in found if secret in container_of(found[name])["env"]] == ["video-loader"]


@needs_kubectl
def test_the_ingress_has_tls_for_its_names_and_a_login_for_the_page():
    manifests = built_manifests("small", "ingress")
    names = {}
    for name, ingress in of_kind(manifests, "Ingress").items():
        [rule] = ingress["spec"]["rules"]
        assert ingress["spec"]["tls"] == [{"hosts": [rule["host"]], "secretName": "tls"}]
        names[name] = rule["host"]
    assert environment_of(container_of(workloads(manifests)["page"]))["CLIPSEEK_PAGE_HOSTS"] == names["page"]
    annotations = {name: each["metadata"]["annotations"] for name, each in of_kind(manifests, "Ingress").items()}
    assert annotations["page"]["nginx.ingress.kubernetes.io/auth-secret"] == "page-login"
    assert annotations["gateway"]["nginx.ingress.kubernetes.io/backend-protocol"] == "GRPC"


@needs_kubectl
def test_monitoring_serves_metrics_in_every_pod_of_the_flow_and_says_so():
    for name, workload in workloads(built_manifests("small", "monitoring")).items():
        environment = environment_of(container_of(workload))
        serves = (environment.get("CLIPSEEK_METRICS_BIND"), environment.get("CLIPSEEK_METRICS_PORT"))
        annotations = workload["spec"]["template"]["metadata"].get("annotations")
        if name in ("jobs", "page"):
            assert (9464 in ports_of(workload), serves, annotations) == (False, (None, None), None)
        else:
            assert (9464 in ports_of(workload), serves) == (True, ("0.0.0.0", "9464"))
            assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": "9464"}


def test_alerts_ask_for_metrics_that_there_are_and_say_what_to_do():
    """tests/flow/test_monitoring.py compares those of the document with those of a service."""
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(clipseek_\w+)", text, re.MULTILINE))
    [rules] = documents(DOCKER / "monitoring" / "alerts.yml")
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len({alert["alert"] for alert in alerts}) == len(alerts) > 5
    for alert in alerts:
        named = set(re.findall(r"clipseek_[a-z_]+", alert["expr"]))
        assert named and {name.removesuffix("_bucket") for name in named} <= told, alert["alert"]
        assert alert["annotations"].keys() == {"summary", "description"}
        assert alert["labels"]["severity"] in ("critical", "warning")
    for error in re.findall(r'error=~?"([^"]+)"', yaml.safe_dump(rules)):
        assert set(error.split("|")) <= {"other", *vars(errors)}
    [prometheus] = documents(DOCKER / "monitoring" / "prometheus.yml")
    [compose] = documents(DOCKER / "compose.monitoring.yml")
    mounted = [volume.split(":")[:2] for volume in compose["services"]["prometheus"]["volumes"]]
    assert ["./monitoring/alerts.yml", f"/etc/prometheus/{prometheus['rule_files'][0]}"] in mounted


@needs_kubectl
def test_the_overlay_of_the_documents_changes_what_it_says():
    blocks = Document.read(ROOT / "docs" / "containers.md").blocks
    [overlay] = [block.text for block in blocks if "kind: Kustomization" in block.text]
    manifests = built_overlay(overlay)
    for manifest, version in itertools.product(manifests, KUBERNETES):
        kubernetes_validate.validate(manifest, version, strict=True)
    assert of_kind(manifests, "ConfigMap")["settings"]["data"]["CLIPSEEK_MODEL"] == "multilingual"
    found = workloads(manifests)
    assert found["video-loader"]["spec"]["replicas"] == 3
    assert found["video-loader"]["spec"]["strategy"]["type"] == "RollingUpdate"
    assert of_kind(manifests, "PersistentVolumeClaim")["videos"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert {container_of(workload)["image"] for workload in found.values()} == {
        f"registry.example/clipseek:{__version__}",
        f"registry.example/clipseek-page:{__version__}",
    }
    [text] = [block.text for block in blocks if "kind: NetworkPolicy" in block.text]
    policy = yaml.safe_load(text)
    kubernetes_validate.validate(policy, KUBERNETES[0], strict=True)
    reached = {name for name in WORKLOADS if may_connect([*manifests, policy], name, OUTSIDE, 443)}
    assert reached == {"image-encoder"}


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_compose_takes_the_file(file):
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    content = yaml.safe_load(schema.read_text(encoding="utf-8"))
    [told] = documents(file)
    validator_for(content)(content).validate(told)


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_what_runs_all_the_time_restarts_with_limits_and_short_logs(file):
    [told] = documents(file)
    [whole] = documents(DOCKER / "compose.yml")
    for name, service in told["services"].items():
        for setting in service.get("environment", {}):
            assert setting in KNOWN or name in ("postgres", "grafana"), setting
        if file.name != "compose.yml" and name in whole["services"]:
            continue  # a part of one that is tested by itself
        assert service["restart"] == "unless-stopped"
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
        assert service["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        assert "healthcheck" in service or f"AS {service['build']['target']}\n" in DOCKERFILE
        assert "build" in service or re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-\w+)?", service["image"]), "pinned"


def test_every_image_that_is_built_checks_its_health():
    for stage in re.findall(r"(?ms)^FROM base AS \w+$(.*?)(?=^FROM |\Z)", DOCKERFILE):
        assert re.search(r"^HEALTHCHECK ", stage, re.MULTILINE)


def test_the_scaled_service_waits_for_its_database_and_reads_the_same_password():
    [told] = documents(DOCKER / "compose.scale.yml")
    service, database = told["services"]["clipseek"], told["services"]["postgres"]
    assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert database["environment"]["POSTGRES_USER"] == "clipseek"
    assert service["environment"]["CLIPSEEK_STORE"] == "postgresql://clipseek@postgres/clipseek"
    [secret] = told["secrets"]
    assert service["secrets"] == database["secrets"] == [secret]
    for variable in (
        service["environment"]["CLIPSEEK_STORE_PASSWORD_FILE"],
        database["environment"]["POSTGRES_PASSWORD_FILE"],
    ):
        assert variable == f"/run/secrets/{secret}"
    assert "ports" not in database
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"docker/{Path(told['secrets'][secret]['file']).parent}/" in ignored
    replicas = {name for name in service["environment"] if name.endswith("_REPLICAS")}
    assert replicas == {f"CLIPSEEK_{kind}_REPLICAS" for kind in ("LOADER", "ENCODER", "INDEXER")}


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


def copied_files() -> set[str]:
    """The files of the repository that the images are built from: those that .dockerignore lets in."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith(("#", "*"))]
    let_in = [line[1:] for line in rules if line.startswith("!")]
    kept_out = [line for line in rules if not line.startswith("!")]
    assert rules == [*(f"!{folder}" for folder in let_in), *kept_out], "the last rule that fits holds"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {
        file
        for file in listed.splitlines()
        if any(is_below(file, folder) for folder in let_in) and not any(is_below(file, folder) for folder in kept_out)
    }


def is_below(file: str, folder: str) -> bool:
    return f"{file}/".startswith(f"{folder}/")


def test_the_images_have_neither_samples_nor_tests():
    assert (ROOT / "executors/video_loader/media/samples").is_dir()
    files = copied_files()
    assert {"flow.yml", "executors/video_loader/media/sample_videos.py", "frontend/app.py"} <= files
    assert not [file for file in files if file.endswith((".mp4", ".webm", ".mkv"))]
    assert not [file for file in files if re.search(r"(^|/)(tests?|benchmarks|docs|samples|conftest\.py)(/|$)", file)]
    assert not [file for file in files if "secret" in file]


def test_the_images_are_made_of_files_that_there_are():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    let_in = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)
