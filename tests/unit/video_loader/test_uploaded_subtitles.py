"""Subtitles that came with a video are kept beside it, in folders and object stores, and go with it."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from docarray import DocList

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidRequest, LimitExceeded, VideoNotFound
from clipseek.config.settings import Settings
from clipseek.schema import CHUNK_BYTES, Subtitles, Video, WordSpan
from executors.flow.callers import Caller
from executors.video_loader.executor import VideoLoader
from executors.video_loader.media.checks.media_check import _find_leftovers, _list_files
from executors.video_loader.media.shared_media import open_media_files
from executors.video_loader.words.files import language_in_name

CALLER = Caller("anyone")
SRT = b"1\n00:00:00,100 --> 00:00:00,900\nHello there\n"
OTHER = "1\n00:00:00,100 --> 00:00:00,900\n今天天气很好\n".encode("gb18030")


@pytest.fixture(params=["folder", "objects"])
def settings(request, tmp_path: Path) -> Settings:
    objects = f"file://{tmp_path / 'objects'}"
    (tmp_path / "objects").mkdir()
    media = objects if request.param == "objects" else ""
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", media=media)


@pytest.fixture
def video(settings, tmp_path) -> str:
    path = videos.make(tmp_path / "talk.mp4", frames=50).path
    return open_media_files(settings, "main", CHUNK_BYTES).add_file(path).video_id


@pytest.fixture
def loader(settings, video):
    executor = VideoLoader(settings, runtime_args={"name": "video_loader"})
    asyncio.run(executor.probe(DocList[Video]([Video(video_id=video)]), caller=CALLER))
    yield executor
    executor.close()


def keep(loader, video_id: str, name: str = "", data: bytes = b"") -> list[str]:
    doc = Subtitles(video_id=video_id, name=name, data=data)
    [answer] = asyncio.run(loader.subtitles(DocList[Subtitles]([doc]), caller=CALLER))
    assert answer.data == b""
    return answer.names


def lines_of(loader, video_id: str) -> list[tuple[str, str]]:
    doc = WordSpan(video_id=video_id, start_seconds=0, end_seconds=120, sources=["subtitle"])
    [answer] = asyncio.run(loader.words(DocList[WordSpan]([doc]), caller=CALLER))
    assert answer.notes == []
    return [(line.text, line.language) for line in answer.lines]


def test_they_are_listed_read_replaced_and_deleted_with_the_video(loader, video, settings, tmp_path):
    assert keep(loader, video) == []
    assert keep(loader, video, "talk.en.srt", SRT) == ["talk.en.srt"]
    assert keep(loader, video, "talk.zh.srt", OTHER) == ["talk.en.srt", "talk.zh.srt"]
    assert lines_of(loader, video) == [("Hello there", "en"), ("今天天气很好", "zh")]
    again = SRT.replace(b"Hello", b"Goodbye")
    assert keep(loader, video, "talk.en.srt", again) == ["talk.zh.srt", "talk.en.srt"]
    assert sorted(lines_of(loader, video)) == [("Goodbye there", "en"), ("今天天气很好", "zh")]
    another = open_media_files(settings, "main", CHUNK_BYTES)  # another loader
    assert another.subtitle_names(video) == ["talk.zh.srt", "talk.en.srt"]
    asyncio.run(loader.delete(DocList[Video]([Video(video_id=video)]), caller=CALLER))
    left = [file for file in tmp_path.rglob("*") if ".subtitles." in file.name]
    assert left == []


def test_what_is_no_file_of_subtitles_is_refused(loader, video):
    with pytest.raises(InvalidRequest, match=r"'talk\.txt' is no file of subtitles"):
        keep(loader, video, "talk.txt", SRT)
    with pytest.raises(VideoNotFound):
        keep(loader, hashlib.sha256(b"other").hexdigest(), "talk.srt", SRT)
    with pytest.raises(LimitExceeded, match="and subtitles at most 20"):
        keep(loader, video, "talk.srt", bytes(20_000_001))
    assert keep(loader, video) == []


def test_there_are_sixteen_at_most(loader, video):
    for number in range(16):
        keep(loader, video, f"{number}.srt", SRT)
    with pytest.raises(LimitExceeded, match="16 is the most"):
        keep(loader, video, "more.srt", SRT)


@pytest.mark.parametrize("name", ["../../etc/passwd.srt", "a/b.srt", "x" * 300 + ".srt", "名字.srt", "a\0b.srt"])
def test_a_name_leads_nowhere_else(loader, video, name, tmp_path):
    [kept] = keep(loader, video, name, SRT)
    assert "/" not in kept and kept.endswith(".srt")
    places = {file.parent for file in tmp_path.rglob("*") if ".subtitles." in file.name}
    assert places <= {tmp_path / "home" / "media", tmp_path / "objects" / "main"}


def test_a_check_of_the_store_takes_them_for_what_they_are(loader, video, settings):
    keep(loader, video, "talk.srt", SRT)
    root = loader.store("main").root
    assert not list(_find_leftovers(_list_files(root)))


@pytest.mark.parametrize(
    ("title", "name", "language"),
    [
        ("My Talk.mp4", "My Talk.en.sdh.srt", "en"),
        ("Doing it.mp4", "Doing it.srt", ""),
        ("Learn English.mp4", "Learn English.srt", ""),
        ("学 中文.mp4", "学 中文.zh.srt", "zh"),
    ],
)
def test_the_language_in_the_name_of_subtitles_stays(loader, video, title, name, language):
    store = loader.store("main")
    store.accept(video, title)
    assert keep(loader, video, name, SRT)
    [path], stem = store.subtitle_files(video)
    assert language_in_name(path, stem) == language


@pytest.mark.parametrize("name", ["长" * 200 + ".zh.srt", "a" * 1000 + ".zh.srt", "🎬" * 90 + ".zh.srt"])
def test_subtitles_with_a_long_name_are_kept(loader, video, name):
    [kept] = keep(loader, video, name, SRT)
    assert kept.endswith(".zh.srt")
    [path], stem = loader.store("main").subtitle_files(video)
    assert path.read_bytes() == SRT and language_in_name(path, stem) == "zh"


def test_subtitles_count_among_what_is_kept(loader, video):
    store = loader.store("main")
    before = store._measure_used_bytes()
    store._max_store_gb = (before + 1000) / 1e9
    with pytest.raises(LimitExceeded, match="CLIPSEEK_MAX_STORE_GB"):
        keep(loader, video, "talk.srt", SRT * 100)
    assert keep(loader, video) == []
