"""Damaged videos and hostile requests: what became of them, as a table; exit code 1 if any got through.

Videos go through the loader's worker processes without a server. Requests go to the server at --host (CLIPSEEK_HOST),
which needs a library of its own that may be spoilt; `clipseek serve` with a fresh CLIPSEEK_HOME makes one.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.torture import request_fuzz, video_fuzz
from clipseek.client import Client


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--videos", type=int, default=0, metavar="N", help="mutated videos to try; the long form: 10000"
    )
    parser.add_argument("--requests", type=int, default=0, metavar="N", help="requests to send; the long form: 10000")
    parser.add_argument(
        "--first", type=int, default=0, metavar="SEED", help="another number, other videos and requests"
    )
    parser.add_argument("--host", help="the server for the requests, grpc://HOST:PORT")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave videos here that got through")
    options = parser.parse_args()
    failures: list[str] = []
    if options.videos:
        begun = time.monotonic()
        videos = video_fuzz.fuzz(options.videos, options.first, options.keep)
        show(f"{videos.videos} videos, 9 jobs each", videos.counts, videos.slowest_seconds, time.monotonic() - begun)
        print(f"  most memory of a worker {videos.most_worker_mb:.0f} MB")
        failures += videos.failures
    if options.requests:
        begun = time.monotonic()
        with Client(options.host, timeout_seconds=60) as client:
            if not client.videos():
                client.add_samples()
            requests = request_fuzz.fuzz(client, options.requests, options.first)
        show(f"{options.requests} requests", requests.counts, requests.slowest_seconds, time.monotonic() - begun)
        failures += requests.failures
    print(*failures, sep="\n", file=sys.stderr)
    sys.exit(1 if failures else 0)


def show(title: str, counts: Counter[str], slowest_seconds: float, seconds: float) -> None:
    """Print what became of them, the most frequent first."""
    print(f"{title}, {seconds:.0f} s, the slowest {slowest_seconds:.1f} s")
    for name, count in counts.most_common():
        print(f"  {name:20}{count:8}")


if __name__ == "__main__":
    main()
