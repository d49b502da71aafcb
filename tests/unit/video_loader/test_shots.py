"""Cuts: exact to the frame, none too many, and the same wherever decoding begins."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spans import read_span
from benchmarks.synthetic import videos
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.shots import ShotDetector, is_blank, upper_half_mean
from executors.video_loader.sample.span_reader import Cut, SampledFrame

SHAPE = PictureShape(32, 24)
WIDTH, HEIGHT = 128, 96
NTSC = Fraction(30000, 1001)
Picture = np.ndarray


def scene(seed: int) -> Picture:
    """A picture of 40 coloured rectangles, twice as wide as the video, for a camera that pans."""
    generator = np.random.default_rng(seed)
    picture = np.full((HEIGHT, 2 * WIDTH, 3), generator.integers(0, 255, 3), np.uint8)
    for _ in range(40):
        x, y = generator.integers(0, 2 * WIDTH - 20), generator.integers(0, HEIGHT - 20)
        picture[y : y + generator.integers(8, 48), x : x + generator.integers(8, 64)] = generator.integers(0, 255, 3)
    return picture


def still(seed: int, frames: int) -> list[Picture]:
    return [scene(seed)[:, :WIDTH]] * frames


def pan(seed: int, frames: int, pixels: int = 2) -> list[Picture]:
    """A camera that moves over a scene and back."""
    places = [abs((i * pixels + WIDTH) % (2 * WIDTH) - WIDTH) for i in range(frames)]
    return [scene(seed)[:, place : place + WIDTH] for place in places]


def noise(seed: int, frames: int) -> list[Picture]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(frames)]


def grain(seed: int, frames: int) -> list[Picture]:
    """A still picture with strong video grain."""
    generator = np.random.default_rng(seed)
    clean = scene(seed)[:, :WIDTH].astype(int)
    return [np.clip(clean + generator.normal(0, 20, clean.shape), 0, 255).astype(np.uint8) for _ in range(frames)]


def fade(one: Picture, other: Picture, frames: int) -> list[Picture]:
    shares = np.linspace(0, 1, frames)
    return [((1 - share) * one + share * other).astype(np.uint8) for share in shares]


def black(frames: int) -> list[Picture]:
    return [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * frames


FIRST, SECOND, BLACK = still(1, 1)[0], still(2, 1)[0], black(1)[0]


def make(path: Path, pictures: Sequence[Picture], **options: object) -> videos.Video:
    return videos.make(path, pictures=pictures, size=(WIDTH, HEIGHT), **options)


def cuts(path: Path, start: float = 0, end: float = 999) -> list[float]:
    return [one.pts_seconds for one in read_span(path, start, end, 1, SHAPE) if isinstance(one, Cut)]


@pytest.mark.parametrize("make_shot", [still, pan, grain])
@pytest.mark.parametrize("fps", [25, NTSC, 12, 60])
def test_cuts_are_exact_to_the_frame(tmp_path: Path, fps: Fraction, make_shot: Callable) -> None:
    lengths = [31, 24, 50, 23, 40]
    pictures = [picture for seed, length in enumerate(lengths) for picture in make_shot(seed, length)]
    video = make(tmp_path / "a.mp4", pictures, fps=fps, codec="h264_b", gop=48)
    expected = [float(video.times[index]) for index in np.cumsum(lengths)[:-1]]
    assert cuts(video.path) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("container", ["a.mkv", "a.ts", "a.avi"])
def test_containers_and_first_timestamps(tmp_path: Path, container: str) -> None:
    pictures = still(1, 30) + still(2, 30)
    first = Fraction(0) if container == "a.avi" else Fraction(7, 2)
    video = make(tmp_path / container, pictures, codec="mpeg4_b" if container == "a.avi" else "h264_b", first=first)
    assert cuts(video.path) == pytest.approx([1.2], abs=1e-3)


def test_variable_frame_rate(tmp_path: Path) -> None:
    steps = [Fraction(n, 1000) for n in (40, 33, 17, 100, 40, 250, 20)]
    times = [Fraction(0)]
    while len(times) < 80:
        times.append(times[-1] + steps[len(times) % len(steps)])
    video = make(tmp_path / "a.mkv", still(1, 30) + pan(2, 21) + still(3, 29), times=times)
    expected = [float(times[index]) for index in (30, 51)]
    assert cuts(video.path) == expected
    assert cuts(video.path, 0, expected[0]) == []
    assert cuts(video.path, expected[0], expected[1]) == expected[:1]


def test_a_screen_recording_that_stores_changes_only(tmp_path: Path) -> None:
    times = [Fraction(n) for n in (0, 3, 7, 20, 21)]
    video = make(tmp_path / "a.mkv", [scene(seed)[:, :WIDTH] for seed in (1, 1, 2, 3, 3)], times=times)
    assert cuts(video.path) == [7.0, 20.0]


@pytest.mark.parametrize(
    "pictures",
    [
        pytest.param(still(1, 60), id="still"),
        pytest.param(noise(1, 60), id="noise"),
        pytest.param(grain(1, 60), id="grain"),
        pytest.param(pan(1, 60), id="pan"),
        pytest.param(pan(1, 60, pixels=12), id="whip pan"),
        pytest.param([picture for picture in pan(1, 20, pixels=12) for _ in range(3)], id="cartoon on threes"),
        pytest.param(still(1, 30) + pan(1, 30, pixels=16), id="camera starts to move"),
        pytest.param(still(1, 15) + fade(FIRST, SECOND, 20) + still(2, 15), id="dissolve"),
        pytest.param(fade(FIRST, BLACK, 15) + black(5) + fade(BLACK, SECOND, 15), id="through black"),
        pytest.param(still(1, 30) + [np.full_like(FIRST, 255)] * 2 + still(1, 30), id="flash"),
        pytest.param(still(1, 30) + still(2, 1) + still(1, 30), id="bad frame"),
        pytest.param(black(50), id="black"),
        pytest.param(black(1), id="one frame"),
    ],
)
def test_no_cut_where_there_is_none(tmp_path: Path, pictures: list[Picture]) -> None:
    assert cuts(make(tmp_path / "a.mp4", pictures).path) == []


def test_a_few_black_frames_between_two_shots_are_one_cut_and_many_are_a_shot(tmp_path: Path) -> None:
    short = make(tmp_path / "a.mp4", still(1, 30) + black(4) + still(2, 30))
    long = make(tmp_path / "b.mp4", still(1, 30) + black(20) + still(2, 30))
    assert cuts(short.path) == [34 / 25]
    assert cuts(long.path) == [30 / 25, 50 / 25]


def test_shots_are_no_shorter_than_stated(tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", [p for seed in range(12) for p in still(seed, 5)])
    found = [0.0, *cuts(video.path)]
    assert min(np.diff(found)) >= 0.3


@pytest.mark.parametrize(("fps", "gop"), [(25, 10), (25, 250), (NTSC, 37)])
def test_a_span_finds_the_cuts_that_a_run_through_the_video_finds(tmp_path: Path, fps: Fraction, gop: int) -> None:
    generator = np.random.default_rng(5)
    makers = (still, pan, grain, noise, lambda _, length: black(length))
    pictures: list[Picture] = []
    for seed in range(30):
        pictures += makers[generator.integers(len(makers))](seed, int(generator.integers(2, 24)))
    video = make(tmp_path / "a.mp4", pictures, fps=fps, gop=gop, codec="h264_b")
    whole = cuts(video.path)
    assert len(whole) > 6
    for length in (0.7, 3.0):
        starts = np.arange(0, float(video.duration), length)
        assert [cut for start in starts for cut in cuts(video.path, start, start + length)] == whole
    for rate in (0.2, 1):
        times = sampled(video.path, rate)
        assert times == sorted(set(times))
        for length in (0.7, 3.0):
            starts = np.arange(0, float(video.duration), length)
            assert [time for start in starts for time in sampled(video.path, rate, start, start + length)] == times
        shots = [(0.0, whole[0]), *zip(whole, [*whole[1:], 999.0], strict=True)]
        assert all(any(start <= time < end for time in times) for start, end in shots)
    for cut in whole[:4]:
        assert cuts(video.path, cut, cut + 0.03) == [cut]
        assert cuts(video.path, max(cut - 0.04, 0), cut - 0.001) == []


def test_spans_one_after_another_are_one_run_and_others_give_the_same(tmp_path: Path) -> None:
    pictures = [p for seed, length in enumerate([31, 24, 9, 50, 23, 8, 40]) for p in pan(seed, length)]
    video = make(tmp_path / "a.mp4", pictures, codec="h264_b", gop=48)
    spans = [(0.0, 1.2), (1.2, 1.24), (1.24, 1.3), (1.3, 4.0), (4.0, 9.0)]

    def found(span: Iterable[SampledFrame | Cut]) -> list[tuple[float, bytes]]:
        return sorted((one.pts_seconds, b"" if isinstance(one, Cut) else one.picture.tobytes()) for one in span)

    alone = [found(read_span(video.path, start, end, 1, SHAPE)) for start, end in spans]
    assert [one for part in alone for one in part] == found(read_span(video.path, 0, 9, 1, SHAPE))
    with VideoReader(video.path, 1, SHAPE) as reader:
        assert found(reader.read(*spans[0])) == alone[0]
        run = reader._run
        assert [found(reader.read(*span)) for span in spans[1:]] == alone[1:]
        assert reader._run is run and reader.is_at_end
        for place in (3, 1, 2, 0, 4):
            assert found(reader.read(*spans[place])) == alone[place]
        next(reader.read(*spans[0]))  # stopped halfway
        assert found(reader.read(*spans[1])) == alone[1]


def sampled(path: Path, rate: float, start: float = 0, end: float = 999) -> list[float]:
    found = read_span(path, start, end, rate, SHAPE)
    return [one.pts_seconds for one in found if isinstance(one, SampledFrame)]


def test_a_shot_with_a_sample_gets_no_other(tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", still(1, 40) + still(2, 40))
    assert sampled(video.path, 2, 1, 3) == [1.0, 1.52, 2.0, 2.52]


def test_a_shot_between_two_samples_is_sampled_in_its_first_moments(tmp_path: Path) -> None:
    lengths = [30, 10, 45, 9, 31, 12]  # cuts after 30, 40, 85, 94, 125 frames
    pictures = [picture for seed, length in enumerate(lengths) for picture in still(seed, length)]
    video = make(tmp_path / "a.mp4", pictures)
    assert sampled(video.path, 1) == [0, 1, (30 + 7) / 25, 2, 3, (85 + 7) / 25, 4, 5]
    frames = [one for one in read_span(video.path, 0, 99, 0.1, SHAPE) if isinstance(one, SampledFrame)]
    assert [frame.pts_seconds for frame in frames] == [0, 37 / 25, 47 / 25, 92 / 25, 101 / 25, 132 / 25]
    for seed, frame in enumerate(frames):
        [alone] = read_span(video.path, frame.pts_seconds, frame.pts_seconds + 0.01, 0.1, SHAPE)
        assert isinstance(alone, SampledFrame) and np.array_equal(alone.picture, frame.picture)
        assert seed == 0 or not np.array_equal(frames[seed - 1].picture, frame.picture)


def test_the_detector_keeps_a_bounded_number_of_frames() -> None:
    detector = ShotDetector(0.04)
    pictures = [np.full((2, 2, 3), value, np.int16) for value in (0, 30)]
    for index in range(2000):
        detector.add(index * 0.04, pictures[index % 2])
    assert len(detector._changes) <= 3 * detector.context_seconds / 0.04


def test_blank_pictures() -> None:
    assert is_blank(np.full((36, 64, 3), 7, np.int16))
    assert is_blank(np.full((36, 64, 3), (250, 10, 90), np.int16))
    assert not is_blank(scene(1)[:36, :64].astype(np.int16))


def test_the_mean_of_the_larger_half() -> None:
    assert upper_half_mean([]) == 0.0
    assert upper_half_mean([3.0]) == 3.0
    assert upper_half_mean([0, 0, 9, 0, 3]) == 4.0
