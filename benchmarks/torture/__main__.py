"""All suites, one after the other, in less than half an hour: `make torture`, `python -m benchmarks.torture`.

Prints a table: how much was tried, how much of it survived, what was acknowledged and then lost or doubled, and the
longest that anything took. Exit code 1 if anything did not survive. The suites alone can do more: see docs/faults.md,
docs/limits.md and docs/security.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.torture import call_fuzz, crash, load, request_fuzz, video_fuzz
from benchmarks.torture.service import Service
from clipseek.config.access import AccessFile

# At --scale 1: some 25 minutes on two cores.
_CRASH_MINUTES, _LOAD_MINUTES, _LOAD_CLIENTS = 8.0, 6.0, 50
_VIDEOS, _REQUESTS, _CALLS = 1500, 1500, 3000
_START_SECONDS = 180.0


@dataclass(frozen=True)
class Row:
    """What came of one suite."""

    tried: int
    survived: int
    lost: int
    doubled: int
    slowest_seconds: float


def killed(folder: Path, scale: float) -> Row:
    """Processes killed at random moments, under users at work."""
    report = crash.torture(folder, seed=round(time.time()), kills=10_000, minutes=_CRASH_MINUTES * scale)
    report.show()
    outcomes = report.outcomes.values()
    return Row(
        tried=sum(each.tried for each in outcomes),
        survived=sum(each.survived for each in outcomes) if report.is_clean else 0,
        lost=sum(each.lost for each in outcomes),
        doubled=sum(each.doubled + each.returned for each in outcomes),
        slowest_seconds=max((each.slowest_seconds for each in outcomes), default=0.0),
    )


def damaged_videos(_: Path, scale: float) -> Row:
    """Mutated videos through the decoders, nine jobs each."""
    found = video_fuzz.fuzz(round(_VIDEOS * scale), first=round(time.time()))
    return _fuzzed(found.counts.total(), found.failures, found.slowest_seconds)


def hostile_requests(folder: Path, scale: float) -> Row:
    """Made-up documents to every endpoint of a real server."""
    service = Service(folder)
    service.start()
    service.wait_until_ready(_START_SECONDS)
    with service.client() as client:
        client.add_samples()
        found = request_fuzz.fuzz(client, round(_REQUESTS * scale), first=round(time.time()))
    service.stop()
    return _fuzzed(found.counts.total(), found.failures, found.slowest_seconds)


def hostile_calls(folder: Path, scale: float) -> Row:
    """Raw calls with any header to every port of the service, beside an honest caller."""
    service = Service(folder)
    access = AccessFile(service.settings.home)
    honest, hostile = (access.add(name, (name,)) for name in ("alice", "mallory"))
    service.start()
    service.wait_until_ready(_START_SECONDS, honest)
    target = call_fuzz.Target(service.settings.port, folder, service.settings.home, service.processes())
    with service.client(honest) as client:
        found = call_fuzz.fuzz_calls(target, hostile, client, count=round(_CALLS * scale), first=round(time.time()))
    service.stop()
    return _fuzzed(found.counts.total(), found.failures, found.slowest_seconds)


def many_callers(folder: Path, scale: float) -> Row:
    """Fifty callers at once; refused by name counts as survived, memory, handles or files that grow as a failure."""
    record = load.load(folder, _LOAD_CLIENTS, _LOAD_MINUTES * scale, requests=10**9)
    is_well = load.show(record)
    slowest = max((max(seconds, default=0.0) for seconds in record.seconds.values()), default=0.0)
    return Row(record.tried, record.tried - len(record.faults) if is_well else 0, 0, 0, slowest)


def _fuzzed(tried: int, failures: list[str], slowest_seconds: float) -> Row:
    print(*failures, sep="\n", file=sys.stderr)
    return Row(tried, tried - len(failures), 0, 0, slowest_seconds)


SUITES: dict[str, Callable[[Path, float], Row]] = {
    "processes killed": killed,
    "damaged videos": damaged_videos,
    "hostile requests": hostile_requests,
    "hostile calls": hostile_calls,
    "many callers": many_callers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times as much of everything (default: 1)")
    parser.add_argument("--suite", choices=SUITES, help="run this one alone")
    options = parser.parse_args()
    begun, rows = time.monotonic(), {}
    for name, suite in SUITES.items():
        if options.suite not in (None, name):
            continue
        print(f"\n== {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="clipseek-torture-") as folder:
            rows[name] = suite(Path(folder), options.scale)
    print(f"\n{'':18}{'tried':>9}{'survived':>10}{'lost':>7}{'doubled':>9}{'slowest':>10}")
    for name, row in rows.items():
        print(f"{name:18}{row.tried:9d}{row.survived:10d}{row.lost:7d}{row.doubled:9d}{row.slowest_seconds:8.1f} s")
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes")
    sys.exit(any(row.survived < row.tried or row.lost or row.doubled for row in rows.values()))


if __name__ == "__main__":
    main()
