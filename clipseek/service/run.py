"""Runs `flow.yml`: starts it, watches it, stops it cleanly."""

import contextlib
import importlib.util
import io
import logging
import math
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from clipseek.api.documents import Component
from clipseek.api.errors import ModelMismatch, ServerNotReady
from clipseek.api.model_ids import settings_for
from clipseek.cli.terminal import say
from clipseek.client import Client
from clipseek.config.access import check_network, with_flow_secret
from clipseek.config.settings import SHARED_METRICS_VARIABLE, START_ERRORS_VARIABLE, Settings, variable_of
from clipseek.config.tls import check_tls
from clipseek.machine.ports import free_port, is_port_free
from clipseek.service.metrics_server import metrics_served
from clipseek.service.supervise import Supervisor

logger = logging.getLogger(__name__)

# What each process of the Flow is told besides the settings, where its operator says nothing else.
PROCESS_ENVIRONMENT = {
    "JINA_OPTOUT_TELEMETRY": "1",
    "JINA_LOG_LEVEL": "CRITICAL",  # the executors log what they refuse, or fail in, themselves
    "OMP_WAIT_POLICY": "passive",  # threads that wait for others of a computation leave the cores to other processes
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's: for one vector its threads wait more than they work
    "PYTHONSAFEPATH": "1",  # else what is started looks for its imports in the folder where it is, whosever that is
    "PYTHONWARNINGS": "ignore",  # what they warn of is jina's, not the user's
}
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 20.0  # with a start, until a word is said
_STOP_SECONDS = 20.0  # executors finish the span at hand; after this the process ends whatever they do
_STOP_SECONDS_EACH = 4.0  # of many processes, which are closed one after the other


def flow_file() -> Path:
    """The `flow.yml` that is run: the one beside the package in a checkout, else the one installed with it."""
    beside = Path(__file__).resolve().parents[2] / "flow.yml"
    return beside if beside.exists() else Path(str(resources.files("clipseek") / "flow.yml"))


def serve(settings: Settings, when_ready: Callable[[list[Component]], bool]) -> None:
    """Run the Flow until SIGINT or SIGTERM.

    Args:
        settings: exported to the environment, from which `flow.yml` and the executors read them.
        when_ready: called once with what each executor says of itself; returns whether to go on serving.

    Raises:
        ServerNotReady: the port is taken.
        InvalidSetting: there is no such address to listen on, or none for metrics, it is open to the network and there
            is no token, or certificate and key cannot be used.
        ModelMismatch: the store was filled by another model than the one that was loaded.

    An executor, or the gateway, that dies is started again. When one cannot start, or dies too often, the process ends
    with exit code 1 and the cause on stderr: Jina would wait for it for ever.
    """
    check_network(settings, settings.bind)
    check_tls(settings)
    settings = with_flow_secret(settings)
    if not is_port_free(settings.bind, settings.port):
        raise ServerNotReady(
            f"Port {settings.port} on {settings.bind} is taken, perhaps by another ClipSeek server (`clipseek doctor` "
            f"tells). Stop that one, or choose another port: clipseek serve --port {free_port(settings.bind)}"
        )
    if settings.metrics_port and not is_port_free(
        settings.metrics_bind, settings.metrics_port, variable_of("metrics_bind")
    ):
        raise ServerNotReady(
            f"Port {settings.metrics_port} on {settings.metrics_bind}, for metrics, is taken. Choose another with "
            f"{variable_of('metrics_port')}, e.g. {free_port(settings.metrics_bind)}."
        )
    _export(settings)
    stop = _stop_event()
    with tempfile.TemporaryDirectory(prefix="clipseek-start-", ignore_cleanup_errors=True) as folder:
        os.environ[START_ERRORS_VARIABLE] = folder
        scratch = Path(folder) / "tmp"  # goes with the rest: Jina leaves an empty folder for each executor it starts
        scratch.mkdir()
        os.environ["TMPDIR"] = str(scratch)
        counts = Path(folder) / "counts"
        if settings.metrics_port:
            counts.mkdir()
            os.environ[SHARED_METRICS_VARIABLE] = str(counts)
        with _running_flow(Path(folder), stop) as flow:
            supervisor = Supervisor(
                flow,
                Path(folder),
                most_restarts=settings.most_restarts,
                ready_seconds=settings.ready_timeout_seconds,
                say=_say,
            )
            try:
                components = _checked_health(settings)
                with metrics_served(settings, counts, supervisor.states):
                    go_on = when_ready(components)
                    while go_on and not stop.wait(_POLL_SECONDS):
                        with _children_deaf_to_interrupts():
                            supervisor.look()
            finally:
                supervisor.leave_the_dead()


def _export(settings: Settings) -> None:
    os.environ.update(settings.to_flow_env())
    os.environ.setdefault("JINA_MP_START_METHOD", "spawn")  # under fork, torch hangs in the children
    for variable, value in PROCESS_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    with contextlib.suppress(RuntimeError):
        multiprocessing.set_start_method("spawn")
    # A spawned child first imports what it takes for the main module: let that be docarray without torch.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("clipseek.api.base_document")


def _stop_event() -> threading.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


@contextlib.contextmanager
def _running_flow(start_errors: Path, stop: threading.Event) -> Iterator[Any]:
    """Jina's Flow, from its start to its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jina import Flow

        flow = Flow.load_config(str(flow_file()))
    started = threading.Event()
    with contextlib.redirect_stdout(io.StringIO()), _children_deaf_to_interrupts():
        threading.Thread(
            target=_watch_start, args=(start_errors, started, stop), name="watch-start", daemon=True
        ).start()
        try:
            flow.start()
        except Exception as error:  # noqa: BLE001 (whatever it is, the start has failed)
            _give_up(f"The server cannot start. {_cause(start_errors) or repr(error)}")
    started.set()
    try:
        yield flow
    finally:
        seconds = max(_STOP_SECONDS, _STOP_SECONDS_EACH * len(multiprocessing.active_children()))
        threading.Thread(target=_end_late, args=(seconds,), name="end-late", daemon=True).start()
        flow.close()


@contextlib.contextmanager
def _children_deaf_to_interrupts() -> Iterator[None]:
    """Block SIGINT in this thread, and so in the processes it starts.

    Ctrl-C reaches a terminal's whole group, but it is this process that stops the others: `_watch_start` sees
    the signal pending.
    """
    resource_tracker.ensure_running()  # starting it unblocks SIGINT, so let it be there before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch_start(start_errors: Path, started: threading.Event, stop: threading.Event) -> None:
    """End the process when it is told to stop before it has started, or, with the cause, when an executor fails to
    start: Jina's gateway would wait for it for ever."""
    begun: dict[str, multiprocessing.process.BaseProcess] = {}
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    while not started.wait(_POLL_SECONDS):
        if time.monotonic() > patient_until:
            say("Models are loading. The first time, they are built or downloaded, which takes longer.", style="dim")
            patient_until = math.inf
        if stop.is_set() or signal.SIGINT in signal.sigpending():
            _end("Stopped.", exit_code=0)
        cause = _cause(start_errors)
        if cause:
            _give_up(f"The server cannot start. {cause}")
        begun |= {process.name: process for process in multiprocessing.active_children()}
        dead = [process for process in begun.values() if process.exitcode is not None]
        if dead and not started.wait(_POLL_SECONDS):  # leave it the time to have written why
            codes = ", ".join(f"{process.name} (exit code {process.exitcode})" for process in dead)
            unknown = f"An executor ended at once: {codes}. Start the server again; JINA_LOG_LEVEL=ERROR tells more."
            _give_up(f"The server cannot start. {_cause(start_errors) or unknown}")


def _cause(start_errors: Path) -> str | None:
    for file in sorted(start_errors.glob("*.txt")):
        _, _, message = file.read_text(encoding="utf-8").partition("\n")
        return message
    return None


def _say(message: str) -> None:
    say(f"clipseek: {message}")


def _give_up(message: str) -> NoReturn:
    """End at once because of what the message says."""
    _end(f"clipseek: {message}", exit_code=1, style="red")


def _end(message: str, exit_code: int, style: str = "") -> NoReturn:
    """End at once, and the children with this process, also those that do not watch it yet."""
    for child in multiprocessing.active_children():
        child.terminate()
    say(message, style)
    _exit(exit_code)


def _end_late(seconds: float) -> None:
    time.sleep(seconds)
    _say("an executor did not stop in time; it is ended.")
    _exit(1)


def _exit(code: int) -> NoReturn:
    """End this process now, but not without its folder, which nobody else would remove."""
    shutil.rmtree(os.environ.get(START_ERRORS_VARIABLE, ""), ignore_errors=True)
    os._exit(code)


def _checked_health(settings: Settings) -> list[Component]:
    """What the executors say of themselves, once it is sure that they fit together."""
    with Client(settings.local_host, timeout_seconds=60, token=settings.flow_secret, library="") as client:
        components = client.health()
    silent = [warning for component in components if not component.ok for warning in component.warnings]
    if silent:
        raise ServerNotReady(f"The server has started, but not all of it answers: {' '.join(silent)}")
    models = {c.name: c.facts["model_id"] for c in components if c.facts.get("model_id")}
    if len(set(models.values())) > 1:
        told = "; ".join(f"{name}: {model}" for name, model in models.items())
        stored = models.get("indexer", "")
        runs = next((model for model in models.values() if model != stored), "")
        back = settings_for(stored, runs) if stored else "CLIPSEEK_MODEL=NAME"
        raise ModelMismatch(
            f"The executors and the store disagree about the model ({told}). Set {back} to go on with what is stored, "
            f"or CLIPSEEK_HOME to another folder to begin anew with the other model."
        )
    return components
