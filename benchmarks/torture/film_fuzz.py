"""Damaged films: mutations of small real ones, in many containers and codecs, put through all that is done with films.

The service passes if each of them is decoded or refused by an error of its own, and no worker outlives its deadline.
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

from clipseek.errors import ClipSeekError
from clipseek.settings import Settings
from executors.video_loader.film_work import FilmWork, SpanOptions
from executors.video_loader.joining import Part
from executors.video_loader.picture import PictureShape
from tests import films

# Each a file of a few kB: container, codec, options of `films.make`.
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
TIMEOUT_SECONDS = 10.0  # as CLIPSEEK_DECODE_TIMEOUT: these films take some milliseconds
WORKER_GB = 1.0
_SPAN = SpanOptions(0.0, 1.0, 5.0, "even", PictureShape(64, 64), 100)
_HUGE = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def seeds(folder: Path) -> list[bytes]:
    """The films that are mutated, whole."""
    made = []
    for place, (kind, codec, options) in enumerate(KINDS):
        film = films.make(folder / f"{place}.{kind}", codec=codec, frames=12, gop=6, **options)
        made.append(film.path.read_bytes())
    return made


def mutated(whole: list[bytes], dice: random.Random) -> bytes:
    """One of the films after one to four changes."""
    film = bytearray(dice.choice(whole))
    for _ in range(dice.randint(1, 4)):
        dice.choice(_CHANGES)(film, whole, dice)
    return bytes(film) or b"\0"


def _flip(film: bytearray, _whole: list[bytes], dice: random.Random) -> None:
    """Some bytes anywhere, or all in the head, where sizes and codecs are told."""
    reach = dice.choice((min(len(film), 600), len(film)))
    for _ in range(dice.randint(1, 30)):
        if reach:
            film[dice.randrange(reach)] = dice.randrange(256)


def _number(film: bytearray, _: list[bytes], dice: random.Random) -> None:
    """A size, count or timestamp of 2, 4 or 8 bytes that cannot be."""
    size = dice.choice((2, 4, 8))
    place = dice.randrange(max(1, len(film) - size))
    number = dice.choice(_HUGE) & (256**size - 1)
    film[place : place + size] = number.to_bytes(size, dice.choice(("big", "little")))


def _field(film: bytearray, _: list[bytes], dice: random.Random) -> None:
    """The bytes after the name of an MP4 box."""
    places = [found.end() for found in re.finditer(rb"[a-z]{3}[a-z0-9]", film)]
    if places:
        place = dice.choice(places) + dice.randrange(32)
        film[place : place + 4] = dice.choice(_HUGE[:7]).to_bytes(4)


def _cut_off(film: bytearray, _: list[bytes], dice: random.Random) -> None:
    del film[dice.randrange(len(film) + 1) :]


def _drop(film: bytearray, _: list[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(film) + 1)
    del film[place : place + dice.randint(1, 2000)]


def _repeat(film: bytearray, _: list[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(film) + 1)
    film[place:place] = film[place : place + dice.randint(1, 3000)] * dice.randint(1, 3)


def _splice(film: bytearray, whole: list[bytes], dice: random.Random) -> None:
    """The end, or a piece, of another film."""
    other = dice.choice(whole)
    place, begin = dice.randrange(len(film) + 1), dice.randrange(len(other))
    film[place : place + dice.choice((0, 500, len(film)))] = other[begin : begin + dice.choice((200, 3000, len(other)))]


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
    """What became of the jobs: counts by error, "decoded" for none; errors that are none of ours; the worst values."""

    films: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    most_worker_mb: float = 0.0


def fuzz(count: int, first: int = 0, keep: Path | None = None) -> Outcomes:
    """Put `count` mutated films, the same for the same `first`, through the workers.

    Args:
        keep: where to leave the films that were not decoded or refused as they should.
    """
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            folder, folder, decode_timeout_seconds=TIMEOUT_SECONDS, max_worker_gb=WORKER_GB, log_level="CRITICAL"
        )
        work = FilmWork(settings)
        try:
            whole = seeds(folder)
            for number in range(first, first + count):
                dice = random.Random(number)
                film = folder / f"film.{dice.choice(SUFFIXES)}"
                film.write_bytes(mutated(whole, dice))
                if _try_all(work, film, number, outcomes) and keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    film.rename(keep / f"{number}{film.suffix}")
        finally:
            work.close()
    return outcomes


def _try_all(work: FilmWork, film: Path, number: int, outcomes: Outcomes) -> bool:
    """Whether something went wrong."""
    outcomes.films += 1
    before = len(outcomes.failures)
    for what, job in _jobs(work, film):
        begun = time.monotonic()
        name = "decoded"
        try:
            job()
        except ClipSeekError as error:
            name = type(error).__name__
            if name == "DecoderCrashed" or "Error:" in str(error):  # one that hangs is ended, and named, in time
                outcomes.failures.append(f"film {number}, {what}: {name}: {error}")
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
            name = type(error).__name__
            outcomes.failures.append(f"film {number}, {what}: {name}: {error}")
        outcomes.counts[name] += 1
        outcomes.slowest_seconds = max(outcomes.slowest_seconds, time.monotonic() - begun)
    if number % 50 == 0:
        used = [child.memory_info().rss / 1e6 for child in psutil.Process().children()]
        outcomes.most_worker_mb = max(outcomes.most_worker_mb, *used)
    return len(outcomes.failures) > before


def _jobs(work: FilmWork, film: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    title = film.name
    yield "probe", lambda: work.probe(film, title)
    yield "span", lambda: work.sample(film, title, _SPAN)
    yield "adaptive span", lambda: work.sample(film, title, replace(_SPAN, start_seconds=0.2, sampling="adaptive"))
    yield "keyframes", lambda: work.sample(film, title, replace(_SPAN, sampling="keyframes"))
    yield "thumbnail", lambda: work.thumbnail(film, 0.3, 160, title)
    yield "exact clip", lambda: work.cut(film, 0.1, 0.4, "exact", title, film.with_name("clip"))
    yield "copied clip", lambda: work.cut(film, 0.1, 0.4, "copy", title, film.with_name("clip"))
    yield "joined film", lambda: work.join([Part(film, 0.0, 0.2, title)] * 2, "exact", film.with_name("reel"))
    yield "copied join", lambda: work.join([Part(film, 0.0, 0.2, title)] * 2, "copy", film.with_name("reel"))
