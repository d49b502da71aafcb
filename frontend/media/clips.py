"""Clips on the page's machine: cut when first asked for, kept in a temporary folder while there is room."""

import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from clipseek import Client

_MOST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Cut:
    """`[start_seconds, end_seconds)` of a video; see `Client.clip` for the modes."""

    video_id: str
    start_seconds: float
    end_seconds: float
    mode: str = "exact"


class Clips:
    """Files of clips. Safe for threads; the folder goes with the object, or when the process ends."""

    def __init__(self, client: Client, most_bytes: int = _MOST_BYTES) -> None:
        self._client = client
        self._most_bytes = most_bytes
        self._folder = Path(tempfile.mkdtemp(prefix="clipseek-page-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._kept: OrderedDict[Cut, tuple[Path, int]] = OrderedDict()
        self._coming: dict[Cut, Future[Path]] = {}
        self._lock = threading.Lock()

    def path(self, cut: Cut) -> Path:
        """The clip's file, `.mp4`, or `.mkv` where it was copied out of codecs that do not fit MP4.

        One that is asked for while it is cut is waited for.

        Raises: as `Client.clip`.
        """
        with self._lock:
            if cut in self._kept:
                self._kept.move_to_end(cut)
                return self._kept[cut][0]
            coming = self._coming.get(cut)
            mine = self._coming.setdefault(cut, Future())
        if coming:
            return coming.result()
        try:
            path = self._cut(cut)
        except BaseException as error:  # whatever it is, nobody waits for ever
            mine.set_exception(error)
            raise
        else:
            mine.set_result(path)
            return path
        finally:
            with self._lock:
                del self._coming[cut]

    def _cut(self, cut: Cut) -> Path:
        name = sha256(repr(cut).encode()).hexdigest()[:24]
        target = self._folder / f"{name}.mp4"
        saved = self._client.clip(cut.video_id, cut.start_seconds, cut.end_seconds, target, mode=cut.mode)
        with self._lock:
            self._kept[cut] = (saved.path, saved.size_bytes)
            self._make_room(cut)
        return saved.path

    def content(self, cut: Cut) -> bytes:
        """The clip as bytes, for a download."""
        return self.path(cut).read_bytes()

    def joined(self, cuts: Sequence[Cut], mode: str) -> bytes:
        """The clips as one video, in their order, cut in this mode whatever their own. Raises: as `Client.join`."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            moments = [(cut.video_id, cut.start_seconds, cut.end_seconds) for cut in cuts]
            return self._client.join(moments, Path(folder) / "video.mp4", mode=mode).path.read_bytes()

    def _make_room(self, newest: Cut) -> None:
        while sum(size for _, size in self._kept.values()) > self._most_bytes:
            oldest = next(iter(self._kept))
            if oldest == newest:
                return
            path, _ = self._kept.pop(oldest)
            path.unlink(missing_ok=True)
