"""PyAV's own behaviour that `decode/quirks.py` works around. If a test fails, its workaround can go."""

import gc
from pathlib import Path

import av
import pytest
from av.filter import Graph

from benchmarks.synthetic import videos


def test_a_track_that_begins_in_the_middle_is_an_index_error_after_a_seek():
    with av.open(str(Path(__file__).parent / "damaged" / "late-track.nut")) as container:
        stream = container.streams.video[0]
        container.seek(0, stream=stream)
        with pytest.raises(IndexError):
            list(container.demux(stream))


def test_a_frame_and_its_side_data_refer_to_each_other(tmp_path):
    video = videos.make(tmp_path / "a.mp4", frames=2).path
    gc.disable()
    try:
        with av.open(str(video)) as container:
            frame = next(container.decode(video=0))
            gc.collect()
            list(frame.side_data)
            del frame
            assert gc.collect() > 0
    finally:
        gc.enable()


def test_a_graph_counts_the_processors_by_itself():
    assert Graph().threads == 0  # for FFmpeg, that is as many as the machine has
