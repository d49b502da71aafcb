"""Samples single spans of videos, for benchmarks and tests."""

from collections.abc import Iterator
from pathlib import Path

from clipseek.api.limits import EVEN
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.sample.sampler import VideoReader
from executors.video_loader.sample.span_reader import Cut, SampledFrame


def read_span(
    path: Path,
    start_seconds: float,
    end_seconds: float,
    frames_per_second: float,
    shape: PictureShape,
    title: str = "",
    sampling: str = EVEN,
) -> Iterator[SampledFrame | Cut]:
    """`VideoReader.read` for a single span. Raises the same errors."""
    with VideoReader(path, frames_per_second, shape, title, sampling) as reader:
        yield from reader.read(start_seconds, end_seconds)


def sample_frames(
    path: Path, start_seconds: float, end_seconds: float, frames_per_second: float, shape: PictureShape, title: str = ""
) -> Iterator[SampledFrame]:
    """`read_span` without the cuts."""
    items = read_span(path, start_seconds, end_seconds, frames_per_second, shape, title)
    return (item for item in items if isinstance(item, SampledFrame))
