"""Facts of videos, and the errors of files that are not videos."""

import resource
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks.spans import sample_frames
from benchmarks.synthetic import videos
from clipseek.api.errors import EmptyFile, MediaMissing, NoVideoStream, UnreadableVideo
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video


@pytest.mark.parametrize(
    ("name", "codec", "options", "facts"),
    [
        ("a.mp4", "h264", {}, (2.0, 64, 48, 25.0, "h264", "mp4", 0, False)),
        ("a.mp4", "h264_b", {"first": Fraction(7, 2), "audio": True}, (2.0, 64, 48, 25.0, "h264", "mp4", 0, True)),
        ("a.mkv", "hevc", {}, (2.0, 64, 48, 25.0, "hevc", "matroska", 0, False)),
        ("a.webm", "vp8", {"audio": True}, (2.0, 64, 48, 25.0, "vp8", "webm", 0, True)),
        ("a.avi", "mpeg4_b", {}, (2.0, 64, 48, 25.0, "mpeg4", "avi", 0, False)),
        ("a.avi", "h264_b", {}, (2.0, 64, 48, 25.0, "h264", "avi", 0, False)),
        ("a.mov", "mjpeg", {}, (2.0, 64, 48, 25.0, "mjpeg", "mov", 0, False)),
        ("a.ts", "h264_b", {"first": Fraction(1)}, (2.0, 64, 48, 25.0, "h264", "mpegts", 0, False)),
        ("a.mp4", "h264", {"rotation_degrees": 90}, (2.0, 48, 64, 25.0, "h264", "mp4", 90, False)),
        ("a.mp4", "h264", {"rotation_degrees": 180}, (2.0, 64, 48, 25.0, "h264", "mp4", 180, False)),
        ("a.mov", "h264", {"rotation_degrees": 270}, (2.0, 48, 64, 25.0, "h264", "mov", 270, False)),
        ("a.mp4", "h264", {"aspect": Fraction(4, 3)}, (2.0, 85, 48, 25.0, "h264", "mp4", 0, False)),
        ("a.mp4", "h264", {"frames": 1}, (0.04, 64, 48, 25.0, "h264", "mp4", 0, False)),
        ("a b; c'.mp4", "h264", {}, (2.0, 64, 48, 25.0, "h264", "mp4", 0, False)),
        ("a.mp4", "h264", {"cover": True}, (2.0, 64, 48, 25.0, "h264", "mp4", 0, False)),
        ("a.mkv", "h264", {"small_first": True}, (2.0, 64, 48, 25.0, "h264", "matroska", 0, False)),
    ],
)
def test_facts(tmp_path: Path, name: str, codec: str, options: dict, facts: tuple) -> None:
    video = videos.make(tmp_path / name, codec=codec, **options)
    info = probe_video(video.path)
    assert info.duration_seconds == pytest.approx(facts[0], abs=0.0015)
    assert info.fps == pytest.approx(facts[3], rel=0.001)
    found = (info.width, info.height, info.codec, info.container, info.rotation_degrees, info.has_audio)
    assert found == (facts[1], facts[2], *facts[4:])
    assert info.size_bytes == video.path.stat().st_size


def test_duration_of_a_long_video_is_found_at_its_end(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mkv", frames=301, fps=Fraction(30000, 1001), gop=60)
    assert probe_video(video.path).duration_seconds == pytest.approx(301 * 1001 / 30000, abs=0.002)


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 10), Fraction(3), Fraction(31, 10), Fraction(8)]
    video = videos.make(tmp_path / "a.mp4", times=times)
    assert probe_video(video.path).duration_seconds == pytest.approx(
        8, abs=1.7
    )  # the last frame's own length is unknown


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_truncated_video_is_as_long_as_the_data_left(tmp_path: Path, name: str) -> None:
    video = videos.make(tmp_path / "whole.mkv", frames=400)
    if name == "a.mp4":
        video = _faststart(videos.make(tmp_path / "whole.mp4", frames=400), tmp_path / "front.mp4")
    elif name == "a.ts":
        video = videos.make(tmp_path / "whole.ts", frames=400)
    data = video.path.read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 6 // 10])
    info = probe_video(tmp_path / name)
    assert 4 < info.duration_seconds < 14
    shape = PictureShape(16, 16)
    frames = [(f.pts_seconds, videos.read_slate(f.picture)) for f in sample_frames(tmp_path / name, 0, 99, 25, shape)]
    assert abs(frames[-1][0] + 0.04 - info.duration_seconds) < 0.2
    assert all(round(seconds * 25) % videos.SLATES == slate for seconds, slate in frames[:-2])


def _faststart(video: videos.Video, path: Path) -> videos.Video:
    from executors.video_loader.clips.cut import cut_clip

    clip = cut_clip(video.path, 0, float(video.duration), "copy", path.with_suffix(""))
    return videos.Video(clip.path, video.times, video.duration)


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4")
    data = video.path.read_bytes()
    video.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableVideo, match="looks incomplete"):
        probe_video(video.path, "my film.mp4")


def test_files_that_are_not_videos(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(EmptyFile, match=r"'empty\.mp4' is empty"):
        probe_video(empty)
    with pytest.raises(MediaMissing):
        probe_video(tmp_path / "none.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 1000)
    with pytest.raises(UnreadableVideo, match=r"'the title' is not a video that can be read: its content is none"):
        probe_video(text, "the title")
    sound = videos.make_sound(tmp_path / "sound.m4a")
    with pytest.raises(NoVideoStream, match="sound only"):
        probe_video(sound)


def test_a_file_that_cannot_be_read_now_is_not_called_a_bad_video(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mp4").path
    with pytest.raises(MediaMissing, match=r"'the title' cannot be read now \(Is a directory\)"):
        probe_video(tmp_path, "the title")  # like a bad disk: it opens, but cannot be read
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # open files stay open
    try:
        with pytest.raises(MediaMissing, match=r"'the title' cannot be read now \(Too many open files\)"):
            probe_video(video, "the title")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert probe_video(video).duration_seconds == 2.0


def test_playlists_and_still_pictures_are_refused(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.ts")
    playlist = tmp_path / "list.mp4"
    lists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video.path}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {video.path}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ]
    for text in lists:
        playlist.write_text(text)
        with pytest.raises(UnreadableVideo):
            probe_video(playlist)
    from PIL import Image

    for name in ("a.png", "a.jpg"):
        Image.fromarray(videos.slate(3)).save(tmp_path / name)
        with pytest.raises(UnreadableVideo):
            probe_video(tmp_path / name)


def test_cover_art_alone_is_no_video(tmp_path: Path) -> None:
    import av
    from av.stream import Disposition

    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=videos.AUDIO_RATE)
        picture = videos._track(output, "mjpeg", (64, 48), 1, 1)
        picture.disposition = Disposition.attached_pic
        output.mux(picture.encode(videos._frame(videos.slate(1), Fraction(0))))
        output.mux(picture.encode(None))
        output.mux(sound.encode(videos._tone(0, Fraction(0))))
        output.mux(sound.encode(None))
    with pytest.raises(NoVideoStream, match="only a cover picture"):
        probe_video(path)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    video = videos.make(tmp_path / "a.mkv")
    shutil.move(video.path, tmp_path / "concat:x|y.txt")
    assert probe_video(tmp_path / "concat:x|y.txt").duration_seconds == pytest.approx(2, abs=0.0015)
