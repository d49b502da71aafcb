"""Keeps the processes of a running Flow alive: one that dies or hangs restarts on its port, and the others go on."""

import multiprocessing
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipseek.api.errors import ServerNotReady
from clipseek.config.addresses import local_address
from clipseek.config.settings import DOWN_SUFFIX
from clipseek.service.probe import Probe

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
HEALTHY_SECONDS = 60.0  # without a death; then the next pause is the first one again
GATEWAY = "gateway"  # Jina's name for it
PERIOD_SECONDS = 600.0  # in which deaths are counted
# A process that does not answer for so long hangs. A busy one answers: its threads do the work, and its event loop is
# held up most by reading a large request: 0.2 s for 60 MB, on two shared cores.
SILENT_SECONDS = 20.0
_CONNECT_SECONDS = 0.2
_END_SECONDS = 1.0  # of a killed process; until it has ended, it holds its port


@dataclass
class Restarts:
    """How long to wait before restarting a process that died, and when to give up.

    The pause doubles with each death, up to half a minute. After a minute without a death it is the first one again.
    """

    most: int
    deaths: deque[float] = field(default_factory=deque)
    pause_seconds: float = FIRST_PAUSE_SECONDS

    def pause_after_death(self, now: float) -> float | None:
        """Seconds to wait; None after more than `most` deaths in ten minutes. `now` is a monotonic time."""
        if self.deaths and now - self.deaths[-1] > HEALTHY_SECONDS:
            self.pause_seconds = FIRST_PAUSE_SECONDS
        self.deaths.append(now)
        while now - self.deaths[0] > PERIOD_SECONDS:
            self.deaths.popleft()
        if len(self.deaths) > self.most:
            return None
        pause, self.pause_seconds = self.pause_seconds, min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)
        return pause


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor knows of a process of the Flow."""

    name: str
    pid: int | None
    is_up: bool
    restarts: int


@dataclass
class _Watched:
    name: str
    pod: Any
    probe: Probe
    restarts: Restarts
    restart_count: int = 0
    start_at: float | None = None  # when to restart it; None while it runs
    started_at: float = 0.0
    down_since: float | None = None  # from its death until it answers again
    down_since_text: str = ""  # the same as wall-clock time, for people

    @property
    def process(self) -> multiprocessing.process.BaseProcess:
        process: multiprocessing.process.BaseProcess = self.pod.worker
        return process


class Supervisor:
    """Looks after the processes of a started Flow. All times are monotonic.

    Args:
        flow: Jina's, started.
        notes: folder in which executors write why they cannot start, and read which of them are down.
        most_restarts: crashes allowed per process in ten minutes.
        ready_seconds: how long a process may take to start.
        say: takes a sentence for the operator.
        certificate: PEM file with the gateway's certificate, if it speaks TLS.
        silent_seconds: a process that does not answer for so long is killed.
    """

    def __init__(
        self,
        flow: Any,
        notes: Path,
        *,
        most_restarts: int,
        ready_seconds: float,
        say: Callable[[str], None],
        certificate: str = "",
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self._notes, self._ready_seconds, self._say, self._silent_seconds = notes, ready_seconds, say, silent_seconds
        self._watched = []
        for name, pod in _pods(flow):
            probe = Probe(*_address(pod.args), certificate if name == GATEWAY else "", seconds=silent_seconds / 4)
            self._watched.append(_Watched(name, pod, probe, Restarts(most_restarts)))

    def check_processes(self) -> None:
        """Check every process once, and restart those whose pause is over.

        Raises: ServerNotReady: one dies too often.
        """
        now = time.monotonic()
        for watched in self._watched:
            if watched.start_at is not None:
                if now >= watched.start_at:
                    self._restart(watched)
            elif not watched.process.is_alive():
                cause = self._cause(watched.process)
                pause = watched.restarts.pause_after_death(now)
                self._note_death(watched, now, f"died: {cause}", cause, pause)
            elif watched.down_since is not None:
                self._check_restart(watched, now)
            elif watched.probe.silent_seconds >= self._silent_seconds:
                watched.process.kill()
                watched.process.join(_END_SECONDS)
                cause = f"it did not answer for {self._silent_seconds:g} s."
                # Not counted as a death: a flood from outside may silence the gateway, but must not end the service.
                event = f"has not answered for {self._silent_seconds:g} s and is killed."
                self._note_death(watched, now, event, cause, FIRST_PAUSE_SECONDS)

    def states(self) -> list[ProcessState]:
        """A process counts as up while it answers."""
        return [
            ProcessState(
                watched.name,
                watched.process.pid,
                watched.down_since is None and not watched.probe.silent_seconds,
                watched.restart_count,
            )
            for watched in self._watched
        ]

    def close(self) -> None:
        """Ask no more, and kill the processes that are down: those that are starting would not hear a wish to end."""
        for watched in self._watched:
            watched.probe.close()
            if watched.down_since is not None:
                watched.process.kill()

    def _note_death(self, watched: _Watched, now: float, event: str, cause: str, pause: float | None) -> None:
        if pause is None:
            raise ServerNotReady(
                f"{watched.name} died {len(watched.restarts.deaths)} times in {PERIOD_SECONDS / 60:.0f} minutes, so "
                f"the server stops. The last time: {cause} No acknowledged data is lost: fix the cause, start the "
                f"server again, and repeat what was interrupted."
            )
        self._say(f"{watched.name} {event} It restarts in {pause:g} s.")
        if watched.down_since is None:
            watched.down_since, watched.down_since_text = now, f"down since {datetime.now(UTC):%H:%M:%S} UTC"
        self._down_note(watched).write_text(f"{watched.down_since_text}: {cause}", encoding="utf-8")
        watched.start_at = now + pause

    def _restart(self, watched: _Watched) -> None:
        from jina.orchestrate.pods.factory import PodFactory

        pod, now = PodFactory.build_pod(watched.pod.args), time.monotonic()
        try:
            pod.start()  # `check_processes` sees when it answers
        except OSError as error:  # the system has no room for a process
            pause = watched.restarts.pause_after_death(now)
            self._note_death(watched, now, f"cannot be started: {error}.", f"{error}.", pause)
        else:
            watched.restart_count += 1
            watched.pod, watched.start_at, watched.started_at = pod, None, now

    def _check_restart(self, watched: _Watched, now: float) -> None:
        if _listens(watched.pod.args):
            self._say(f"{watched.name} is back after {now - (watched.down_since or now):.1f} s.")
            watched.down_since = None
            watched.probe.reset()
            self._down_note(watched).unlink()
        elif now - watched.started_at > self._ready_seconds:
            watched.process.kill()

    def _down_note(self, watched: _Watched) -> Path:
        return self._notes / f"{watched.name}{DOWN_SUFFIX}"

    def _cause(self, process: multiprocessing.process.BaseProcess) -> str:
        note = self._notes / f"{process.pid}.txt"
        if note.exists():
            return note.read_text(encoding="utf-8").partition("\n")[2]
        return f"exit code {process.exitcode}."


def _address(arguments: Any) -> tuple[str, int]:
    """Where this machine reaches a pod with these arguments. Executors have another address than the gateway."""
    host = arguments.host if isinstance(arguments.host, str) else arguments.host[0]
    return local_address(host), arguments.port[0]


def _listens(arguments: Any) -> bool:
    try:
        with socket.create_connection(_address(arguments), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _pods(flow: Any) -> Iterator[tuple[str, Any]]:
    """Name and pod of every process that Jina started for a Flow."""
    for name, deployment in flow:
        for replicas in deployment.shards.values():  # Jina's word for the one group of replicas that ours have
            for pod in replicas._pods:
                replica = f"-replica-{pod.args.replica_id}" if len(replicas._pods) > 1 else ""
                yield name + replica, pod
