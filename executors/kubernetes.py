"""Kubernetes manifests of the Flow: `python -m executors.kubernetes FOLDER` writes them, a file for each executor.

Which processes there are, what they run and who talks to whom comes from `flow.yml`, as Jina loads it with the settings
of the environment: `CLIPSEEK_SHARDS=2 python -m executors.kubernetes FOLDER` writes those of two shards. Jina's own
export starts Jina's head before shards, needs a service mesh for replicas, and knows neither volumes nor secrets.

Every process is a StatefulSet of its own, whose pods have names that last: so the gateway knows each replica by name
and takes them in turns itself, as it does on one machine. A Service would send all requests of its one connection to
one and the same replica.
"""

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from clipseek import __version__
from clipseek.api.errors import ClipSeekError
from clipseek.config.settings import SETTINGS, Settings
from clipseek.service.flow import flow_file
from clipseek.service.run import PROCESS_ENVIRONMENT

Manifest = dict[str, Any]

EXECUTOR_PORT, GATEWAY_PORT, PAGE_PORT = 8080, 45679, 8501
GATEWAY = "gateway"
IMAGE, PAGE_IMAGE = f"clipseek:{__version__}", f"clipseek-page:{__version__}"
USER = 10001  # of the images, see docker/Dockerfile
FOLDERS = ("store", "cache", "tmp")  # that the images write to
HEADER = "# Made from flow.yml by `make manifests`. Change them by an overlay, see docs/containers.md.\n"

# Settings that differ from pod to pod or are said in another way, and secrets, which are those without a repr.
_OF_A_POD = {
    *("home", "cache", "bind", "port", "page_port", "host", "library", "device", "media_roots", "allow_anyone"),
    *("loader_replicas", "encoder_replicas", "tls_cert", "tls_key", "tls_ca", "metrics_bind"),
    *(field.name for field in fields(Settings) if not field.repr),
}


@dataclass(frozen=True)
class Needs:
    """What a process needs: memory (request and limit), processors (request), and room for what it keeps."""

    memory: tuple[str, str]
    processors: str
    store: str = ""  # CLIPSEEK_HOME on a volume of the pod's own
    cache: str = ""  # CLIPSEEK_CACHE on one; else it goes with the pod


# By the name of the executor in flow.yml. Sized for the models of a few hundred MB that the profiles name.
_NEEDS = {
    "video_loader": Needs(("1Gi", "8Gi"), "1"),  # each of its decoders may take CLIPSEEK_MAX_WORKER_GB
    "image_encoder": Needs(("2Gi", "4Gi"), "1", cache="10Gi"),
    "text_encoder": Needs(("1Gi", "4Gi"), "500m", cache="10Gi"),
    "indexer": Needs(("1Gi", "4Gi"), "500m", store="20Gi"),
}
_FEW = Needs(("512Mi", "2Gi"), "250m")  # gateway, head and page
_VIDEOS, _UPLOADS = "200Gi", "50Gi"  # of the loader; of the page, on their way to it


@dataclass(frozen=True)
class Process:
    """A process of the Flow: how many pods, and how Jina's command starts it."""

    name: str  # of the StatefulSet
    executor: str  # in flow.yml
    replicas: int
    arguments: list[str]

    @property
    def is_head(self) -> bool:
        return self.name.endswith("-head")

    @property
    def addresses(self) -> list[str]:
        """Of its pods, from within their namespace."""
        return [f"{self.name}-{number}.{self.name}:{EXECUTOR_PORT}" for number in range(self.replicas)]


def manifests(settings: Settings) -> dict[str, list[Manifest]]:
    """The manifests by the names of their files. To be called with `settings` in the environment."""
    flow = _built_flow()
    processes = [process for name, deployment in flow if name != GATEWAY for process in _processes(name, deployment)]
    files: dict[str, list[Manifest]] = {"settings.yaml": [_settings(settings)]}
    for process in processes:
        files.setdefault(f"{_label(process.executor)}.yaml", []).extend(_executor(process, settings))
    files |= {
        "gateway.yaml": _gateway(_gateway_arguments(flow, processes), settings),
        "page.yaml": _page(),
        "network.yaml": [_only_the_flow_reaches_executors(settings)],
    }
    kinds = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return files | {"kustomization.yaml": [kinds | {"resources": sorted(files)}]}


# The Flow, as Jina loads it


def _built_flow() -> Any:
    from jina import Flow

    import executors.flow.defaults  # noqa: F401 (fills in what flow.yml reads of the environment)

    flow = Flow.load_config(str(flow_file()))
    return flow.build(copy_flow=False)


def _processes(name: str, deployment: Any) -> Iterator[Process]:
    """Those of an executor: one that may have replicas, or a head and its shards."""
    label = _label(name)
    head, shards = deployment.pod_args["head"], deployment.pod_args["pods"]
    found = [
        Process(label if len(shards) == 1 else f"{label}-{shard}", name, len(pods), _arguments("executor", pods[0]))
        for shard, pods in shards.items()
    ]
    if head:
        head.connection_list = json.dumps({str(shard): found[shard].addresses for shard in shards})
        yield Process(f"{label}-head", name, 1, _arguments("executor", head))
    yield from found


def _gateway_arguments(flow: Any, processes: list[Process]) -> list[str]:
    [args] = flow["gateway"].pod_args["pods"][0]
    first: dict[str, Process] = {}
    for process in processes:
        first.setdefault(process.executor, process)  # the head, where there is one
    addresses = {name: [f"grpc://{address}" for address in process.addresses] for name, process in first.items()}
    args.deployments_addresses = json.dumps(addresses)
    args.py_modules = ["executors.flow.gateway.gateway"]
    return _arguments(GATEWAY, args)


def _arguments(command: str, args: Any) -> list[str]:
    """Jina's arguments as it would write them itself, in a pod that listens to others."""
    from jina.helper import ArgNamespace
    from jina.parsers import set_gateway_parser, set_pod_parser

    args.host, args.port = "0.0.0.0", [GATEWAY_PORT if command == GATEWAY else EXECUTOR_PORT]
    args.name = args.name.partition("/rep-")[0]
    parser = set_gateway_parser() if command == GATEWAY else set_pod_parser()
    no_matter = {"workspace_id", "extra_search_paths", "noblock_on_start", "port_monitoring", "polling", "replicas"}
    return [command, *ArgNamespace.kwargs2list(ArgNamespace.get_non_defaults_args(args, parser, taboo=no_matter))]


# The manifests


def _settings(settings: Settings) -> Manifest:
    """What all pods share of the environment: settings that differ from their defaults, and what Jina is told."""
    chosen, defaults = settings.to_env(), Settings.from_env({}).to_env()
    shared = {
        row.variable: chosen[row.variable]
        for name, row in SETTINGS.items()
        if name not in _OF_A_POD and chosen[row.variable] != defaults[row.variable]
    }
    # Encoders see no store and decide by themselves, so `auto` could mean another model in each.
    model = settings.model if settings.model != "auto" else "starter"
    data = PROCESS_ENVIRONMENT | shared | {"CLIPSEEK_MODEL": model, "CLIPSEEK_SHARDS": str(settings.shards)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def _executor(process: Process, settings: Settings) -> list[Manifest]:
    needs = _FEW if process.is_head else _NEEDS[process.executor]
    container = _flow_container(process.arguments, EXECUTOR_PORT, needs, settings)
    volumes, claims = {}, []
    if process.executor == "video_loader":
        # The videos, and the counts of uploads under way, which replicas share.
        volumes["store"] = {"persistentVolumeClaim": {"claimName": "videos"}}
        claims.append(_claim("videos", _VIDEOS, "ReadWriteOnce" if process.replicas == 1 else "ReadWriteMany"))
        # CLIPSEEK_MEDIA at an object store, and the credentials that its package reads.
        container["envFrom"].append({"secretRef": {"name": "media", "optional": True}})
    if process.executor == "image_encoder" and settings.device == "cuda":
        container["env"].append({"name": "CLIPSEEK_DEVICE", "value": "cuda"})
        container["resources"]["limits"]["nvidia.com/gpu"] = 1
    if process.executor == "video_loader" and settings.decoder == "cuda":
        container["env"].append({"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility,video"})
        container["resources"]["limits"]["nvidia.com/gpu"] = 1
    own = {name: size for name, size in (("store", needs.store), ("cache", needs.cache)) if size}
    spec = {
        "serviceName": process.name,
        "replicas": process.replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app.kubernetes.io/name": process.name}},
        "template": _pod(process.name, "executor", container, volumes, own),
        "volumeClaimTemplates": [_claim(name, size, "ReadWriteOnce") for name, size in own.items()],
    }
    # The Service names the pods: the gateway looks them up while they start, too.
    names = {"clusterIP": "None", "publishNotReadyAddresses": True}
    return [*claims, _service(process.name, EXECUTOR_PORT, **names), _workload("StatefulSet", process.name, spec)]


def _gateway(arguments: list[str], settings: Settings) -> list[Manifest]:
    container = _flow_container(arguments, GATEWAY_PORT, _FEW, settings)
    # The tokens' hashes, access.json, are all that it reads of CLIPSEEK_HOME. It does not start without the Secret.
    volumes = {"store": {"secret": {"secretName": "access", "defaultMode": 0o440}}}
    return [_service(GATEWAY, GATEWAY_PORT), _deployment(GATEWAY, container, volumes)]


def _page() -> list[Manifest]:
    command = ["python", "-m", "frontend", "--address", "0.0.0.0", "--port", str(PAGE_PORT)]
    probe = {"httpGet": {"path": "/_stcore/health", "port": PAGE_PORT}}
    container = _container("page", PAGE_IMAGE, command, PAGE_PORT, _FEW, probe)
    server = {"name": "CLIPSEEK_HOST", "value": f"grpc://{GATEWAY}:{GATEWAY_PORT}"}
    container["env"] = [server, _from_secret("CLIPSEEK_TOKEN", "page")]
    volumes = {"store": {"persistentVolumeClaim": {"claimName": "page"}}}
    claim = _claim("page", _UPLOADS, "ReadWriteOnce")
    return [claim, _service("page", PAGE_PORT), _deployment("page", container, volumes)]


def _only_the_flow_reaches_executors(settings: Settings) -> Manifest:
    """Executors believe only requests that the gateway signed, but neither these nor the answers are encrypted. Their
    metrics, where there are any, are for whoever gathers them."""
    metrics = [{"ports": [{"port": settings.metrics_port}]}] if settings.metrics_port else []
    roles = [{"podSelector": {"matchLabels": _labels(role=role)}} for role in ("executor", GATEWAY)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "executors"},
        "spec": {
            "podSelector": {"matchLabels": _labels(role="executor")},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": roles, "ports": [{"port": EXECUTOR_PORT}]}, *metrics],
        },
    }


def _deployment(name: str, container: Manifest, volumes: dict[str, Manifest]) -> Manifest:
    spec = {
        "replicas": 1,  # a second gateway would count callers' requests by itself
        "strategy": {"type": "Recreate"},  # the page's volume is for one pod at a time
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "template": _pod(name, name, container, volumes),
    }
    return _workload("Deployment", name, spec)


def _workload(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _pod(
    name: str, role: str, container: Manifest, volumes: dict[str, Manifest], own: Collection[str] = ()
) -> Manifest:
    """A pod whose folders are `volumes`, those of its `own` claims, and else empty at its start."""
    sources: dict[str, Manifest] = {folder: {"emptyDir": {}} for folder in FOLDERS} | volumes
    return {
        "metadata": {"labels": {"app.kubernetes.io/name": name} | _labels(role)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,  # a Service named `clipseek` would set CLIPSEEK_PORT, to no port
            "terminationGracePeriodSeconds": 60,  # for the span at hand
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": folder} | source for folder, source in sources.items() if folder not in own],
        },
    }


def _flow_container(arguments: list[str], port: int, needs: Needs, settings: Settings) -> Manifest:
    # Every process answers gRPC's standard health service, without a token.
    probe = {"grpc": {"port": port}}
    container = _container("clipseek", IMAGE, ["python", "-m", "executors.flow.pod", *arguments], port, needs, probe)
    container["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    container["env"] = [_from_secret("CLIPSEEK_FLOW_SECRET", "flow")]
    if settings.metrics_port:
        container["env"].append({"name": "CLIPSEEK_METRICS_BIND", "value": "0.0.0.0"})
        container["ports"].append({"name": "metrics", "containerPort": settings.metrics_port})
    return container


def _container(name: str, image: str, command: list[str], port: int, needs: Needs, probe: Manifest) -> Manifest:
    request, limit = needs.memory
    return {
        "name": name,
        "image": image,
        "args": command,  # of the image's entry point, tini
        "ports": [{"containerPort": port}],
        "resources": {"requests": {"cpu": needs.processors, "memory": request}, "limits": {"memory": limit}},
        "startupProbe": probe | {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 120},  # fetches a model
        "readinessProbe": probe | {"periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": probe | {"periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": folder, "mountPath": f"/{folder}"} for folder in FOLDERS],
    }


def _claim(name: str, size: str, mode: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": size}}},
    }


def _service(name: str, port: int, **options: Any) -> Manifest:
    spec = {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": port}]} | options
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _from_secret(variable: str, secret: str) -> Manifest:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": variable}}}


def _labels(role: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "clipseek", "app.kubernetes.io/component": role}


def _label(name: str) -> str:
    """The name of an executor, fit to be a host's."""
    return name.replace("_", "-")


# The command


class _Plain(yaml.SafeDumper):  # type: ignore[misc]  # yaml has no types
    """Writes what occurs twice twice: Kubernetes' tools know no references."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def write(folder: Path, settings: Settings) -> None:
    """Write the manifests into a folder, and remove those that were there: counts of shards differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    for name, contents in manifests(settings).items():
        text = yaml.dump_all(contents, Dumper=_Plain, sort_keys=False, width=120)
        (folder / name).write_text(HEADER + text, encoding="utf-8")


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m executors.kubernetes FOLDER")
    try:
        write(Path(sys.argv[1]), Settings.from_env())
    except ClipSeekError as error:
        sys.exit(f"clipseek: {error}")


if __name__ == "__main__":
    main()
