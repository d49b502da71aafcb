"""Workarounds for PyAV 18.1. Each has a test in `test_av_quirks.py` that fails once it is no longer needed."""

from __future__ import annotations  # av's Packet takes its parameter in stubs only

import gc
from collections.abc import Iterator

from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from clipseek.api.errors import UnreadableVideo
from executors.machine.processors import processor_count


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """`container.demux`, which raises IndexError after a seek if a track begins in the middle of the file.

    Raises: UnreadableVideo: in place of that.
    """
    try:
        yield from container.demux(*streams)
    except IndexError as error:
        raise UnreadableVideo(
            "The video cannot be read to its end: a track begins in the middle of the file. Convert it, for example "
            "with: ffmpeg -i VIDEO NEW.mp4"
        ) from error


def free_frames() -> None:
    """Free frames whose `side_data` was read. They refer to each other, so only a garbage collection frees them."""
    gc.collect()


def make_graph() -> Graph:
    """A graph of filters. Left alone, it starts threads for the processors that the machine has, not its container."""
    graph = Graph()
    graph.threads = processor_count()
    return graph
