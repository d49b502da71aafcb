"""What a watcher does in the course of time: it tries again, waits, tells once, and goes on with what was begun."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clipseek.api.documents import Video
from clipseek.api.errors import InvalidRequest, ServerFailed, ServerUnreachable, UnreadableVideo, VideoNotFound
from clipseek.api.formats import plain_title
from clipseek.cli.commands import watch as command
from clipseek.client import Indexed, Progress
from clipseek.watch.intake import Event
from clipseek.watch.state import WatchState
from clipseek.watch.watcher import Watcher


@dataclass
class Library:
    """A library in memory, as the client of a server. `failure` is raised before a video is indexed, or half way."""

    address: str = "grpc://library:1"
    stored: dict[str, Video] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # the file of each try to index
    options: list[dict[str, Any]] = field(default_factory=list)  # and how
    failure: BaseException | None = None
    fails_half_way: bool = False

    def videos(self) -> list[Video]:
        return list(self.stored.values())

    def video(self, video_id: str) -> Video:
        if video_id not in self.stored:
            raise VideoNotFound(video_id)
        return self.stored[video_id]

    def index(self, file: Path, *, title: str | None, content_sha256: str, **options: Any) -> Indexed:
        self.asked.append(file.name)
        self.options.append(options)
        if self.failure and not self.fails_half_way:
            raise self.failure
        video = self.stored[content_sha256] = Video(
            video_id=content_sha256, title=plain_title(title or file.name), frames=2
        )
        if self.failure:
            raise self.failure
        return Indexed(video=video, frames_added=2, frames_encoded=2, elapsed_seconds=1.0)

    def rename(self, video_id: str, title: str) -> Video:
        self.stored[video_id].title = plain_title(title)
        return self.stored[video_id]

    def delete(self, video_id: str) -> Video:
        video = self.video(video_id)
        del self.stored[video_id]
        return video


@dataclass
class Watched:
    """A folder, its library, and a clock that stands until a test sets it."""

    folder: Path
    library: Library = field(default_factory=Library)
    now: float = 0.0
    events: list[Event] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)
        os.utime(self.folder / name, ns=(0, hash(content) % 2**40))

    def watcher(self, state: WatchState, settle_seconds: float = 0.0, **options: Any) -> Watcher:
        show: Callable[[str], contextlib.AbstractContextManager[Callable[[Progress], None]]]
        show = lambda _name: contextlib.nullcontext(self.progress.append)  # noqa: E731
        return Watcher(
            self.library,
            [self.folder],
            state,
            tell=self.events.append,
            show=show,
            settle_seconds=settle_seconds,
            clock=lambda: self.now,
            **options,
        )

    def told(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def watched(tmp_path) -> Watched:
    (tmp_path / "videos").mkdir()
    return Watched(tmp_path / "videos")


@pytest.fixture
def state(tmp_path):
    with WatchState(tmp_path / "state.db") as state:
        yield state


def test_a_failed_video_is_tried_again_after_pauses_that_double_from_half_a_minute_to_an_hour(watched, state):
    watched.write("a.mp4", b"a")
    watched.library.failure = ServerFailed("It failed.")
    watcher, tries = watched.watcher(state), []
    for watched.now in range(0, 15_000, 10):
        watcher.look()
        if len(watched.library.asked) > len(tries):
            tries.append(watched.now)
    assert tries == [0, 30, 90, 210, 450, 930, 1890, 3810, 7410, 11010, 14610]
    assert [(event.kind, event.message) for event in watched.events] == [
        ("later", "It failed. It is tried again later.")
    ]
    watched.library.failure, watched.now = None, 14_610 + 3600
    watcher.look()
    assert watched.told() == ["later", "added"]


def test_videos_are_indexed_as_the_watcher_was_told(watched, state):
    watched.write("a.mp4", b"a")
    watched.watcher(state, words=False, language="zh").look()
    assert [(asked["words"], asked["language"]) for asked in watched.library.options] == [(False, "zh")]


def test_a_language_that_is_none_is_refused_before_any_video_fails(watched, state):
    with pytest.raises(InvalidRequest, match="language"):
        watched.watcher(state, language="klingonese")


@pytest.mark.parametrize("name", ["Cafe\u0301.mp4", "two\nlines.mp4", "\u202egpj.mp4", "x" * 200 + ".mp4"])
def test_a_title_follows_its_file_however_the_name_is_written(watched, state, name):
    watched.write(name, b"a")
    watcher = watched.watcher(state)
    watcher.look()
    (watched.folder / name).rename(watched.folder / "Mu\u0308nchen.mp4")
    watched.write("other.mp4", b"b")  # a folder without any video may not be mounted
    watcher.look()
    assert "M\u00fcnchen.mp4" in {video.title for video in watched.library.videos()}
    video_id = next(video.video_id for video in watched.library.videos() if "nchen" in video.title)
    watched.library.rename(video_id, "Summer")
    (watched.folder / "Mu\u0308nchen.mp4").rename(watched.folder / "c.mp4")
    watcher.look()
    assert watched.library.stored[video_id].title == "Summer"


def test_a_changed_file_is_tried_at_once_and_its_pause_starts_over(watched, state):
    watched.write("a.mp4", b"a")
    watched.library.failure = ServerFailed("It failed.")
    watcher = watched.watcher(state)
    for watched.now in (0, 30, 31):
        watcher.look()
    assert len(watched.library.asked) == 2
    watched.write("a.mp4", b"other")
    for watched.now in (32, 61, 62):
        watcher.look()
    assert len(watched.library.asked) == 4
    assert watched.told() == ["later", "later"]


def test_a_file_that_is_no_video_is_told_once_and_left_until_it_changes(watched, state):
    watched.write("a.mp4", b"a")
    watched.library.failure = UnreadableVideo("It has no pictures.")
    watcher = watched.watcher(state)
    for watched.now in (0, 10_000, 20_000):
        watcher.look()
    assert (watched.told(), len(watched.library.asked)) == (["failed"], 1)
    watched.library.failure = None
    watched.write("a.mp4", b"b")
    watcher.look()
    assert watched.told() == ["failed", "added"]


def test_files_that_still_change_are_counted_and_wait(watched, state):
    watcher = watched.watcher(state, settle_seconds=10.0)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        watched.write(name, name.encode())
    looks = []
    for watched.now, grown in ((0, ""), (9, "b.mp4"), (10, ""), (18, "c.mp4"), (19, ""), (28, "")):
        if grown:
            watched.write(grown, b"%d" % watched.now)
        watcher.look()
        looks.append((watcher.moving, sorted(watched.library.asked), watcher.watched))
    assert looks == [
        (3, [], 3),
        (3, [], 3),
        (1, ["a.mp4", "c.mp4"], 3),
        (2, ["a.mp4", "c.mp4"], 3),
        (1, ["a.mp4", "b.mp4", "c.mp4"], 3),
        (0, ["a.mp4", "b.mp4", "c.mp4", "c.mp4"], 3),
    ]
    (watched.folder / "a.mp4").unlink()
    for watched.now, moving, kinds in ((30, 1, []), (40, 0, ["missing"]), (50, 0, ["missing"])):
        watcher.look()
        assert (watcher.moving, [kind for kind in watched.told() if kind == "missing"]) == (moving, kinds)


def test_an_interrupted_video_goes_on_at_the_next_start_without_being_read_again(watched, tmp_path):
    watched.write("a.mp4", b"a")
    watched.library.failure, watched.library.fails_half_way = KeyboardInterrupt(), True
    with WatchState(tmp_path / "state.db") as state, pytest.raises(KeyboardInterrupt):
        watched.watcher(state).look()
    assert {progress.stage for progress in watched.progress} == {"hash"} and not watched.events
    watched.library.failure = None
    watched.progress.clear()
    with WatchState(tmp_path / "state.db") as state:
        watcher = watched.watcher(state)
        watcher.begin()
        for _ in range(2):
            watcher.look()
    assert watched.library.asked == ["a.mp4", "a.mp4"]  # a third time is not needed
    assert not watched.progress and watched.told() == ["added"]
    assert state_ids(tmp_path) == set(watched.library.stored)


def state_ids(folder: Path) -> set[str]:
    with WatchState(folder / "state.db") as state:
        return state.added_ids()


def test_while_the_server_is_away_what_is_done_stays_done(watched, state):
    for name in ("a.mp4", "b.mp4"):
        watched.write(name, name.encode())
    watcher = watched.watcher(state)
    index = watched.library.index

    def away_from_b(file: Path, **options: object) -> Indexed:
        watched.library.failure = ServerUnreachable("No server.") if file.name == "b.mp4" else None
        return index(file, **options)

    watched.library.index = away_from_b
    for _ in range(2):
        with pytest.raises(ServerUnreachable):
            watcher.look()
    assert watched.library.asked == ["a.mp4", "b.mp4", "b.mp4"] and watched.told() == ["added"]


def test_a_folder_that_cannot_be_read_is_told_once_for_each_trouble(watched, state):
    watched.write("a.mp4", b"a")
    watcher = watched.watcher(state)
    watcher.look()
    away = watched.folder.with_name("away")
    for _ in range(2):
        watched.folder.rename(away)
        for _ in range(2):
            watcher.look()
        away.rename(watched.folder)
        watcher.look()
    assert watched.told() == ["added", "folder", "folder"]
    assert watched.events[-1].message.startswith("the folder cannot be read (No such file or directory).")


def test_while_the_server_is_away_the_command_waits_longer_and_says_so_once(watched, state, monkeypatch, capsys):
    class Enough(Exception):
        pass

    answers = [ServerUnreachable("No server.")] * 6 + [None] + [ServerUnreachable("No server.")] * 2
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == len(answers):
            raise Enough
        watched.library.failure = answers[len(pauses)]

    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=sleep))  # other threads use the real one
    watched.library.failure = answers[0]
    watched.write("a.mp4", b"a")
    reporter = command._Reporter(as_json=False)
    watcher = watched.watcher(state)

    def look() -> None:
        if watched.library.failure:
            raise watched.library.failure

    watcher.look = look
    with pytest.raises(Enough):
        command._look_on(watcher, reporter, 10.0, again=False)
    assert pauses == [20, 40, 80, 160, 300, 300, 10, 20, 40]
    said = capsys.readouterr().err
    assert said.count("away") == 4  # two events, each with a line that sums up
    assert said.count("The server answers again.") == 1
