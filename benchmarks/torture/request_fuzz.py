"""Hostile requests: documents in which some fields hold what no honest caller sends, to every endpoint and target.

The service passes if each of them is answered, or refused by an error of its own, and no process of it ends.
"""

import math
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from clipseek.api import documents
from clipseek.api.base_document import Document, field_types
from clipseek.api.endpoints import ENDPOINTS, EXECUTORS
from clipseek.api.errors import ClipSeekError, ServerError
from clipseek.api.formats import sendable
from clipseek.api.picture_fit import FITS
from clipseek.client import Client
from clipseek.schema import Clip, Query, QueryPart, Reel, VideoSpan, document_class

Request = tuple[str, str | None, Document]  # endpoint, the executor it is sent to or None for all, document

D = TypeVar("D", bound=Document)
T = TypeVar("T")

UNKNOWN_ID = "0" * 64

WHOLE = st.one_of(
    st.integers(-3, 70),
    st.sampled_from((-(2**62), -(2**31), 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**62, 10**18)),
    st.integers(0, 10**7),
)
REAL = st.one_of(st.floats(0, 12), st.floats(), st.sampled_from((math.nan, math.inf, -math.inf, 5e-324, 1e308, -0.0)))
NASTY_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\x1b[31m\r\n\t\x7f",
    "\u202egpj.exe\u202c\u2066\u200b\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308",
    "\ud800",
    "Z\u0351\u036b\u0343" * 30,
    "x" * 100_000,
    "\u4e2d" * 10_001,
    "../../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "concat:/etc/passwd|/etc/hosts",
    "http://127.0.0.1:1/x.m3u8",
    "'; DROP TABLE videos; --",
    "$(touch /tmp/x) `id` %s%n {0.__class__}",
    "<script>alert(1)</script>",
    "~nobody/x",
    "/" + "a" * 5_000,
)
CHOICES = {
    "sampling": ("even", "adaptive"),
    "mode": ("exact", "copy"),
    "picture_fit": FITS,
    "strategy": ("consensus",),
}


def _png(width: int, height: int) -> bytes:
    """A PNG file that announces this size and holds hardly any pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


BYTES = st.one_of(
    st.binary(max_size=64),
    st.sampled_from((_png(8, 2), _png(30_000, 30_000), _png(2**31 - 1, 2**31 - 1), b"GIF89a", bytes(12_288))),
    st.integers(0, 20_000).map(bytes),
)


def requests(video_ids: Sequence[str]) -> st.SearchStrategy[Request]:
    """Requests to a library of these videos."""

    @st.composite
    def made(draw: st.DrawFn) -> Request:
        endpoint = draw(st.sampled_from(sorted(set(ENDPOINTS) - {"/samples"})))  # it adds videos
        target = draw(st.sampled_from((None, *EXECUTORS)))
        known = UNKNOWN_ID if endpoint == "/delete" else draw(st.sampled_from(sorted(video_ids)))
        doc = _honest(document_class(ENDPOINTS[endpoint].document), known)
        return endpoint, target, draw(_spoilt(doc, known))

    return made()


def _honest(kind: type[D], video_id: str) -> D:
    vector = [1.0, *[0.0] * 383]
    honest: dict[Any, dict[str, Any]] = {
        VideoSpan: {
            "end_seconds": 2.0,
            "picture_width": 64,
            "picture_height": 64,
            "pictures": bytes(64 * 64 * 3),
            "pts_seconds": [0.5],
            "embeddings": bytes(2),
        },
        Query: {"text": "a cat", "video_ids": [video_id], "embedding": vector, "neutral_embedding": vector},
        QueryPart: {"text": "a dog", "embedding": vector},
        Clip: {"end_seconds": 0.2},
        Reel: {"video_ids": [video_id], "start_seconds": [0.0], "end_seconds": [0.2]},
    }
    about = {"video_id": video_id} if "video_id" in field_types(kind) and kind is not QueryPart else {}
    return kind(**about, **honest.get(kind, {}))


@st.composite
def _spoilt(draw: st.DrawFn, doc: D, video_id: str) -> D:
    """The document with up to three fields changed."""
    spoilt, types = copy(doc), field_types(type(doc))
    for name in draw(st.lists(st.sampled_from(sorted(types)), max_size=3, unique=True)):
        setattr(spoilt, name, draw(_values(name, types[name], video_id)))
    return spoilt


def _values(name: str, annotation: Any, video_id: str) -> st.SearchStrategy[Any]:
    texts = st.one_of(st.sampled_from((*NASTY_TEXTS, *CHOICES.get(name, ()))), st.text(max_size=40)).map(sendable)
    if name in ("video_id", "video_ids"):
        texts = st.one_of(st.just(video_id), texts)
    kinds: dict[Any, st.SearchStrategy[Any]] = {bool: st.booleans(), int: WHOLE, float: REAL, str: texts, bytes: BYTES}
    if annotation in kinds:
        return kinds[annotation]
    if get_origin(annotation) is not list:
        return st.just(annotation())
    (inner,) = get_args(annotation)
    if inner is documents.QueryPart:
        return st.lists(_spoilt(_honest(QueryPart, video_id), video_id), max_size=3)
    return st.lists(kinds[inner], max_size=5) if inner in kinds else st.just([])


@dataclass
class Outcomes:
    """What became of the requests: counts by the error's name, "answered" for none, and what should not have been."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    def send(self, client: Client, request: Request) -> None:
        """Send one request and note what comes back."""
        endpoint, executor, doc = request
        begun = time.monotonic()
        name = "answered"
        try:
            client._post(endpoint, doc, executor)
        except ServerError as error:
            name = type(error).__name__
            self.failures.append(f"{endpoint} to {executor}: {name}: {error}\n    {doc!r}"[:2000])
        except ClipSeekError as error:
            name = type(error).__name__
        self.counts[name] += 1
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)


def fuzz(client: Client, count: int, first: int = 0) -> Outcomes:
    """Send `count` requests, the same for the same `first`."""
    outcomes = Outcomes()
    video_ids = [video.video_id for video in client.videos()]

    run_examples(requests(video_ids), count, first, lambda request: outcomes.send(client, request))
    return outcomes


def run_examples(examples: st.SearchStrategy[T], count: int, first: int, work: Callable[[T], None]) -> None:
    """Work on `count` examples, the same for the same `first`."""

    @seed(first)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(examples)
    def run(example: T) -> None:
        work(example)

    run()
