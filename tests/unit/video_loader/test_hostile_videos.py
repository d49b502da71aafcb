"""Files that would make FFmpeg open other files or addresses, under misleading names: no task does that."""

import os
import socket
import struct
from pathlib import Path

import pytest

from benchmarks.spans import sample_frames
from benchmarks.synthetic import videos
from clipseek.api.errors import MediaMissing, PathNotAllowed, UnreadableVideo
from executors.video_loader.clips.cut import cut_clip
from executors.video_loader.clips.join import ReelPiece, cut_and_join
from executors.video_loader.clips.thumbnails import make_thumbnail
from executors.video_loader.decode.picture import PictureShape
from executors.video_loader.decode.probe import probe_video
from executors.video_loader.media.media_files import MediaFiles

TASKS = {
    "probe": lambda video, out: probe_video(video),
    "span": lambda video, out: list(sample_frames(video, 0.0, 1.0, 5.0, PictureShape(32, 32))),
    "thumbnail": lambda video, out: make_thumbnail(video, 0.1, 64),
    "exact clip": lambda video, out: cut_clip(video, 0.0, 0.4, "exact", out),
    "copied clip": lambda video, out: cut_clip(video, 0.0, 0.4, "copy", out),
    "joined video": lambda video, out: cut_and_join([ReelPiece(video, 0.0, 0.4, "video")], out),
}
# {video}: a video that must not be read this way; {port}: of a listening socket.
TEXTS = {
    "playlist of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n",
    "playlist of an address": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
    "playlist of playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{port}/a.m3u8\n",
    "list to concatenate": "ffconcat version 1.0\nfile '{video}'\nduration 1\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>http://127.0.0.1:{port}/a'
    "</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "SMIL of RTSP": "RTSPtextrtsp://127.0.0.1:{port}/a",
    "subtitles with a path": "1\n00:00:00,000 --> 00:00:01,000\n<img src='{video}'>\n",
    "SVG": '<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:{port}/a.png"/></svg>',
    "data address": "data:video/mp4;base64,AAAA",
    "ffmetadata": ";FFMETADATA1\ntitle={video}\n",
}
NAMES = ("video.mp4", "video.m3u8", "video.ffconcat", "video.mpd", "video.sdp", "video.mkv", "video.%03d.png", "video")


@pytest.fixture
def listener():
    """A socket to which nobody may connect."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made
        with pytest.raises(BlockingIOError):
            made.accept()


@pytest.fixture
def secret(tmp_path) -> Path:
    return videos.make(tmp_path / "secret.mp4", frames=20).path


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_is_no_video_whatever_its_name(tmp_path, listener, secret, kind):
    text = TEXTS[kind].replace("{video}", str(secret)).replace("{port}", str(listener.getsockname()[1]))
    for name in NAMES:
        video = tmp_path / name
        video.write_text(text)
        for task in TASKS.values():
            with pytest.raises(UnreadableVideo):
                task(video, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "name",
    [
        "concat:secret.mp4",
        "a|b.mp4",
        "data:x",
        "http:x.mp4",
        "video%03d.mp4",
        "-.mp4",
        "a; touch x.mp4",
        "a'\"$(id).mp4",
    ],
)
def test_names_that_look_like_addresses_or_commands_are_names(tmp_path, secret, name, task, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = TASKS[task](secret.rename(tmp_path / name), tmp_path / "out")
    assert result
    assert {file.name for file in tmp_path.iterdir()} <= {name, "out.mp4"}


@pytest.mark.parametrize("where", ["secret.mp4", "absolute"])
@pytest.mark.parametrize("task", TASKS)
def test_pictures_in_another_file_are_not_fetched(tmp_path, secret, task, where):
    video = videos.make(tmp_path / "video.mov", frames=20).path
    refer(video, str(secret) if where == "absolute" else where)
    with pytest.raises(UnreadableVideo):
        TASKS[task](video, tmp_path / "out")


def refer(video: Path, target: str) -> None:
    """Have the track of a MOV file, whose index lies at its end, say that its pictures are in another file."""
    data = bytearray(video.read_bytes())
    moov = data.index(b"moov")
    place = data.index(b"dref", moov) - 4
    old = struct.unpack(">I", data[place : place + 4])[0]
    path = target.encode()
    path += bytes(len(path) % 2)
    alias = bytes(10) + b"\x01v" + bytes(26) + bytes(12) + bytes([6]) + b"secret".ljust(63, b"\0") + bytes(16)
    alias += struct.pack(">HH", 1, 1) + bytes(16) + struct.pack(">HH", 2, len(path)) + path + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    data[place : place + old] = box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = data.index(name, moov) - 4
        size = struct.unpack(">I", data[start : start + 4])[0] + len(box) - old
        data[start : start + 4] = struct.pack(">I", size)
    video.write_bytes(data)


@pytest.mark.parametrize(
    "path", ["../secret.mp4", "link.mp4", "linked/secret.mp4", "a\0b.mp4", "x" * 5000, "~root/a.mp4"]
)
def test_only_files_in_allowed_folders_are_registered(tmp_path, secret, path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link.mp4").symlink_to(secret)
    (allowed / "linked").symlink_to(tmp_path)
    store = MediaFiles(tmp_path / "media", (allowed,), 1000)
    for call in (store.register, store.folders.list_videos):
        with pytest.raises(PathNotAllowed):
            call(f"{allowed}/{path}" if not path.startswith("~") else path)


def test_a_link_that_is_swapped_later_is_not_followed(tmp_path):
    allowed = tmp_path / "allowed"
    (allowed / "videos").mkdir(parents=True)
    videos.make(allowed / "videos" / "a.mp4", frames=10)
    (tmp_path / "elsewhere").mkdir()
    store = MediaFiles(tmp_path / "media", (allowed,), 1000)
    record = store.register(f"{allowed}/videos/a.mp4")
    state = (allowed / "videos" / "a.mp4").stat()
    (tmp_path / "elsewhere" / "a.mp4").write_bytes((allowed / "videos" / "a.mp4").read_bytes())
    os.utime(tmp_path / "elsewhere" / "a.mp4", ns=(state.st_atime_ns, state.st_mtime_ns))
    (allowed / "videos").rename(allowed / "before")
    (allowed / "videos").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MediaMissing):
        store.path(record.video_id)
