"""The loader's worker processes: their results, limits, and errors."""

import math
import os
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidTimeRange, LimitExceeded, MediaMissing
from clipseek.config.settings import Settings
from executors.video_loader.clips.join import ReelPiece
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.decode import source
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.workers import video_workers
from executors.video_loader.workers.video_workers import (
    CutOptions,
    SpanOptions,
    VideoWorkers,
    close_open_video,
    sample_span,
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    made = VideoWorkers(Settings(folder, folder))
    yield made
    made.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return videos.make(tmp_path_factory.mktemp("videos") / "a.mp4", frames=50, audio=True).path


def span(start: float, end: float, *, most: float = 100, rate: float = 5.0) -> SpanOptions:
    return SpanOptions(start, end, rate, "even", PictureShape(32, 24), most)


def test_workers_return_what_the_functions_return(work, video, tmp_path):
    assert work.probe(video, "a") == probe_video(video, "a")
    assert work.make_thumbnail(video, 0.5, 64, "a") == make_thumbnail(video, 0.5, 64)
    sampled = work.sample(video, "a", span(0.0, 1.0))
    assert sampled == sample_span(video, "a", span(0.0, 1.0))
    assert sampled.pts_seconds == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert len(sampled.pictures) == len(sampled.blank) * 32 * 24 * 3
    assert probe_video(
        work.cut(video, 0.2, 0.6, CutOptions("exact"), "a", tmp_path / "clip").path
    ).duration_seconds == pytest.approx(0.4)
    joined = work.join([ReelPiece(video, 0.2, 0.6, "a"), ReelPiece(video, 1.0, 1.4, "a")], "exact", tmp_path / "reel")
    assert probe_video(joined.path).duration_seconds == pytest.approx(0.8)


def test_a_large_file_gets_the_time_that_it_takes_to_read_it_once(work, tmp_path, monkeypatch):
    deadlines = []
    for pool in work._pools.values():
        monkeypatch.setattr(pool, "run", lambda what, seconds, *_, **__: deadlines.append(seconds))
    large, small = tmp_path / "large.ts", tmp_path / "small.ts"
    for file, size_bytes in ((large, 20_000_000_000), (small, 5_000_000)):
        with file.open("wb") as opened:
            opened.truncate(size_bytes)  # it takes no room on the disk
        work.probe(file, "a")
        work.make_thumbnail(file, 1.0, 64, "a")
        work.sample(file, "a", span(0.0, 3.0))
        work.cut(file, 0.0, 3.0, CutOptions("exact"), "a", tmp_path / "clip")
    work.join([ReelPiece(file, 0.0, 1.0, "a") for file in (large, large, small)], "exact", tmp_path / "reel")
    work.probe(tmp_path / "missing.ts", "a")
    seconds = [60.0, 60.0, 90.0, 90.0]
    assert deadlines == pytest.approx([*(s + 400.0 for s in seconds), *(s + 0.1 for s in seconds), 520.1, 60.0])


def test_sampling_gives_way_to_work_that_people_wait_for(work, video, tmp_path):
    work.sample(video, "a", span(0.0, 1.0))
    work.cut(video, 0.2, 0.6, CutOptions("exact"), "a", tmp_path / "clip")
    own = psutil.Process().nice()
    nice = {kind: workers.run("its niceness", 60.0, os.nice, 0) for kind, workers in work._pools.items()}
    assert (nice["index"], nice["clip"]) == (min(own + 10, 19), own)


def test_with_many_processors_spans_are_sampled_beside_each_other(video, tmp_path, monkeypatch):
    spans = [span(start / 2, (start + 1) / 2) for start in range(9, -1, -1)]
    one_by_one = [sample_span(video, "a", each) for each in spans]
    close_open_video()
    monkeypatch.setattr(video_workers, "processor_count", lambda: 16)
    work = VideoWorkers(Settings(tmp_path, tmp_path))
    try:
        assert work.counts["index"] == 3
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(lambda each: work.sample(video, "a", each), spans)) == one_by_one
    finally:
        work.close()


def is_open(path):
    return str(path) in {file.path for file in psutil.Process().open_files()}


def test_a_video_stays_open_between_its_spans_and_no_longer(video, tmp_path):
    other = videos.make(tmp_path / "b.mp4", frames=50).path
    sample_span(video, "a", span(0.0, 1.0))
    assert is_open(video)
    sample_span(other, "b", span(0.0, 1.0))
    assert is_open(other) and not is_open(video)
    sample_span(other, "b", span(1.0, 2.0))
    assert not is_open(other)  # it has come to its end
    sample_span(video, "a", span(0.0, 1.0))
    with pytest.raises(LimitExceeded):
        sample_span(video, "a", span(1.0, 2.0, most=1))
    assert not is_open(video)
    sample_span(video, "a", span(0.0, 1.0))
    close_open_video()
    assert not is_open(video)


def test_an_open_video_that_is_deleted_is_missing(tmp_path):
    video = videos.make(tmp_path / "c.mp4", frames=50).path
    sample_span(video, "c", span(0.0, 1.0))
    video.unlink()
    with pytest.raises(MediaMissing):
        sample_span(video, "c", span(1.0, 2.0))


def test_a_video_that_is_deleted_while_it_is_opened_is_missing_and_harms_no_other(video, tmp_path, monkeypatch):
    deleted = videos.make(tmp_path / "d.mp4", frames=50).path
    opened = []

    def delete_before_the_second(path, *args):  # the first proves that it can be read, the second is read
        opened.append(path)
        if opened == [deleted, deleted]:
            deleted.unlink()
        return open_container(path, *args)

    open_container = source.open_container
    monkeypatch.setattr(source, "open_container", delete_before_the_second)
    with pytest.raises(MediaMissing, match="'d' cannot be opened"):
        sample_span(deleted, "d", span(0.0, 1.0))
    assert opened == [deleted, deleted]
    assert len(sample_span(video, "a", span(0.0, 1.0)).pts_seconds) == 5
    close_open_video()


def test_an_open_video_that_was_replaced_is_opened_again(tmp_path):
    video = videos.make(tmp_path / "e.mp4", frames=50).path
    other = videos.make(tmp_path / "f.mp4", pictures=[videos.slate(index + 5) for index in range(50)]).path
    expected = sample_span(other, "e", span(1.0, 2.0))
    sample_span(video, "e", span(0.0, 1.0))
    other.replace(video)
    assert sample_span(video, "e", span(1.0, 2.0)) == expected
    close_open_video()


def test_workers_without_limits_work(video, tmp_path):
    work = VideoWorkers(Settings(tmp_path, tmp_path, max_worker_gb=math.inf, decode_timeout_seconds=math.inf))
    try:
        assert work.probe(video, "a") == probe_video(video, "a")
    finally:
        work.close()


def test_more_frames_than_a_span_may_have_are_refused(work, video):
    assert len(work.sample(video, "a", span(0.0, 1.0, most=5)).pts_seconds) == 5
    with pytest.raises(LimitExceeded, match=r"more than 4 frames.*CLIPSEEK_MAX_SPAN_FRAMES"):
        work.sample(video, "a", span(0.0, 1.0, most=4))


@pytest.mark.parametrize(("start", "end"), [(9.0, 1.0), (1000.0, 0.0), (0.5, 0.5)])
def test_invalid_ranges_are_refused(work, video, tmp_path, start, end):
    with pytest.raises(InvalidTimeRange):
        work.sample(video, "a", span(start, end))
    with pytest.raises(InvalidTimeRange):
        work.cut(video, start, end, CutOptions("exact"), "a", tmp_path / "clip")
    with pytest.raises(InvalidTimeRange):
        work.join([ReelPiece(video, start, end, "a")], "exact", tmp_path / "reel")


def test_a_missing_video_is_reported(work, tmp_path):
    with pytest.raises(MediaMissing):
        work.probe(tmp_path / "gone.mp4", "gone")
