"""Damaged videos that once caused unnamed errors, and their results now."""

import errno
import io
import os
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import MediaMissing, UnreadableVideo
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.join import ReelPiece, cut_and_join
from executors.video_loader.clips.thumbnails import MAX_HEIGHT, make_thumbnail
from executors.video_loader.decode import packets
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.workers.video_workers import SpanOptions, sample_span

DAMAGED = Path(__file__).parent / "damaged"


@pytest.fixture
def video(tmp_path, request) -> Path:
    return Path(shutil.copy(DAMAGED / request.param, tmp_path / request.param))


@pytest.mark.parametrize("video", ["late-track.nut"], indirect=True)
@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_a_track_that_begins_in_the_middle_is_reported_or_left_out(video, mode):
    """PyAV looks beyond the end of an array for it: what lies there decides whether it notices."""
    try:
        made = cut_clip(video, 0.1, 0.4, mode, video.with_name("clip"))
    except UnreadableVideo as error:
        assert "a track begins in the middle of the file" in str(error)
        assert list(video.parent.iterdir()) == [video]
    else:
        assert made.path.stat().st_size > 1000


@pytest.mark.parametrize("video", ["tower.webm"], indirect=True)
def test_a_video_that_claims_to_be_a_tower_still_has_a_thumbnail(video):
    made = make_thumbnail(video, 0.3, 160)
    picture = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (MAX_HEIGHT, 160, 3)


@pytest.mark.parametrize("video", ["no-pictures-in-a-copy.wmv"], indirect=True)
def test_a_copy_without_pictures_is_joined_exactly(video):
    made = cut_and_join([ReelPiece(video, 0.0, 0.2, "video")] * 2, video.with_name("reel"), "copy")
    assert made.path.stat().st_size > 1000


class FailingDisk(io.BytesIO):
    """A file whose first half can be read."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 5000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(min(size or 5001, 5001))


@pytest.mark.parametrize("failure", [errno.EIO, None])
@pytest.mark.shows("A disk that fails in the middle", "told, not taken for the end")
def test_a_disk_that_fails_in_the_middle_is_told_and_not_taken_for_the_end(tmp_path, monkeypatch, failure):
    """FFmpeg reports an error in the middle, or even the end."""
    path = videos.make(tmp_path / "a.mp4", frames=250).path
    span = SpanOptions(0.0, 10.0, 1.0, "even", PictureShape(16, 16), 100)
    assert len(sample_span(path, "a.mp4", span).pts_seconds) == 10
    demux, open_path = packets.demux, Path.open

    def fail(container, *streams):
        for packet in demux(container, *streams):
            if packet.pts is not None and packet.pts * packet.time_base >= 3.2:
                if failure:
                    raise av.error.OSError(failure, os.strerror(failure))
                return
            yield packet

    def open_file(self, mode="r", *args, **options):
        return FailingDisk(path.read_bytes()) if self == path and options else open_path(self, mode, *args, **options)

    monkeypatch.setattr(packets, "demux", fail)
    assert len(sample_span(path, "a.mp4", span).pts_seconds) == 4  # the data is damaged, the disk is not
    monkeypatch.setattr(Path, "open", open_file)
    with pytest.raises(MediaMissing, match=r"'a\.mp4' cannot be read behind its first .* \(Input/output error\)"):
        sample_span(path, "a.mp4", span)
