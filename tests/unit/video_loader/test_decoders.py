"""Hardware decoders: which there are, what happens without one, and frames in the layouts that hardware gives.

No hardware decodes here. Where some has to, FFmpeg's own decoder stands in for it, a damaged packet for its failure.
"""

import logging
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from benchmarks.synthetic import videos
from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import Settings
from executors.video_loader.decode import source as decoding
from executors.video_loader.decode.hardware import choose_decoder, find_problem, list_hardware
from executors.video_loader.decode.picture import FrameRenderer, PictureShape
from executors.video_loader.decode.source import Needs, open_video
from executors.video_loader.sample.shots import PreviewMaker
from executors.video_loader.workers.video_workers import SpanOptions, VideoWorkers, sample_span

without_hardware = pytest.mark.skipif(
    any(find_problem(kind) is None for kind in list_hardware()), reason="this machine has what this test does without"
)
KIND = next(iter(list_hardware()), "cuda")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return videos.make(tmp_path_factory.mktemp("videos") / "a.mp4", codec="h264_b_closed", frames=100, gop=25).path


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@without_hardware
def test_listed_hardware_can_decode_h264():
    assert set(list_hardware()) <= set(hwdevices_available())
    for kind in list_hardware():
        with pytest.raises(av.FFmpegError):  # not present, but FFmpeg knows what to look for
            HWAccel(kind).create(Codec("h264", "r"))
    for kind in set(hwdevices_available()) - set(list_hardware()):
        with pytest.raises(NotImplementedError, match="No supported hardware config"):
            HWAccel(kind).create(Codec("h264", "r"))


def test_software_needs_nothing(caplog):
    assert choose_decoder("software") == "software"
    assert not warnings(caplog)


@without_hardware
def test_auto_does_without_hardware_and_says_so(caplog):
    assert choose_decoder("auto") == "software"
    [told] = warnings(caplog)
    assert told.startswith("videos are decoded in software: no hardware can be opened (")
    assert all(f"{kind}: " in told for kind in list_hardware())


def test_hardware_unknown_to_ffmpeg_is_refused():
    with pytest.raises(InvalidSetting) as refused:
        choose_decoder("toaster")
    told = str(refused.value)
    assert told.startswith("CLIPSEEK_DECODER is 'toaster', but must be software, auto, or hardware that FFmpeg offers")
    assert told.endswith(f": {', '.join(list_hardware()) or 'none'}")


@without_hardware
@pytest.mark.skipif("cuda" not in list_hardware(), reason="FFmpeg was built without")
def test_the_loader_does_not_start_without_the_named_hardware(tmp_path):
    with pytest.raises(InvalidSetting, match=r"CLIPSEEK_DECODER is 'cuda', but it cannot be opened \(cuda: .*libcuda"):
        VideoWorkers(Settings(tmp_path, tmp_path, decoder="cuda"))


@without_hardware
def test_auto_samples_like_software(video, tmp_path):
    work = VideoWorkers(Settings(tmp_path, tmp_path, decoder="auto"))
    options = SpanOptions(0.0, 4.0, 5.0, "even", PictureShape(32, 24), 100)
    try:
        assert work.decoder == "software"
        assert work.sample(video, "a", options) == sample_span(video, "a", options)
    finally:
        work.close()


@without_hardware
@pytest.mark.parametrize("sampling", ["even", "keyframes"])
def test_a_video_for_which_no_hardware_opens_is_sampled_in_software(video, caplog, sampling):
    options = SpanOptions(0.0, 4.0, 5.0, sampling, PictureShape(32, 24), 100)
    right = sample_span(video, "a", options)
    assert len(right.pts_seconds) == {"even": 20, "keyframes": 4}[sampling]
    assert sample_span(video, "a", options, KIND) == right
    assert warnings(caplog)[0].startswith(f"'a' is decoded in software: {KIND} cannot decode it ([Errno ")


@pytest.fixture
def stand_in(monkeypatch):
    """Passes FFmpeg's own decoder off as hardware."""
    monkeypatch.setattr(decoding, "make_accelerator", lambda decoder: None)
    monkeypatch.setattr(decoding, "is_decoded_in_hardware", lambda context, kind: True)


def test_a_codec_that_does_not_use_the_hardware_is_decoded_with_all_threads(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(decoding, "make_accelerator", lambda decoder: None)  # as if the hardware had opened
    monkeypatch.setattr(decoding, "processor_count", lambda: 2)
    video = videos.make(tmp_path / "a.mov", codec="prores").path
    with open_video(video, decoder=KIND) as source:
        assert (source.decoder, source.stream.codec_context.thread_count) == ("software", 2)
        assert len(list(source.frames())) == 50
    [told] = warnings(caplog)
    assert told == (
        f"'a.mov' is decoded in software: {KIND} cannot decode it "
        "(FFmpeg's decoder prores gives yuv422p10le without it)"
    )


def with_damage(video: Path, copy: Path, place: int) -> Path:
    """The video with nonsense instead of the packet that is stored as number `place`."""
    with av.open(str(video)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][place]
        position, size = packet.pos, packet.size
    data = bytearray(video.read_bytes())
    data[position : position + size] = b"\xff" * size
    copy.write_bytes(data)
    return copy


@pytest.mark.parametrize("place", [0, 1, 50, 60, 99])
@pytest.mark.parametrize(
    ("codec", "needs", "gap"),
    [
        ("h264_b_closed", Needs.ALL, Fraction(0)),
        ("h264_b_closed", Needs.LOOKS, Fraction(1, 8)),
        ("mjpeg", Needs.KEYFRAMES, Fraction(0)),  # it has only keyframes
    ],
)
def test_software_continues_where_hardware_fails(tmp_path, stand_in, caplog, place, codec, needs, gap):
    whole = videos.make(tmp_path / "a.mov", codec=codec, frames=100, gop=25).path
    damaged = with_damage(whole, tmp_path / "b.mov", place)
    found = []
    for decoder in ("software", KIND):
        with open_video(damaged, needs=needs, most_gap_seconds=gap, decoder=decoder) as source:
            seen = [(t.time, t.follows_gap, t.frame.to_ndarray().tobytes()) for t in source.frames()]
            found.append((source.first_pts, seen))
            assert source.decoder == "software"
    assert found[0] == found[1]
    assert len(found[0][1]) > 40
    [told] = warnings(caplog)
    assert told.startswith(f"'b.mov' is decoded in software: {KIND} cannot decode it (FFmpeg: ")


def test_an_undamaged_video_stays_with_the_hardware(video, stand_in, caplog):
    with open_video(video, decoder=KIND) as source:
        assert len(list(source.frames())) == 100
        assert len(list(source.frames(Fraction(2)))) == 50
        assert source.decoder == KIND
    assert not warnings(caplog)


@pytest.mark.parametrize(("matrix", "colour_range"), [(None, None), (Colorspace.ITU709, ColorRange.JPEG)])
@pytest.mark.parametrize(
    ("codec", "size", "layout"),
    [
        ("h264", (256, 192), "nv12"),
        ("h264", (1280, 720), "nv12"),
        ("mjpeg", (256, 192), "nv12"),
        ("h264_10_bit", (256, 192), "p010le"),
    ],
)
def test_pictures_do_not_depend_on_the_layout(tmp_path, codec, size, layout, matrix, colour_range):
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    picture = np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    video = videos.make(tmp_path / "a.mkv", codec=codec, size=size, pictures=[picture]).path
    with open_video(video) as source:
        frame = source.first_frame
    frame.colorspace = frame.colorspace if matrix is None else int(matrix)
    frame.color_range = frame.color_range if colour_range is None else int(colour_range)
    other = VideoReformatter().reformat(
        frame, format=layout, src_color_range=frame.color_range, dst_color_range=frame.color_range
    )
    assert frame.format.name != other.format.name == layout
    other.colorspace, other.color_range = frame.colorspace, frame.color_range
    pictures = [FrameRenderer(each, None).scale(each, 60, 44) for each in (frame, other)]
    assert pictures[0].std() > 20
    assert np.array_equal(*pictures)
    assert np.array_equal(*(PreviewMaker().make(each) for each in (frame, other)))
