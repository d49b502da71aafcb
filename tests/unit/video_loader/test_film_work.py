"""The work of the loader's processes: the answers of the functions they run, limits, and jobs that cannot be."""

import math
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from clipseek.errors import InvalidTimeRange, LimitExceeded, MediaMissing
from clipseek.settings import Settings
from executors.video_loader import film_work, media_source
from executors.video_loader.film_work import FilmWork, SpanOptions, close_kept_film, sample_span
from executors.video_loader.joining import Part
from executors.video_loader.picture import PictureShape
from executors.video_loader.probing import probe
from executors.video_loader.thumbnails import thumbnail
from tests import films


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    made = FilmWork(Settings(folder, folder))
    yield made
    made.close()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return films.make(tmp_path_factory.mktemp("films") / "a.mp4", frames=50, audio=True).path


def span(start: float, end: float, *, most: float = 100, rate: float = 5.0) -> SpanOptions:
    return SpanOptions(start, end, rate, "even", PictureShape(32, 24), most)


def test_workers_answer_what_the_functions_do(work, film, tmp_path):
    assert work.probe(film, "a") == probe(film, "a")
    assert work.thumbnail(film, 0.5, 64, "a") == thumbnail(film, 0.5, 64)
    sampled = work.sample(film, "a", span(0.0, 1.0))
    assert sampled == sample_span(film, "a", span(0.0, 1.0))
    assert sampled.pts_seconds == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert len(sampled.pictures) == len(sampled.blank) * 32 * 24 * 3
    assert probe(work.cut(film, 0.2, 0.6, "exact", "a", tmp_path / "clip").path).duration_seconds == pytest.approx(0.4)
    joined = work.join([Part(film, 0.2, 0.6, "a"), Part(film, 1.0, 1.4, "a")], "exact", tmp_path / "reel")
    assert probe(joined.path).duration_seconds == pytest.approx(0.8)


def test_sampling_gives_way_to_what_somebody_waits_for(work, film, tmp_path):
    work.sample(film, "a", span(0.0, 1.0))
    work.cut(film, 0.2, 0.6, "exact", "a", tmp_path / "clip")
    own = psutil.Process().nice()
    nice = {kind: psutil.Process(workers._all[0]._process.pid).nice() for kind, workers in work._workers.items()}
    assert (nice["index"], nice["clip"]) == (min(own + 10, 19), own)


def test_with_many_processors_spans_are_sampled_beside_each_other(film, tmp_path, monkeypatch):
    spans = [span(start / 2, (start + 1) / 2) for start in range(9, -1, -1)]
    one_by_one = [sample_span(film, "a", each) for each in spans]
    close_kept_film()
    monkeypatch.setattr(film_work, "processor_count", lambda: 16)
    work = FilmWork(Settings(tmp_path, tmp_path))
    try:
        assert work.counts["index"] == 3
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(lambda each: work.sample(film, "a", each), spans)) == one_by_one
    finally:
        work.close()


def is_open(path):
    return str(path) in {file.path for file in psutil.Process().open_files()}


def test_a_film_stays_open_between_its_spans_and_no_longer(film, tmp_path):
    other = films.make(tmp_path / "b.mp4", frames=50).path
    sample_span(film, "a", span(0.0, 1.0))
    assert is_open(film)
    sample_span(other, "b", span(0.0, 1.0))
    assert is_open(other) and not is_open(film)
    sample_span(other, "b", span(1.0, 2.0))
    assert not is_open(other)  # it has come to its end
    sample_span(film, "a", span(0.0, 1.0))
    with pytest.raises(LimitExceeded):
        sample_span(film, "a", span(1.0, 2.0, most=1))
    assert not is_open(film)
    sample_span(film, "a", span(0.0, 1.0))
    close_kept_film()
    assert not is_open(film)


def test_a_kept_film_that_is_deleted_is_missing(tmp_path):
    film = films.make(tmp_path / "c.mp4", frames=50).path
    sample_span(film, "c", span(0.0, 1.0))
    film.unlink()
    with pytest.raises(MediaMissing):
        sample_span(film, "c", span(1.0, 2.0))


def test_a_film_that_is_deleted_while_it_is_opened_is_missing_and_harms_no_other(film, tmp_path, monkeypatch):
    deleted = films.make(tmp_path / "d.mp4", frames=50).path
    opened = []

    def delete_before_the_second(path, *args):  # the first proves that it can be read, the second is read
        opened.append(path)
        if opened == [deleted, deleted]:
            deleted.unlink()
        return open_container(path, *args)

    open_container = media_source.open_container
    monkeypatch.setattr(media_source, "open_container", delete_before_the_second)
    with pytest.raises(MediaMissing, match="'d' cannot be opened"):
        sample_span(deleted, "d", span(0.0, 1.0))
    assert opened == [deleted, deleted]
    assert len(sample_span(film, "a", span(0.0, 1.0)).pts_seconds) == 5
    close_kept_film()


def test_a_kept_film_that_another_took_the_place_of_is_not_read_on(tmp_path):
    film = films.make(tmp_path / "e.mp4", frames=50).path
    other = films.make(tmp_path / "f.mp4", pictures=[films.slate(index + 5) for index in range(50)]).path
    expected = sample_span(other, "e", span(1.0, 2.0))
    sample_span(film, "e", span(0.0, 1.0))
    other.replace(film)
    assert sample_span(film, "e", span(1.0, 2.0)) == expected
    close_kept_film()


def test_workers_without_limits_work(film, tmp_path):
    work = FilmWork(Settings(tmp_path, tmp_path, max_worker_gb=math.inf, decode_timeout_seconds=math.inf))
    try:
        assert work.probe(film, "a") == probe(film, "a")
    finally:
        work.close()


def test_more_frames_than_a_span_may_have_are_refused(work, film):
    assert len(work.sample(film, "a", span(0.0, 1.0, most=5)).pts_seconds) == 5
    with pytest.raises(LimitExceeded, match=r"more than 4 frames.*CLIPSEEK_MAX_SPAN_FRAMES"):
        work.sample(film, "a", span(0.0, 1.0, most=4))


@pytest.mark.parametrize(("start", "end"), [(9.0, 1.0), (1000.0, 0.0), (0.5, 0.5)])
def test_ranges_that_are_none_are_told_as_such(work, film, tmp_path, start, end):
    with pytest.raises(InvalidTimeRange):
        work.sample(film, "a", span(start, end))
    with pytest.raises(InvalidTimeRange):
        work.cut(film, start, end, "exact", "a", tmp_path / "clip")
    with pytest.raises(InvalidTimeRange):
        work.join([Part(film, start, end, "a")], "exact", tmp_path / "reel")


def test_a_film_that_is_gone_is_told_as_such(work, tmp_path):
    with pytest.raises(MediaMissing):
        work.probe(tmp_path / "gone.mp4", "gone")
