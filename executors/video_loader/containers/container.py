"""Opening files: real containers only, and errors that tell a bad video from a bad disk."""

import errno
import os
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from clipseek.api.errors import EmptyFile, MediaMissing, UnreadableVideo
from clipseek.api.formats import size
from clipseek.watch.video_formats import CONTAINERS, RAW_SUFFIXES
from executors.video_loader.containers.parts import FilePart, VideoFile, path_of

# Errors of the system. The content of a video never causes them.
_SYSTEM_ERRORS = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT}
_TRIAL_BYTES = 1_000_000
_BLOCK_BYTES = 8_000_000


def open_container(file: VideoFile, title: str, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a file or a part of it with FFmpeg, restricted to that and to the formats of `video_formats`.

    Raises: MediaMissing, EmptyFile, UnreadableVideo: see `open_video`. UnreadableVideo also if the hardware fails to
    open. MemoryError: PyAV's.
    """
    path = path_of(file)
    if not stat_video(path, title).st_size:
        raise EmptyFile(f"'{title}' is empty (0 bytes): choose another file")
    formats = ",".join([CONTAINERS, *filter(None, [RAW_SUFFIXES.get(path.suffix.lower())])])
    url, protocols = (file.url, "file,subfile") if isinstance(file, FilePart) else (f"file:{path.absolute()}", "file")
    options = {"protocol_whitelist": protocols, "format_whitelist": formats}
    try:
        return av.open(url, "r", container_options=options, metadata_errors="replace", hwaccel=hwaccel)
    except (av.FFmpegError, ValueError) as error:
        if hwaccel is None:  # with hardware the error may be the driver's
            _raise_system_error(path, title, error)
        raise UnreadableVideo(_explain_unreadable(path, title, error)) from error


def stat_video(path: Path, title: str) -> os.stat_result:
    """The file's size and times. Raises: MediaMissing: the file does not exist."""
    try:
        return path.stat()
    except OSError as error:
        raise MediaMissing(
            f"The file of '{title}' cannot be opened ({error.strerror}). Index the video again"
        ) from error


def check_readable(path: Path, title: str) -> None:
    """Read a whole file, which FFmpeg takes for shorter where a disk fails. Raises: MediaMissing."""
    place = 0
    try:
        with path.open("rb", buffering=0) as file:
            while data := file.read(_BLOCK_BYTES):
                place += len(data)
    except OSError as error:
        raise MediaMissing(
            f"The file of '{title}' cannot be read behind its first {size(place)} ({error.strerror}). Check its disk, "
            "then index it again: what is done stays"
        ) from error


def _raise_system_error(path: Path, title: str, error: Exception) -> None:
    if isinstance(error, av.error.MemoryError):
        raise error
    reason = error if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS else _try_reading(path)
    if reason:
        raise MediaMissing(
            f"The file of '{title}' cannot be read now ({reason.strerror}). Check its disk and permissions, then retry"
        ) from error


def _try_reading(path: Path) -> OSError | None:
    """The system's error when it reads the beginning and the end of the file, where FFmpeg looks first.

    FFmpeg's own EIO is no proof: it also reports EIO for some damaged containers.
    """
    try:
        with path.open("rb", buffering=0) as file:
            file.read(_TRIAL_BYTES)
            file.seek(max(0, path.stat().st_size - _TRIAL_BYTES))
            file.read(_TRIAL_BYTES)
    except OSError as error:
        return error
    return None


def _explain_unreadable(path: Path, title: str, error: Exception) -> str:
    if _lacks_mp4_index(path):
        return (
            f"'{title}' looks incomplete: the index that MP4 files carry at their end is missing. "
            "Copy or download the file again"
        )
    if _is_webp(path):
        return f"'{title}' is a WebP picture, whose animation FFmpeg cannot read here. Convert it to GIF or MP4"
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, av.error.ArgumentError | av.error.InvalidDataError | ValueError):
        reason = "its content is none of the formats that ClipSeek reads"
    return (
        f"'{title}' is not a video that can be read: {reason}. "
        "Choose a video such as MP4, MKV, WebM, MOV, AVI or TS, or convert it to H.264 in MP4"
    )


def _is_webp(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(12)
    return header[:4] == b"RIFF" and header[8:] == b"WEBP"


def _lacks_mp4_index(path: Path) -> bool:
    size, position = path.stat().st_size, 0
    kinds: list[bytes] = []
    with path.open("rb") as file:
        while position + 8 <= size and len(kinds) < 64:
            file.seek(position)
            header = file.read(16)
            kinds.append(header[4:8])
            length = int.from_bytes(header[:4])
            length = int.from_bytes(header[8:16]) if length == 1 else length
            if length < 8:
                break
            position += length
    return bool(kinds) and kinds[0] in {b"ftyp", b"mdat", b"wide"} and b"moov" not in kinds
