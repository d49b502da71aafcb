"""Jina's Flow as a context: it starts or fails with a cause, and stops in time."""

import contextlib
import gc
import io
import math
import multiprocessing
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from importlib import resources
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from clipseek.machine.talk import say
from clipseek.service.stop import STOP_SECONDS, Stop, end_processes, exit_with_all

POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 20.0  # of a start, until a line tells what it waits for


def flow_file() -> Path:
    """The `flow.yml` to run: the one beside the package in a clone, else the one installed with it."""
    beside = Path(__file__).resolve().parents[2] / "flow.yml"
    return beside if beside.exists() else Path(str(resources.files("clipseek") / "flow.yml"))


@contextlib.contextmanager
def running_flow(start_errors: Path, stop: Stop) -> Iterator[Any]:
    """Start Jina's Flow, and end its processes at the end. If it cannot start, print why and exit with code 1.

    Executors write into the folder `start_errors` why they cannot start. During the start, `stop` ends the process.
    """
    _start_fork_server()
    flow = _read_flow()
    started = threading.Event()
    with contextlib.redirect_stdout(io.StringIO()), block_interrupts():
        watch = threading.Thread(
            target=_watch_start, args=(start_errors, started, stop), name="watch-start", daemon=True
        )
        watch.start()
        try:
            flow.start()
        except Exception as error:  # noqa: BLE001 (whatever it is, the start has failed)
            _fail_start(_cause(start_errors) or repr(error))
    started.set()
    try:
        yield flow
    finally:
        stop.ask()
        if late := end_processes(stop.deadline):  # Jina's own `close` waits for one after the other
            say(f"clipseek: Killed, because they did not stop in {STOP_SECONDS:g} s: {', '.join(late)}.")
        gc.freeze()  # this process ends now, without looking through all its objects once more: 0.5 s


def _start_fork_server() -> None:
    """Have what the processes share imported while this process reads the Flow."""
    if multiprocessing.get_start_method() == "forkserver":
        try:
            with block_interrupts():
                forkserver.ensure_running()
        except OSError:  # the path of its socket is too long
            multiprocessing.set_start_method("spawn", force=True)


def _read_flow() -> Any:
    with warnings.catch_warnings(), _own_interrupt():
        warnings.simplefilter("ignore")
        import clipseek.schema  # before Jina: it keeps torch out of docarray

        # isort: split
        import jina.helper
        from jina import Flow

        # A spawned process reads this before its task, and so imports that module before Jina, too.
        multiprocessing.current_process()._config["imports"] = clipseek.schema.BaseDoc  # type: ignore[attr-defined]

        warn = jina.helper.warn_unknown_args
        # Jina 3.34 builds all its parsers before it sees that nothing is unknown: half a second.
        jina.helper.warn_unknown_args = lambda unknown: warn(unknown) if unknown else None
        return Flow.load_config(str(flow_file()))


@contextlib.contextmanager
def _own_interrupt() -> Iterator[None]:
    """Keep what this process does on SIGINT: Jina sets Python's own way as it is imported."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def block_interrupts() -> Iterator[None]:
    """Block SIGINT in this thread, and so in the processes it starts.

    Ctrl-C reaches all processes of a terminal, but this process alone stops the others: `_watch_start` sees that the
    signal is pending.
    """
    resource_tracker.ensure_running()  # starting it unblocks SIGINT, so it must run before
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _watch_start(start_errors: Path, started: threading.Event, stop: Stop) -> None:
    """Until the Flow has started: exit if asked to stop, or if an executor fails. Jina would wait for it forever."""
    children: dict[str, BaseProcess] = {}
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    while not started.wait(POLL_SECONDS):
        if time.monotonic() > patient_until:
            say("Models are loading. The first time takes longer: they are built or downloaded.", style="dim")
            patient_until = math.inf
        if stop.is_asked() or signal.SIGINT in signal.sigpending():
            exit_with_all("Stopped.", exit_code=0)  # nothing was accepted yet that could be lost
        if cause := _cause(start_errors):
            _fail_start(cause)
        children |= {process.name: process for process in multiprocessing.active_children()}
        dead = [process for process in children.values() if process.exitcode is not None]
        if dead and not started.wait(POLL_SECONDS):  # it may still be writing the cause
            codes = ", ".join(f"{process.name} (exit code {process.exitcode})" for process in dead)
            unknown = f"An executor stopped at once: {codes}. Start the server again; JINA_LOG_LEVEL=ERROR shows more."
            _fail_start(_cause(start_errors) or unknown)


def _cause(start_errors: Path) -> str | None:
    for file in sorted(start_errors.glob("*.txt")):
        _, _, message = file.read_text(encoding="utf-8").partition("\n")
        return message
    return None


def _fail_start(cause: str) -> NoReturn:
    exit_with_all(f"clipseek: The server cannot start. {cause}", exit_code=1, style="red")
