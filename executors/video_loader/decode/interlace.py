"""Interlaced video: frames of two fields, each half of the rows, taken at different times. Others stay as they are."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.error import BlockingIOError as NoFrameYet
from av.error import EOFError as NoMoreFrames
from av.filter import Graph
from av.video.frame import VideoFrame

from executors.video_loader.decode.quirks import make_graph

_COLOURS = ("colorspace", "color_primaries", "color_trc", "color_range")
ShownFrame = tuple[VideoFrame, Fraction, Fraction]  # and from when until when it is shown, in seconds


def take_field(frame: VideoFrame) -> VideoFrame:
    """The upper field of an interlaced frame, half as high; other frames as they are. For single pictures."""
    if not frame.interlaced_frame or frame.height < 4 or frame.height % 4 or not _is_planar(frame):
        return frame
    field = VideoFrame(frame.width, frame.height // 2, frame.format.name)
    for plane, half in zip(frame.planes, field.planes, strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height : 2]
        length = min(plane.line_size, half.line_size)
        wide = np.zeros((half.height, half.line_size), np.uint8)
        wide[:, :length] = rows[: half.height, :length]
        half.update(wide.tobytes().ljust(half.buffer_size, b"\0"))
    for name in _COLOURS:
        setattr(field, name, getattr(frame, name))
    field.pts = frame.pts
    if frame.time_base:  # a decoder without its container knows none
        field.time_base = frame.time_base
    return field


def deinterlace(frames: Iterator[ShownFrame]) -> Iterator[ShownFrame]:
    """Frames without combs, with both fields' detail where nothing moves. One frame comes late."""
    graph: Graph | None = None
    shape: tuple[int, int, str] | None = None
    times: deque[tuple[Fraction, Fraction]] = deque()
    for frame, since, until in frames:
        if graph is not None and shape != _shape_of(frame):  # a graph takes frames of one size
            yield from _finish(graph, times)
            graph = None
        if graph is None and not frame.interlaced_frame:
            yield frame, since, until
            continue
        graph, shape = graph or _make_graph(frame), _shape_of(frame)
        times.append((since, until))
        graph.push(frame)
        yield from _pull(graph, times)
    if graph is not None:
        yield from _finish(graph, times)


def _shape_of(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _finish(graph: Graph, times: deque[tuple[Fraction, Fraction]]) -> Iterator[ShownFrame]:
    graph.push(None)
    yield from _pull(graph, times)


def _pull(graph: Graph, times: deque[tuple[Fraction, Fraction]]) -> Iterator[ShownFrame]:
    while times:
        try:
            frame = graph.pull()
        except (NoFrameYet, NoMoreFrames):
            return
        assert isinstance(frame, VideoFrame)
        yield frame, *times.popleft()


def _make_graph(frame: VideoFrame) -> Graph:
    graph = make_graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 90_000)
    )
    weave = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    return graph


def _is_planar(frame: VideoFrame) -> bool:
    return len(frame.planes) == len(frame.format.components) and all(not c.is_alpha for c in frame.format.components)
