"""Users who upload, index, rename, search and delete, and the ledger of what the service acknowledged to them."""

import contextlib
import random
import threading
import traceback
from dataclasses import dataclass, field

from benchmarks.torture.service import VideoFile
from clipseek.api.errors import ServerError, VideoNotFound
from clipseek.client import Client


@dataclass
class Ledger:
    """What was acknowledged of each video: its title if it is in the library, nothing if it is not."""

    titles: dict[str, str] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)  # of videos that were indexed before, whole
    acknowledged: int = 0
    repeated: int = 0  # requests that failed for a reason that passes, and were made again
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class User:
    """Works on videos of its own, one request after the other, until told to stop; rests while told to."""

    def __init__(self, client: Client, videos: list[VideoFile], ledger: Ledger, seed: int) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._client, self._videos, self._ledger = client, videos, ledger
        self._dice = random.Random(seed)
        self._go, self._resting, self._end = threading.Event(), threading.Event(), threading.Event()
        self._go.set()

    def start(self) -> None:
        self._thread.start()

    def rest(self, seconds: float) -> bool:
        """Let it finish what it is at, however often that takes. Returns: whether it rests within that time."""
        self._go.clear()
        return self._resting.wait(seconds)

    def go_on(self) -> None:
        self._resting.clear()
        self._go.set()

    def end(self) -> None:
        """Let it end once it has finished what it is at."""
        self._end.set()
        self._go.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            if not self._go.is_set():
                self._resting.set()
                self._go.wait()
                continue
            try:
                self._work(self._dice.choice(self._videos), self._dice.random())
            except Exception:  # noqa: BLE001 (whatever it is, the report has it)
                self._ledger.errors.append(traceback.format_exc())
        self._resting.set()

    def _work(self, video: VideoFile, chance: float) -> None:
        """Do one thing with a video until it is acknowledged."""
        known = video.video_id in self._ledger.titles
        while not self._end.is_set():
            try:
                if not known:
                    self._index(video)
                elif chance < 0.4:
                    self._delete(video)
                elif chance < 0.6:
                    self._rename(video, f"title {chance}")
                else:
                    self._look(video)
            except ServerError:
                with self._ledger.lock:
                    self._ledger.repeated += 1
                self._end.wait(0.2)
            else:
                with self._ledger.lock:
                    self._ledger.acknowledged += 1
                return

    def _index(self, video: VideoFile) -> None:
        done = self._client.index(video.path)
        with self._ledger.lock:
            expected = self._ledger.frames.setdefault(video.video_id, done.video.frames)
            if done.video.frames != expected:
                self._ledger.errors.append(f"{video.path.name} has {done.video.frames} frames, before {expected}")
            self._ledger.titles[video.video_id] = done.video.title

    def _delete(self, video: VideoFile) -> None:
        with contextlib.suppress(VideoNotFound):  # it was done, and only the acknowledgement was lost
            self._client.delete(video.video_id)
        with self._ledger.lock:
            del self._ledger.titles[video.video_id]

    def _rename(self, video: VideoFile, title: str) -> None:
        renamed = self._client.rename(video.video_id, title)
        with self._ledger.lock:
            self._ledger.titles[video.video_id] = renamed.title

    def _look(self, video: VideoFile) -> None:
        found = self._client.search("anything", videos=[video.video_id], all_matches=True)
        if found.frames_searched != self._ledger.frames[video.video_id]:
            self._ledger.errors.append(f"{video.path.name}: a search saw {found.frames_searched} frames")
        self._client.thumbnail(video.video_id, 1.0)


@dataclass(frozen=True)
class Audit:
    """How the library differs from the ledger, while nobody works."""

    lost: int
    doubled: int
    returned: int  # deleted, and there again
    wrong: tuple[str, ...]


def audit(client: Client, ledger: Ledger) -> Audit:
    """Compare what the service lists and searches with what it has acknowledged."""
    videos = client.videos()
    listed = [video.video_id for video in videos]
    wrong = []
    for video in videos:
        title, frames = ledger.titles.get(video.video_id), ledger.frames.get(video.video_id)
        if title is not None and (video.title, video.frames, video.status) != (title, frames, "ready"):
            wrong.append(f"{video.title}: {video.frames} frames, {video.status}; acknowledged: {title}, {frames}")
    seen = client.search("anything", all_matches=True, top_k=100, group_by_video=True)
    frames_listed = sum(video.frames for video in videos)
    if (seen.videos_searched, seen.frames_searched) != (len(videos), frames_listed):
        wrong.append(f"a search saw {seen.videos_searched} videos, {seen.frames_searched} frames of {frames_listed}")
    return Audit(
        lost=len(set(ledger.titles) - set(listed)),
        doubled=len(listed) - len(set(listed)),
        returned=len(set(listed) - set(ledger.titles)),
        wrong=tuple(wrong),
    )
