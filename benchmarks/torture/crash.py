"""SIGKILL of an executor, of the gateway or of everything, at random moments, under users at work.

`python -m benchmarks.torture.crash --minutes 20` kills as often as fits, `--kills 100` a hundred times. After each
kill: does the service come back, is everything there exactly once that was acknowledged, is nothing back that was
deleted, was the interrupted work finished, is `clipseek doctor --check` clean? Prints a table; exit code 1 if not.
"""

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.torture.library import Ledger, User, audit
from benchmarks.torture.service import Service, make_videos
from clipseek.upkeep.doctor import check_store

logger = logging.getLogger(__name__)

_USERS, _VIDEOS_OF_EACH = 3, 4
_EXACT_FRAMES = 250  # of the thousand or so that all videos have: the kind of the index changes again and again
_EXCHANGED = "answers from now on"  # what the indexer logs of that
_MOST_SECONDS_BACK = 180.0
_MOST_SECONDS_OF_WORK = 240.0
_KINDS = {"one process": 6, "two processes": 1, "everything": 2, "while stopping": 1}  # each so often in ten


@dataclass
class Outcome:
    """What came of the kills of one kind."""

    tried: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    returned: int = 0
    slowest_seconds: float = 0.0  # until all executors answered again


@dataclass
class Report:
    outcomes: dict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))
    ledger: Ledger = field(default_factory=Ledger)
    faults: list[str] = field(default_factory=list)
    exchanges: int = 0  # of the index for one of the other kind

    @property
    def is_clean(self) -> bool:
        return not self.faults and not self.ledger.errors

    def show(self) -> None:
        columns = ("tried", "survived", "lost", "doubled", "returned")
        print(f"{'killed':18}" + "".join(f"{name:>10}" for name in columns) + f"{'slowest back':>14}")
        for kind, outcome in sorted(self.outcomes.items()):
            numbers = "".join(f"{getattr(outcome, name):>10}" for name in columns)
            print(f"{kind:18}{numbers}{outcome.slowest_seconds:>12.1f} s")
        print(f"\n{self.ledger.acknowledged} requests acknowledged, {self.ledger.repeated} repeated by their users")
        print(f"{self.exchanges} times another kind of index took over")
        for fault in (*self.faults, *self.ledger.errors):
            print(f"FAULT: {fault}")


def torture(folder: Path, seed: int, kills: int, minutes: float, *, is_sharing: bool = False) -> Report:
    """Kill `kills` times, or for so many minutes, whichever ends first; `is_sharing`: see `Service`."""
    dice = random.Random(seed)
    service, report = Service(folder, is_sharing=is_sharing), Report()
    service.settings = replace(service.settings, exact_frames=_EXACT_FRAMES, log_level="INFO")
    videos = make_videos(folder, _USERS * _VIDEOS_OF_EACH, seed)
    service.start()
    service.wait_until_ready(_MOST_SECONDS_BACK)
    with service.client() as client:
        users = [User(client, videos[i::_USERS], report.ledger, seed + i) for i in range(_USERS)]
        for user in users:
            user.start()
        deadline = time.monotonic() + 60 * minutes
        for number in range(kills):
            if time.monotonic() > deadline or not report.is_clean:
                break
            time.sleep(dice.uniform(0.0, 5.0))
            _kill_once(service, users, report, dice)
            logger.info("%d killed, %d requests acknowledged", number + 1, report.ledger.acknowledged)
        for user in users:
            user.rest(_MOST_SECONDS_OF_WORK)
            user.end()
    service.stop()
    report.exchanges = service.log.read_text(encoding="utf-8", errors="replace").count(_EXCHANGED)
    report.faults += [f"after the last stop: {row}" for row in _findings(service)]
    return report


def _kill_once(service: Service, users: Sequence[User], report: Report, dice: random.Random) -> None:
    [kind] = dice.choices(list(_KINDS), list(_KINDS.values()))
    _kill(service, kind, dice)
    outcome = report.outcomes[kind]
    outcome.tried += 1
    before = len(report.faults)
    try:
        outcome.slowest_seconds = max(outcome.slowest_seconds, service.wait_until_ready(_MOST_SECONDS_BACK))
    except TimeoutError as error:
        report.faults.append(f"killed {kind}: {error}")
        return
    resting = [user.rest(_MOST_SECONDS_OF_WORK) for user in users]
    if not all(resting):
        report.faults.append(f"killed {kind}: the interrupted work did not end")
    with service.client() as client:
        found = audit(client, report.ledger)
    outcome.lost += found.lost
    outcome.doubled += found.doubled
    outcome.returned += found.returned
    if found.lost or found.doubled or found.returned:
        report.faults.append(f"killed {kind}: {found}")
    report.faults += [f"killed {kind}: {each}" for each in (*found.wrong, *_findings(service))]
    outcome.survived += len(report.faults) == before
    for user in users:
        user.go_on()


def _kill(service: Service, kind: str, dice: random.Random) -> None:
    if kind in {"one process", "two processes"}:
        running = service.processes()
        for process in dice.sample(running, min(len(running), 1 if kind == "one process" else 2)):
            process.kill()
        return
    if kind == "while stopping":  # as a machine that is shut down ends what takes too long
        service.terminate()
        time.sleep(dice.uniform(0.0, 3.0))
    service.kill()
    service.start()


def _findings(service: Service) -> list[str]:
    """What `clipseek doctor --check` finds wrong."""
    return [f"{check.what}: {check.found}" for check in check_store(service.settings) if check.state != "ok"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="stop after so many minutes (default: 20)")
    parser.add_argument("--kills", type=int, default=10_000, help="stop after so many kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--object-store", action="store_true", help="with the videos in one, and few copies of them")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s")  # what clients wait for is no news here
    logger.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="clipseek-crash-") as folder:
        report = torture(Path(folder), options.seed, options.kills, options.minutes, is_sharing=options.object_store)
    report.show()
    sys.exit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
