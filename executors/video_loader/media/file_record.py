"""What is kept beside a video: its record, and how files are named after it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clipseek.api.errors import InvalidRequest, StoreCorrupt
from clipseek.api.formats import excerpt
from clipseek.config.libraries import SUBTITLE_MARK, VIDEO_MARK
from clipseek.machine.sync import sync

_VIDEO_ID = re.compile(r"[0-9a-f]{64}")
_UNSAFE, _NAME_BYTES = re.compile(r"[^\w.-]"), 100
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(frozen=True)
class FileRecord:
    """The record of a video's file. Its fields are the keys of a JSON file on disk and must keep their names.

    `linked_path` and `mtime_ns` are set only for a registered video, which is used in place. `untried` is true
    until FFmpeg has read the video once. Records without it count as tried: no video that may be in use is mistaken for
    one that never worked.
    """

    video_id: str
    title: str
    size_bytes: int
    file_name: str = ""
    linked_path: str = ""
    mtime_ns: int = 0
    untried: bool = False
    own_zero: bool = False  # its times count from the file's zero, and its first picture is shown later
    stream: int = 0  # the video track that somebody chose, from 1; 0: the usual one
    subtitles: tuple[str, ...] = ()  # names of files beside it, which came with it

    def to_json(self) -> str:
        """The record as it is kept. Older loaders can read it, too, once the video was tried and if it is usual."""
        newer = ("untried", "own_zero", "stream", "subtitles")
        return json.dumps(
            {key: value for key, value in asdict(self).items() if key not in newer or value}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "FileRecord":
        """Read what `to_json` wrote. Raises: ValueError, TypeError: it is something else."""
        record = cls(**json.loads(text))
        return replace(record, subtitles=tuple(record.subtitles))


def parse_record(data: str | bytes, video_id: str, where: str) -> FileRecord:
    """The record of a video, which names no file but its own. Raises: StoreCorrupt: it is damaged."""
    try:
        return _check_names(FileRecord.from_json(data), video_id)
    except (ValueError, TypeError) as error:
        raise StoreCorrupt(
            f"The record of video {video_id[:12]} at {where} is damaged ({error}). Restore it, or delete the video and "
            "index its file again"
        ) from error


def _check_names(record: FileRecord, video_id: str) -> FileRecord:
    own_names = all(name.startswith(f"{video_id}{SUBTITLE_MARK}") and "/" not in name for name in record.subtitles)
    own_name = re.fullmatch(rf"{re.escape(video_id + VIDEO_MARK)}(\.[a-z0-9]{{1,8}})?", record.file_name)
    if record.video_id != video_id or not own_names or not (own_name or record.linked_path):
        raise ValueError(f"it belongs to {record.video_id[:12]}, file {excerpt(record.file_name)!r}")
    return record


def write_record(root: Path, record: FileRecord) -> None:
    """Write the record of a video, whole or not at all, so that it survives a power cut."""
    draft = root / f"{record.video_id}.json-part"
    draft.unlink(missing_ok=True)  # of a server that was killed, or a link: never write through one
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(record.to_json())
        sync(draft)
        draft.replace(root / f"{record.video_id}.json")
    finally:
        draft.unlink(missing_ok=True)
    sync(root)


def name_video_file(video_id: str, title: str) -> str:
    """The file name of an uploaded video: `ID.film.mp4`. The suffix is a hint for FFmpeg and nothing else."""
    suffix = Path(title).suffix
    return f"{video_id}{VIDEO_MARK}{suffix.lower() if _SUFFIX.fullmatch(suffix) else ''}"


def name_subtitle_file(video_id: str, name: str, data: bytes) -> str:
    """The file name of uploaded subtitles: `ID.subtitles.HASH.NAME`. Another content has another name."""
    plain = plain_name(name).encode()[-_NAME_BYTES:].decode(errors="ignore")
    return f"{video_id}{SUBTITLE_MARK}{hashlib.sha256(data).hexdigest()[:12]}.{plain}"


def plain_name(name: str) -> str:
    """A name with `_` for each sign that could mean something to a file system."""
    return _UNSAFE.sub("_", name)


def own_name_of(subtitle_file: str) -> str:
    """The name that its owner gave a file of subtitles."""
    return subtitle_file.partition(SUBTITLE_MARK)[2].partition(".")[2]


def compute_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, lower-case hex."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_video_id(text: str) -> bool:
    return _VIDEO_ID.fullmatch(text) is not None


def check_video_id(video_id: str) -> None:
    """Raises: InvalidRequest: it is no video's id."""
    if not is_video_id(video_id):
        raise InvalidRequest(f"'{excerpt(video_id)}' is not a video's id: 64 digits 0-9 a-f, the SHA-256 of its file")
