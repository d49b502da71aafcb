"""The page's smaller pieces of logic: edges, lists, texts, caches, the chart."""

import re
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import frontend
from clipseek.api import errors
from clipseek.api.documents import Component, Match, Thumbnail, Video
from clipseek.api.errors import ClipSeekError, MediaMissing
from clipseek.client import SavedClip
from executors.faiss_indexer.ranking.relevance import CUT_OFF
from frontend.components.search.result_card import card_html
from frontend.logic.basket import edge_limits, last_frame_seconds, move_edge, separate_edges
from frontend.logic.problems import KEYS, problem_key
from frontend.logic.service_health import LOW_DISK_BYTES, service_state
from frontend.logic.timeline_chart import PICK, Timeline, strip_times, timeline_chart
from frontend.logic.video_list import indexed_fraction, list_videos
from frontend.media.caches import ClipCache, ClipKey, ThumbnailCache, ThumbnailKey
from frontend.texts import LANGUAGES, choose_language, load_texts

FRONTEND = Path(frontend.__file__).parent


def test_edges_stop_at_the_video_and_at_one_another():
    assert edge_limits(4.0, 6.0, 12.0) == (0.0, 12.0) and edge_limits(100.0, 105.0, 500.0) == (90.0, 115.0)
    assert move_edge((4.0, 6.0), 0, -0.5, (0.0, 12.0)) == (3.5, 6.0)
    assert move_edge((0.2, 6.0), 0, -0.5, (0.0, 12.0)) == (0.0, 6.0)
    assert move_edge((5.8, 6.0), 0, 0.5, (0.0, 12.0)) == (5.9, 6.0)
    assert move_edge((4.0, 11.9), 1, 0.5, (0.0, 12.0)) == (4.0, 12.0)
    assert move_edge((4.0, 4.2), 1, -0.5, (0.0, 12.0)) == (4.0, 4.1)
    assert separate_edges((4.0, 4.1), (0.0, 12.0)) == (4.0, 4.1) and separate_edges((4.0, 4.0), (0.0, 12.0)) == (
        4.0,
        4.1,
    )
    assert separate_edges((12.0, 12.0), (0.0, 12.0)) == (11.9, 12.0) and separate_edges((0.0, 0.0), (0.0, 0.04)) == (
        0.0,
        0.04,
    )
    assert last_frame_seconds(6.0, 25.0) == pytest.approx(5.98) and last_frame_seconds(6.0, 0.0) == pytest.approx(5.98)


def test_the_library_is_searched_and_sorted():
    videos = [
        Video(title="Big Dog.mp4", duration_seconds=5, size_bytes=9),
        Video(title="a cat.mp4", duration_seconds=9, size_bytes=5),
        Video(title="big cat.mp4", duration_seconds=7, size_bytes=7),
    ]

    def titles(text, sort):
        return [video.title for video in list_videos(videos, text, sort)]

    assert titles("", "newest") == ["big cat.mp4", "a cat.mp4", "Big Dog.mp4"]
    assert titles("BIG", "title") == ["big cat.mp4", "Big Dog.mp4"]
    assert titles("cat big", "title") == ["big cat.mp4"]
    assert titles("", "longest")[0] == "a cat.mp4" and titles("", "largest")[0] == "Big Dog.mp4"


def test_how_much_of_a_video_is_done():
    video = Video(duration_seconds=60.0, missing_start_seconds=[0.0, 45.0], missing_end_seconds=[30.0, 60.0])
    assert indexed_fraction(video) == 0.25 and indexed_fraction(Video()) == 0.0


def test_all_languages_say_the_same():
    english = load_texts("en")
    fields = {
        key: {name for _, name, _, _ in string.Formatter().parse(text) if name}
        for key, text in english.sentences.items()
    }
    for language in LANGUAGES:
        texts = load_texts(language)
        assert set(texts.sentences) == set(fields)
        for key, names in fields.items():
            assert {name for _, name, _, _ in string.Formatter().parse(texts.sentences[key]) if name} == names, key
            assert texts.sentences[key].strip(), key
            bold_end_in_chinese = re.search(r"[。，：；？！）]\*\*\w", texts.sentences[key])
            assert not bold_end_in_chinese, f"Markdown shows the stars: put the punctuation of {key} behind them"


def test_every_text_that_is_used_exists_and_every_text_is_used():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in FRONTEND.rglob("*.py"))
    keys = load_texts("en").sentences
    strings = set(re.findall(r"""["']([a-z_]+(?:\.[a-z0-9_]+)*)["']""", sources))
    templates = re.findall(r"""\b(?:t\(|else )f["']([^"']+)["']""", sources)
    patterns = [re.escape(re.sub(r"\{[^}]*\}", "*", text)).replace(r"\*", ".*") for text in templates]
    for key in keys:
        is_used = key in strings or key.removesuffix(".one") in strings
        assert is_used or any(re.fullmatch(pattern, key) for pattern in patterns), f"nothing uses {key}"
    for key in re.findall(r'\bt\("([^"]+)"', sources):
        assert key in keys, key
    for key in re.findall(r'\bt\.plural\("([^"]+)"', sources):
        assert {key, f"{key}.one"} <= set(keys), key
    for key in KEYS:
        assert {f"problem.{key}", f"problem.{key}.fix"} <= set(keys)


def test_a_model_that_cannot_be_loaded_is_not_called_another_model():
    assert problem_key(errors.ModelUnavailable("no weights")) == "model"
    assert problem_key(errors.ModelMismatch("a, not b")) == "mismatch"


def test_the_language_is_the_one_asked_for_or_the_browsers():
    assert (
        choose_language("zh", "en-US") == "zh"
        and choose_language("xx", "zh-CN") == "zh"
        and choose_language(None, "fr-FR") == "en"
    )
    assert choose_language(None, None) == "en"


def test_every_error_has_words():
    assert problem_key(errors.NoVideoStream("x")) == "unreadable" and problem_key(errors.StoreFull("x")) == "full"
    assert problem_key(errors.StoreVersion("x")) == "other" and problem_key(ClipSeekError("x")) == "other"


def test_what_the_page_tells_of_the_service():
    state = service_state(
        [
            Component(name="video_loader", facts={"free_bytes": "1999999999", "media_roots": "/a:/b"}, warnings=["w"]),
            Component(name="image_encoder", facts={"model": "starter", "device": "cpu"}, warnings=["w", "v"]),
        ]
    )
    assert state.is_starter and state.free_bytes < LOW_DISK_BYTES and state.media_roots == ("/a", "/b")
    assert state.warnings == ("w", "v")
    assert service_state([]).free_bytes == LOW_DISK_BYTES
    degraded = service_state([Component(name="indexer", ok=False, warnings=["down since 12:00"]), Component(name="x")])
    assert (degraded.down, degraded.warnings) == (("indexer",), ())


class Counting:
    def __init__(self):
        self.asked = []

    def thumbnail(self, video_id, at_seconds, *, width):
        self.asked.append((video_id, at_seconds, width))
        if video_id == "gone":
            raise MediaMissing("gone")
        return Thumbnail(jpeg=b"x" * 10).jpeg

    def clip(self, video_id, start, end, output, *, mode):
        self.asked.append((start, end, mode))
        Path(output).write_bytes(b"x" * 10)
        return SavedClip(Path(output), start, end, 10)

    def join(self, moments, output, *, mode):
        self.asked.append(moments)
        output.write_bytes(b"video")
        return SavedClip(output, 0.0, 2.0, 4)


def test_thumbnails_are_fetched_once_and_the_least_recently_used_are_dropped():
    client = Counting()
    thumbnails = ThumbnailCache(client, max_bytes=25)
    a, b, c = (ThumbnailKey("v", float(at)) for at in range(3))
    assert thumbnails.get_all([a, b, a]) == [b"x" * 10] * 3 and len(client.asked) == 2
    for key in (a, c, b):
        thumbnails.get(key)
    assert [at for _, at, _ in client.asked[2:]] == [2.0, 1.0]  # a was used after b, so b was dropped for c
    assert thumbnails.get(ThumbnailKey("gone", 1.0)) is None


def test_clips_are_cut_once_and_the_least_recently_used_are_deleted():
    client = Counting()
    clips = ClipCache(client, max_bytes=25)
    a, b, c = (ClipKey("v", float(at), at + 1.0) for at in range(3))
    first = clips.path(a)
    assert clips.path(a) == first and clips.content(b) == b"x" * 10 and len(client.asked) == 2
    clips.path(c)
    assert not first.exists() and clips.path(c).exists()
    assert clips.join([b, c], "exact") == b"video" and client.asked[-1] == [("v", 1.0, 2.0), ("v", 2.0, 3.0)]
    folder = first.parent
    del clips
    assert not folder.exists()


class Slow(Counting):
    """A client whose first clip takes until the test lets it go on; then `error` is raised."""

    def __init__(self, error=None):
        super().__init__()
        self.begun, self.go, self.error = threading.Event(), threading.Event(), error

    def clip(self, *args, **options):
        self.begun.set()
        assert self.go.wait(10)
        if self.error:
            raise self.error
        return super().clip(*args, **options)


@pytest.mark.parametrize("error", [None, MediaMissing("gone")])
def test_a_clip_that_is_asked_for_twice_at_once_is_cut_once(error):
    client, cut = Slow(error), ClipKey("v", 1.0, 2.0)
    clips, second = ClipCache(client), threading.Event()

    def path():
        second.set()
        return clips.path(cut)

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(clips.path, cut)]
        try:
            assert client.begun.wait(10)
            both.append(threads.submit(path))
            assert second.wait(10)
        finally:
            client.go.set()
    assert [each.exception() for each in both] == [error, error]
    if not error:
        assert both[0].result() == both[1].result() and client.asked == [(1.0, 2.0, "exact")]
    client.error = None
    assert clips.content(cut) == b"x" * 10 and len(client.asked) == 1  # a failure is not kept


def test_a_card_tells_matches_from_weaker_candidates_as_the_indexer_does():
    assert "cs-weak" not in card_html(Match(title="a.mp4", score=CUT_OFF), load_texts("en"))
    assert "cs-weak" in card_html(Match(title="a.mp4", score=0.49), load_texts("en"))
    assert "&lt; 0.01" in card_html(Match(title="a.mp4", score=0.004), load_texts("en"))


def test_the_chart_holds_curve_shots_matches_and_pictures():
    timeline = Timeline(
        duration_seconds=60.0,
        pts_seconds=[0.0, 1.0],
        scores=[0.1, 0.5],
        cut_off=0.3,
        shot_starts=[0.0, 30.0],
        matches=[(1.0, 4.0)],
        thumbnails=[(3.0, b"jpeg")],
    )
    chart = timeline_chart(timeline).to_dict()
    marks = [layer["mark"]["type"] for layer in chart["layer"]]
    assert marks == ["rect", "rule", "area", "line", "rule", "image", "point"]
    assert [param["name"] for param in chart["params"]] == [PICK]
    rows = [row for rows in chart["datasets"].values() for row in rows]
    assert {"seconds": 1.0, "end": 4.0, "score": 0.0, "top": 1.02} in rows
    assert {"seconds": 1.0, "score": 0.5, "time": "00:01.0"} in rows
    assert strip_times(60.0, 3) == [10.0, 30.0, 50.0]


def test_without_a_curve_every_place_can_be_clicked():
    points = Timeline(duration_seconds=40.0).points
    assert (len(points), points[0]["seconds"], points[100]["seconds"]) == (400, 0.0, 10.0)
