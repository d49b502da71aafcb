"""Where the file of a video lies for the program that reads an export."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import quote

from clipseek.api.documents import Video
from clipseek.api.formats import one_line


def reader_path(folder: str) -> PurePath:
    """A folder as the reader's machine writes it: `D:\\Footage` and `\\\\server\\share` are of Windows."""
    windows = PureWindowsPath(folder)
    return windows if windows.drive or "\\" in folder else PurePosixPath(folder)


def media_path(video: Video, server_path: str = "", media_root: PurePath | None = None) -> PurePath:
    """The file of a video: in `media_root` if that is given, else where the server has it in place, else its title."""
    if media_root is None and server_path:
        return PurePosixPath(server_path)
    name = PurePosixPath(server_path).name or one_line(video.title).replace("/", "_").replace("\\", "_")
    return (media_root or PurePosixPath("/")) / name


def find_media(folder: Path, videos: Iterable[Video], server_paths: Mapping[str, str]) -> dict[str, Path]:
    """The files of videos in or below a folder of this machine, by video id: those of the same name and size."""
    wanted: dict[str, list[Video]] = {}
    for video in videos:
        wanted.setdefault(media_path(video, server_paths.get(video.video_id, ""), PurePosixPath()).name, []).append(
            video
        )
    found: dict[str, Path] = {}
    for parent, _, names in os.walk(folder):
        for name in wanted.keys() & set(names):
            path = Path(parent, name)
            found |= {video.video_id: path for video in wanted[name] if _size(path) == video.size_bytes}
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def file_url(path: PurePath, host: str = "") -> str:
    """The URL of a file, with other signs than letters and digits percent-encoded as UTF-8."""
    text = path.as_posix()
    if text.startswith("//"):  # a share of Windows: \\server\share
        return f"file:{quote(text)}"
    return f"file://{host}/{quote(text.lstrip('/'), safe='/:' if path.drive else '/')}"
