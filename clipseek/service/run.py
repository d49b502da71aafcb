"""Runs `flow.yml`: starts it, watches it, stops it cleanly."""

import contextlib
import importlib.util
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from clipseek.api.documents import Component
from clipseek.api.errors import ModelMismatch, ServerNotReady
from clipseek.api.model_ids import advise_to_index_again, settings_for
from clipseek.client import Client
from clipseek.config.access import check_network, service_token, with_flow_secret
from clipseek.config.settings import (
    SHARED_METRICS_VARIABLE,
    START_ERRORS_VARIABLE,
    Settings,
    rename_warnings,
    variable_of,
)
from clipseek.config.tls import check_tls
from clipseek.machine.ports import free_port, is_port_free
from clipseek.machine.talk import say
from clipseek.machine.versions import find_misfits
from clipseek.service.flow import POLL_SECONDS, block_interrupts, running_flow
from clipseek.service.job_process import JobProcess
from clipseek.service.metrics_server import serve_metrics
from clipseek.service.stop import Stop
from clipseek.service.supervise import Supervisor

MOST_OPEN_FILES = 65_536
# What the gateway and all executors import. None of them starts a thread, and docarray comes before Jina (see there).
SHARED_MODULES = ["clipseek.schema", "executors.flow.executor"]
_HEALTH_SECONDS = 20.0  # until the gateway is connected to all executors; a question takes longer than a second
_SWITCH_SECONDS = 3.0  # a job that was interrupted may switch to another model at this moment
# What each process of the Flow gets besides the settings, unless its operator sets it.
PROCESS_ENVIRONMENT = {
    "JINA_OPTOUT_TELEMETRY": "1",
    "JINA_LOG_LEVEL": "CRITICAL",  # the executors log what they refuse or fail in themselves
    "OMP_WAIT_POLICY": "passive",  # threads that wait for others leave the cores to other processes
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's: for one vector its threads wait more than they work
    "PYTHONSAFEPATH": "1",  # otherwise processes look for imports in the current folder, which may belong to anyone
    "PYTHONWARNINGS": "ignore",  # they are about Jina's code, not the user's
}


def serve(
    settings: Settings, when_ready: Callable[[list[Component]], bool], when_stopping: Callable[[], None] = lambda: None
) -> None:
    """Run the Flow until SIGINT or SIGTERM. End this process after it: if that takes long, it is ended (see `Stop`).

    Args:
        settings: exported to the environment, from which `flow.yml` and the executors read them.
        when_ready: called once with the health of each executor; returns whether to keep serving.
        when_stopping: called when the stop begins, to stop together with the Flow what runs beside it.

    Raises:
        ServerNotReady: the port is taken, or an executor does not answer.
        InvalidSetting: this machine lacks the address for the server or for metrics, the server is open to the network
            without a token, or certificate and key cannot be used.
        ModelMismatch: the store was filled by another model than the one that was loaded.

    An executor or gateway that dies or hangs is restarted. If one cannot start, or dies too often, the process exits
    with code 1 and prints the cause on stderr: Jina would wait for it forever.
    """
    for warning in rename_warnings(os.environ):
        say(f"clipseek: {warning}", "yellow")
    check_network(settings, settings.bind)
    check_tls(settings)
    _check_ports(settings)
    settings = with_flow_secret(settings)
    _raise_open_files()
    _export(settings)
    stop = Stop()
    stop.listen()
    with _run_folder(settings) as folder, JobProcess(settings) as runner, running_flow(folder, stop) as flow:
        supervisor = Supervisor(
            flow,
            folder,
            most_restarts=settings.most_restarts,
            ready_seconds=settings.ready_timeout_seconds,
            say=lambda message: say(f"clipseek: {message}"),
            certificate=settings.tls_cert,
        )
        try:
            components = _check_health(settings)
            with serve_metrics(settings, folder / "counts", supervisor.states):
                if when_ready(components):
                    while not stop.wait(POLL_SECONDS):
                        with block_interrupts():
                            supervisor.check_processes()
        finally:
            runner.ask_to_end()
            when_stopping()
            supervisor.close()


def _raise_open_files() -> None:
    """Allow as many open files and connections as the system lets us, up to `MOST_OPEN_FILES`.

    Shells often allow 1024, which as many idle connections of strangers use up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _check_ports(settings: Settings) -> None:
    """Raises: ServerNotReady, InvalidSetting: the server cannot listen, for requests or for metrics."""
    if not is_port_free(settings.bind, settings.port):
        raise ServerNotReady(
            f"Port {settings.port} on {settings.bind} is taken, perhaps by another ClipSeek server: `clipseek doctor` "
            f"shows it. Stop that server, or use another port: clipseek serve --port {free_port(settings.bind)}"
        )
    bind, port = settings.metrics_bind, settings.metrics_port
    if port and not is_port_free(bind, port, variable_of("metrics_bind")):
        raise ServerNotReady(
            f"The metrics port {port} on {bind} is taken. Set {variable_of('metrics_port')} to another, e.g. "
            f"{free_port(bind)}."
        )


def _export(settings: Settings) -> None:
    """Put into the environment what the processes of the Flow read, and say how they are started.

    Not forked from this process, whose threads may hold locks, but from one that has only imported what all of them
    need: so they import it once, and share its memory. On macOS such processes are not safe.
    """
    os.environ.update(settings.to_flow_env())
    for variable, value in PROCESS_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    method = os.environ.setdefault("JINA_MP_START_METHOD", "forkserver" if sys.platform == "linux" else "spawn")
    with contextlib.suppress(RuntimeError):
        multiprocessing.set_start_method(method)
    multiprocessing.set_forkserver_preload(SHARED_MODULES)
    # A child first imports the main module by its spec: let that be docarray without torch.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("clipseek.api.base_document")


@contextlib.contextmanager
def _run_folder(settings: Settings) -> Iterator[Path]:
    """A folder of this run: why executors cannot start, which are down, their temporary files and metrics."""
    with tempfile.TemporaryDirectory(prefix="clipseek-start-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ[START_ERRORS_VARIABLE] = name
        (folder / "tmp").mkdir()
        os.environ["TMPDIR"] = str(folder / "tmp")  # Jina leaves an empty folder for each executor that it starts
        if settings.metrics_port:
            (folder / "counts").mkdir()
            os.environ[SHARED_METRICS_VARIABLE] = str(folder / "counts")
        yield folder


def _list_models(components: list[Component]) -> set[str]:
    return {component.facts["model_id"] for component in components if component.facts.get("model_id")}


def _check_health(settings: Settings) -> list[Component]:
    """Ask each executor for its health. Raises: ServerNotReady: one is silent, or of another version. ModelMismatch."""
    token = service_token(settings.flow_secret)
    with Client(settings.local_host, timeout_seconds=60, token=token, library="") as client:
        until = time.monotonic() + _HEALTH_SECONDS
        components = client.health()
        while not all(component.ok for component in components) and time.monotonic() < until:
            components = client.health()
        until = time.monotonic() + _SWITCH_SECONDS
        while len(_list_models(components)) > 1 and time.monotonic() < until:
            components = client.health()
    silent = [warning for component in components if not component.ok for warning in component.warnings]
    if silent:
        raise ServerNotReady(f"The server started, but not all of it answers: {' '.join(silent)}")
    if misfits := find_misfits((component.name, component.facts) for component in components):
        raise ServerNotReady(f"The processes of the server have versions that do not fit. {' '.join(misfits)}")
    if len(_list_models(components)) <= 1:
        return components
    models = {c.name: c.facts["model_id"] for c in components if c.facts.get("model_id")}
    stored = models.get("indexer", "")
    loaded = next((model for model in models.values() if model != stored), "")
    choice = settings_for(stored, loaded) if stored else "CLIPSEEK_MODEL=NAME"
    listed = "; ".join(f"{name}: {model}" for name, model in models.items())
    advice = advise_to_index_again(stored, loaded) or (
        f"Set {choice} to keep using the store, or set CLIPSEEK_HOME to another folder to index with the other model."
    )
    raise ModelMismatch(f"The executors and the store have different models ({listed}). {advice}")
