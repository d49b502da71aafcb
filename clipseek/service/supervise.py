"""Keeps the processes of a running Flow alive: one that dies is started again, on its own port, the others go on."""

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

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
HEALTHY_SECONDS = 60.0  # without a death, after which the pause is the first one again
PERIOD_SECONDS = 600.0  # in which deaths are counted
_GREETING_SECONDS = 0.2


@dataclass
class Restarts:
    """How long to wait before a process that died is started again, and when to leave it.

    The pause doubles with each death, up to half a minute, and is the first one again after a minute without one.
    """

    most: int
    deaths: deque[float] = field(default_factory=deque)
    pause_seconds: float = FIRST_PAUSE_SECONDS

    def pause_after_death(self, now: float) -> float | None:
        """Seconds to wait; None once there were more than `most` deaths in ten minutes. `now` is a monotonic time."""
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
    """A process of the Flow, as its supervisor knows it."""

    name: str
    pid: int | None
    is_up: bool
    restarts: int


@dataclass
class _Watched:
    """A process of the Flow: Jina's pod, the deployment that it belongs to, and what has become of it."""

    name: str
    pod: Any
    deployment: Any
    restarts: Restarts
    restarted: int = 0  # times
    start_at: float | None = None  # when to start it again; None while it runs
    started_at: float = 0.0
    down_since: float | None = None  # from its death until it answers again
    down_since_text: str = ""  # the same by the clock on the wall

    @property
    def process(self) -> multiprocessing.process.BaseProcess:
        process: multiprocessing.process.BaseProcess = self.pod.worker
        return process

    def end(self) -> None:
        """Have it end, if it has not, and let Jina, which closes all it ever began, not wait for a word from it."""
        self.process.kill()
        self.pod.is_shutdown.set()


class Supervisor:
    """Looks after the processes of a started Flow. All times are of the monotonic clock.

    Args:
        flow: Jina's, started.
        notes: folder where executors leave why they cannot start, and are told which of them are down.
        most_restarts: deaths of one process in ten minutes that are put up with.
        ready_seconds: how long a process may take to start.
        say: takes a sentence for the operator.
    """

    def __init__(
        self,
        flow: Any,
        notes: Path,
        *,
        most_restarts: int,
        ready_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._notes, self._ready_seconds, self._say = notes, ready_seconds, say
        self._watched = [_Watched(*each, Restarts(most_restarts)) for each in _pods(flow)]

    def look(self) -> None:
        """Look at every process once, and start again what is to be started.

        Raises:
            ServerNotReady: one dies too often.
        """
        now = time.monotonic()
        for each in self._watched:
            if each.start_at is not None:
                if now >= each.start_at:
                    self._start(each)
            elif not each.process.is_alive():
                self._take_note(each, now)
            elif each.down_since is not None:
                self._look_at_start(each, now)

    def states(self) -> list[ProcessState]:
        """What is known of every process."""
        return [
            ProcessState(each.name, each.process.pid, each.down_since is None, each.restarted) for each in self._watched
        ]

    def leave_the_dead(self) -> None:
        """End what does not answer: Jina's own stop would wait for it."""
        for each in self._watched:
            if each.down_since is not None or not each.process.is_alive():
                each.end()

    def _take_note(self, each: _Watched, now: float) -> None:
        why = self._cause(each.process)
        pause = each.restarts.pause_after_death(now)
        if pause is None:
            raise ServerNotReady(
                f"{each.name} died {len(each.restarts.deaths)} times in {PERIOD_SECONDS / 60:.0f} minutes, so the "
                f"server stops. The last time: {why} Nothing that was acknowledged is lost: once the cause is gone, "
                f"start the server again and repeat what was interrupted."
            )
        self._say(f"{each.name} died: {why} It is started again in {pause:g} s.")
        if each.down_since is None:
            each.down_since, each.down_since_text = now, f"down since {datetime.now(UTC):%H:%M:%S} UTC"
        (self._notes / f"{each.name}{DOWN_SUFFIX}").write_text(f"{each.down_since_text}: {why}", encoding="utf-8")
        each.start_at = now + pause

    def _start(self, each: _Watched) -> None:
        from jina.orchestrate.pods.factory import PodFactory

        each.end()
        each.restarted += 1
        each.pod = PodFactory.build_pod(each.pod.args)
        each.deployment.enter_context(each.pod)  # the process runs; whether it answers, `look` finds out
        each.start_at = None
        each.started_at = time.monotonic()

    def _look_at_start(self, each: _Watched, now: float) -> None:
        if _answers(each.pod.args):
            self._say(f"{each.name} is back after {now - (each.down_since or now):.1f} s.")
            each.down_since = None
            (self._notes / f"{each.name}{DOWN_SUFFIX}").unlink()
        elif now - each.started_at > self._ready_seconds:
            each.process.kill()

    def _cause(self, process: multiprocessing.process.BaseProcess) -> str:
        told = self._notes / f"{process.pid}.txt"
        if told.exists():
            return told.read_text(encoding="utf-8").partition("\n")[2]
        return f"exit code {process.exitcode}."


def _answers(arguments: Any) -> bool:
    """Whether a pod with these arguments listens, at its own address: executors have another than the gateway."""
    host = arguments.host if isinstance(arguments.host, str) else arguments.host[0]
    try:
        with socket.create_connection((local_address(host), arguments.port[0]), _GREETING_SECONDS):
            return True
    except OSError:
        return False


def _pods(flow: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, pod and deployment of every process that Jina started for a Flow."""
    for name, deployment in flow:
        if deployment.head_pod:
            yield f"{name}-head", deployment.head_pod, deployment
        for shard, replicas in deployment.shards.items():
            of_shard = f"{name}-shard-{shard}" if len(deployment.shards) > 1 else name
            for pod in replicas._pods:
                replica = f"-replica-{pod.args.replica_id}" if len(replicas._pods) > 1 else ""
                yield of_shard + replica, pod, deployment
