"""How long the client takes to start: `python -m benchmarks.client_start [--host ADDRESS]`.

Each row is a process of its own, as a user starts it, from its start to its end: the shortest of some runs, and as a
multiple of what Python itself takes, `python -c pass`. The multiple says more on another machine, or a busy one. With
--host it also searches there, and times the searches of one client: the first one opens the connection.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from clipseek.client import Client

_RUNS, _SEARCHES = 10, 30
_TEXT = "a cup of coffee"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", help="a running server, grpc://HOST:PORT")
    options = parser.parse_args()
    rows = {
        "python -c pass": ["-c", "pass"],
        "import clipseek.client": ["-c", "import clipseek.client"],
        "clipseek --help": ["-m", "clipseek", "--help"],
    }
    if options.host:
        rows["clipseek search"] = ["-m", "clipseek", "search", _TEXT, "--host", options.host]
    print(f"{'':26}{'s':>6}{'times':>8}")
    shortest = [(name, min(_seconds(arguments) for _ in range(_RUNS))) for name, arguments in rows.items()]
    for name, seconds in shortest:
        print(f"{name:26}{seconds:6.3f}{seconds / shortest[0][1]:8.1f}")
    if options.host:
        _time_searches(options.host)


def _seconds(arguments: Sequence[str]) -> float:
    started = time.perf_counter()
    environ = {**os.environ, "COLUMNS": "120"}
    subprocess.run([sys.executable, *arguments], check=True, env=environ, capture_output=True)
    return time.perf_counter() - started


def _time_searches(host: str) -> None:
    times = []
    with Client(host) as client:
        for _ in range(_SEARCHES):
            started = time.perf_counter()
            client.search(_TEXT)
            times.append(1000 * (time.perf_counter() - started))
    print(f"\nsearch: first {times[0]:.0f} ms, then {statistics.median(times[1:]):.1f} ms (median of {_SEARCHES - 1})")


if __name__ == "__main__":
    main()
