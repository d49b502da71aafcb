"""Puts damaged videos through everything the loader does: mutations of small ones, in many containers and codecs.

The service passes if it decodes each or refuses it with an error of its own, and no worker exceeds its deadline.
"""

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil

from benchmarks.synthetic import videos
from clipseek.api.errors import ClipSeekError
from clipseek.config.settings import Settings
from executors.video_loader.clips.join import ReelPiece
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.workers.video_workers import CutOptions, SpanOptions, VideoWorkers

# Container, codec, and options of `videos.make`. Each file has a few kB.
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("mp4", "h264_b", {"audio": True}),
    ("mp4", "hevc_b", {}),
    ("mp4", "av1", {}),
    ("mov", "mjpeg", {"rotation_degrees": 90}),
    ("mov", "prores", {}),
    ("mkv", "vp8", {"audio": True}),
    ("mkv", "ffv1", {}),
    ("webm", "vp9", {"audio": True}),
    ("avi", "mpeg4_b", {}),
    ("avi", "msmpeg4", {}),
    ("ts", "h264_b", {"first": Fraction(7, 2), "audio": True}),
    ("mpg", "mpeg2_b", {"audio": True}),
    ("flv", "flv1", {}),
    ("wmv", "wmv2", {}),
    ("rm", "rv20", {}),
    ("nut", "mpeg1", {}),
)
SUFFIXES = tuple(kind for kind, _, _ in KINDS)
TIMEOUT_SECONDS = 10.0  # for CLIPSEEK_DECODE_TIMEOUT: these videos take milliseconds
WORKER_GB = 1.0
_SPAN = SpanOptions(0.0, 1.0, 5.0, "even", PictureShape(64, 64), 100)
_HUGE = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def make_seeds(folder: Path) -> list[bytes]:
    """Make the undamaged videos."""
    seeds = []
    for place, (kind, codec, options) in enumerate(KINDS):
        video = videos.make(folder / f"{place}.{kind}", codec=codec, frames=12, gop=6, **options)
        seeds.append(video.path.read_bytes())
    return seeds


def mutate(whole: list[bytes], dice: random.Random) -> bytes:
    """One of the videos after one to four changes."""
    video = bytearray(dice.choice(whole))
    for _ in range(dice.randint(1, 4)):
        dice.choice(_CHANGES)(video, whole, dice)
    return bytes(video) or b"\0"


def _flip(video: bytearray, _whole: list[bytes], dice: random.Random) -> None:
    """Change some bytes anywhere, or only in the head, which has sizes and codecs."""
    reach = dice.choice((min(len(video), 600), len(video)))
    for _ in range(dice.randint(1, 30)):
        if reach:
            video[dice.randrange(reach)] = dice.randrange(256)


def _number(video: bytearray, _: list[bytes], dice: random.Random) -> None:
    """Write an impossible size, count or timestamp of 2, 4 or 8 bytes."""
    size = dice.choice((2, 4, 8))
    place = dice.randrange(max(1, len(video) - size))
    number = dice.choice(_HUGE) & (256**size - 1)
    video[place : place + size] = number.to_bytes(size, dice.choice(("big", "little")))


def _field(video: bytearray, _: list[bytes], dice: random.Random) -> None:
    """Change the bytes after the name of an MP4 box."""
    places = [name.end() for name in re.finditer(rb"[a-z]{3}[a-z0-9]", video)]
    if places:
        place = dice.choice(places) + dice.randrange(32)
        video[place : place + 4] = dice.choice(_HUGE[:7]).to_bytes(4)


def _cut_off(video: bytearray, _: list[bytes], dice: random.Random) -> None:
    del video[dice.randrange(len(video) + 1) :]


def _drop(video: bytearray, _: list[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(video) + 1)
    del video[place : place + dice.randint(1, 2000)]


def _repeat(video: bytearray, _: list[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(video) + 1)
    video[place:place] = video[place : place + dice.randint(1, 3000)] * dice.randint(1, 3)


def _splice(video: bytearray, whole: list[bytes], dice: random.Random) -> None:
    """Insert the end or the middle of another video."""
    other = dice.choice(whole)
    place, begin = dice.randrange(len(video) + 1), dice.randrange(len(other))
    video[place : place + dice.choice((0, 500, len(video)))] = other[
        begin : begin + dice.choice((200, 3000, len(other)))
    ]


_CHANGES: tuple[Callable[[bytearray, list[bytes], random.Random], None], ...] = (
    _flip,
    _flip,
    _number,
    _number,
    _field,
    _cut_off,
    _drop,
    _repeat,
    _splice,
)


@dataclass
class Outcomes:
    """Counts of tasks by error, or "decoded"; errors that are not ours; and the worst values."""

    videos: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    most_worker_mb: float = 0.0


def fuzz(count: int, first: int = 0, keep: Path | None = None) -> Outcomes:
    """Put `count` mutated videos through the workers. The same `first` gives the same videos.

    Args:
        keep: folder for the videos that failed.
    """
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            folder, folder, decode_timeout_seconds=TIMEOUT_SECONDS, max_worker_gb=WORKER_GB, log_level="CRITICAL"
        )
        workers = VideoWorkers(settings)
        try:
            whole = make_seeds(folder)
            for number in range(first, first + count):
                dice = random.Random(number)
                video = folder / f"video.{dice.choice(SUFFIXES)}"
                video.write_bytes(mutate(whole, dice))
                if _try_all(workers, video, number, outcomes) and keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    video.rename(keep / f"{number}{video.suffix}")
        finally:
            workers.close()
    return outcomes


def _try_all(workers: VideoWorkers, video: Path, number: int, outcomes: Outcomes) -> bool:
    """Run every task. Returns: whether one failed."""
    outcomes.videos += 1
    before = len(outcomes.failures)
    for what, task in _list_tasks(workers, video):
        started = time.monotonic()
        name = "decoded"
        try:
            task()
        except ClipSeekError as error:
            name = type(error).__name__
            if name == "DecoderCrashed" or "Error:" in str(error):  # a hanging one ends in time, with its own error
                outcomes.failures.append(f"video {number}, {what}: {name}: {error}")
        except Exception as error:  # noqa: BLE001 (any error is a failure)
            name = type(error).__name__
            outcomes.failures.append(f"video {number}, {what}: {name}: {error}")
        outcomes.counts[name] += 1
        outcomes.slowest_seconds = max(outcomes.slowest_seconds, time.monotonic() - started)
    if number % 50 == 0:
        used = [child.memory_info().rss / 1e6 for child in psutil.Process().children()]
        outcomes.most_worker_mb = max(outcomes.most_worker_mb, *used)
    return len(outcomes.failures) > before


def _list_tasks(workers: VideoWorkers, video: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    title = video.name
    yield "probe", lambda: workers.probe(video, title)
    yield "span", lambda: workers.sample(video, title, _SPAN)
    yield "adaptive span", lambda: workers.sample(video, title, replace(_SPAN, start_seconds=0.2, sampling="adaptive"))
    yield "keyframes", lambda: workers.sample(video, title, replace(_SPAN, sampling="keyframes"))
    yield "thumbnail", lambda: workers.make_thumbnail(video, 0.3, 160, title)
    yield "exact clip", lambda: workers.cut(video, 0.1, 0.4, CutOptions("exact"), title, video.with_name("clip"))
    yield "copied clip", lambda: workers.cut(video, 0.1, 0.4, CutOptions("copy"), title, video.with_name("clip"))
    yield (
        "joined video",
        lambda: workers.join([ReelPiece(video, 0.0, 0.2, title)] * 2, "exact", video.with_name("reel")),
    )
    yield "copied join", lambda: workers.join([ReelPiece(video, 0.0, 0.2, title)] * 2, "copy", video.with_name("reel"))
