"""The processes of a running service."""

import contextlib

import psutil

_FORK_SERVER = "multiprocessing.forkserver"


def flow_processes(server: psutil.Process) -> list[psutil.Process]:
    """The executors and the gateway of a `clipseek serve`, in the order in which they were started."""
    children = server.children()
    for child in list(children):
        with contextlib.suppress(psutil.NoSuchProcess):
            if _is_started_by_python(child, _FORK_SERVER):
                children += child.children()
                children.remove(child)
    found = [child for child in children if _is_started_by_python(child, "spawn_main", _FORK_SERVER)]
    return sorted(found, key=lambda child: child.create_time())


def _is_started_by_python(process: psutil.Process, *marks: str) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return any(mark in " ".join(process.cmdline()) for mark in marks)
    return False
