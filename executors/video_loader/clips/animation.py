"""Clips as animated GIF: small, without sound, in the 256 colours that show them best."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from clipseek.api.errors import LimitExceeded
from executors.video_loader.clips.encode import show_frames
from executors.video_loader.decode.picture import FrameRenderer
from executors.video_loader.decode.quirks import make_graph
from executors.video_loader.decode.source import VideoSource

MOST_SECONDS = 60  # 720 pictures: larger files are no use in chats and documents
MOST_WIDTH = 480
FPS = Fraction(25, 2)  # GIF counts hundredths of a second: 8 of them each
_TICKS_PER_SECOND = 100


def encode_gif(source: VideoSource, start: Fraction, end: Fraction, destination: Path) -> None:
    """Write `[start, end)` of a video as a GIF that repeats. Decodes the range twice, and keeps none of it in memory.

    Raises: LimitExceeded: it is longer than `MOST_SECONDS`.
    """
    if end - start > MOST_SECONDS:
        raise LimitExceeded(
            f"A GIF of {float(end - start):g} s is above the limit of {MOST_SECONDS} s. Choose a shorter range, or .mp4"
        )
    palette = _find_colours(_pictures(source, start, end))
    with av.open(str(destination), "w", format="gif") as clip:
        track: VideoStream | None = None
        for picture in _use_colours(_pictures(source, start, end), palette):
            if track is None:
                track = clip.add_stream("gif", rate=FPS)
                track.width, track.height, track.pix_fmt = picture.width, picture.height, picture.format.name
                track.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
            for packet in track.encode(picture):
                packet.duration = _duration(packet.pts or 0, end - start)
                clip.mux(packet)
        if track is not None:
            clip.mux(track.encode(None))


def _duration(ticks: int, seconds: Fraction) -> int:
    return max(1, min(math.ceil(_TICKS_PER_SECOND / FPS), round(seconds * _TICKS_PER_SECOND) - ticks))


def _pictures(source: VideoSource, start: Fraction, end: Fraction) -> Iterator[VideoFrame]:
    """The pictures on screen at each step of the GIF, small and upright."""
    renderer = FrameRenderer(source.first_frame, source.stream.sample_aspect_ratio)
    full_width, full_height = renderer.measure(source.first_frame)
    width = min(full_width, MOST_WIDTH)
    size = width, max(1, round(width * full_height / full_width))
    step = 0
    for frame, _, until in show_frames(source, start, end):
        if start + step / FPS >= until:
            continue
        picture = renderer.scale(frame, *size)
        while start + step / FPS < until:
            shown = VideoFrame.from_ndarray(picture, "rgb24")
            shown.pts, shown.time_base = round(step / FPS * _TICKS_PER_SECOND), Fraction(1, _TICKS_PER_SECOND)
            yield shown
            step += 1


def _find_colours(pictures: Iterator[VideoFrame]) -> VideoFrame:
    graph: Graph | None = None
    for picture in pictures:
        if graph is None:
            graph = make_graph()
            source = _add_source(graph, picture)
            graph.link_nodes(source, graph.add("palettegen"), graph.add("buffersink")).configure()
        graph.push(picture)
    assert graph is not None  # a range shows a picture at least
    graph.push(None)
    return cast(VideoFrame, graph.pull())


def _use_colours(pictures: Iterator[VideoFrame], palette: VideoFrame) -> Iterator[VideoFrame]:
    graph: Graph | None = None
    for picture in pictures:
        if graph is None:
            graph = make_graph()
            source, colours = _add_source(graph, picture), _add_source(graph, palette)
            use, sink = graph.add("paletteuse"), graph.add("buffersink")
            source.link_to(use, 0, 0)
            colours.link_to(use, 0, 1)
            use.link_to(sink)
            graph.configure()
            palette.pts, palette.time_base = 0, Fraction(1, _TICKS_PER_SECOND)
            colours.push(palette)
            colours.push(None)
        source.push(picture)
        yield from _pull(graph)
    if graph is not None:
        source.push(None)
        yield from _pull(graph)


def _pull(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield cast(VideoFrame, graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _add_source(graph: Graph, like: VideoFrame) -> FilterContext:
    return graph.add_buffer(
        width=like.width,
        height=like.height,
        format=VideoFormat(like.format.name),
        time_base=Fraction(1, _TICKS_PER_SECOND),
    )
