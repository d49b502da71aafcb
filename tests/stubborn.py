"""A service whose processes do not end when they are asked to: `python -m tests.stubborn FILE`.

It starts and stops its processes as `clipseek serve` does. Once they run, FILE gets the numbers of all, by name.
"""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from clipseek.config.settings import START_ERRORS_VARIABLE
from clipseek.service.stop import STOP_SECONDS, Stop, end_processes, end_with_flow
from executors.flow.lifetime import end_with_parent

NICE, STUCK, STOPPED, WITH_CHILD, BROWSER = "nice", "stuck", "stopped", "with-child", "browser"
BESIDE = "beside"  # as the page: not of multiprocessing, and it ends with its standard input
PAUSE = [sys.executable, "-c", "import signal; signal.pause()"]


def finish_and_end(done: Path, ready) -> None:
    """Finish its work when it is asked to end, which takes a second."""
    end_with_parent()

    def finish(*_: object) -> None:
        time.sleep(1.0)
        done.touch()
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    ready.send(())
    while True:
        time.sleep(60)


def hold_the_interpreter(ready) -> None:
    """Match a pattern that takes years, in C: no other thread runs, and none of what an event loop does on a signal."""
    end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: None)
    ready.send(())
    re.match(r"(a+)+$", "a" * 60 + "b")


def stop_itself(ready) -> None:
    end_with_parent()
    ready.send(())
    os.kill(os.getpid(), signal.SIGSTOP)


def start_a_child(ready) -> None:
    """Start a process that nothing but a signal ends, and ignore the wish to end."""
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(PAUSE)
    ready.send([child.pid])
    child.wait()


def main(told: Path) -> None:
    os.environ[START_ERRORS_VARIABLE] = str(told.parent / "run")
    stop = Stop()
    stop.listen()
    works = {NICE: (finish_and_end, told.parent / "done"), STUCK: (hold_the_interpreter,), STOPPED: (stop_itself,)}
    works[WITH_CHILD] = (start_a_child,)
    read = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    beside = subprocess.Popen(read, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    end_with_flow(BESIDE, beside)
    pids, children = {BROWSER: subprocess.Popen(PAUSE, stdout=subprocess.DEVNULL).pid, BESIDE: beside.pid}, {}
    context = multiprocessing.get_context("spawn")
    for name, (work, *arguments) in works.items():
        ours, theirs = context.Pipe(duplex=False)
        children[name] = context.Process(target=work, args=(*arguments, theirs), name=name)
        children[name].start()
        pids |= {name: children[name].pid} | {f"{name}/{n}": pid for n, pid in enumerate(ours.recv())}
    while psutil.Process(pids[STOPPED]).status() != psutil.STATUS_STOPPED:
        time.sleep(0.05)
    told.write_text(json.dumps(pids), encoding="utf-8")
    print("ready", flush=True)
    while not stop.wait(1.0):
        pass
    late = end_processes(stop.deadline)
    print(f"after {STOP_SECONDS:g} s: {' '.join(sorted(late))}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
