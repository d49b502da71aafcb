"""Checks the videos' files against their names, their records and the store's videos, and repairs what it can."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from clipseek.api.errors import MediaMissing
from clipseek.config.libraries import SUBTITLE_MARK, VIDEO_MARK
from clipseek.upkeep.finding import OK, WARNING, Finding, verdict
from executors.video_loader.media.abandoned_uploads import KEPT_SECONDS
from executors.video_loader.media.file_record import FileRecord, compute_sha256, write_record
from executors.video_loader.media.server_folders import check_link

REPAIR = "Stop the server, then: clipseek doctor --repair"


@dataclass
class _Files:
    video: Path | None = None
    record: Path | None = None
    part: Path | None = None
    chunks: Path | None = None
    subtitles: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def read_record(self) -> FileRecord | None:
        """The record; None if it is missing or unreadable."""
        try:
            return FileRecord.from_json(self.record.read_bytes()) if self.record else None
        except (ValueError, TypeError, FileNotFoundError):
            return None

    @property
    def is_linked(self) -> bool:
        record = self.read_record()
        return record is not None and bool(record.linked_path)


def check_media(root: Path, titles: Mapping[str, str]) -> Iterator[Finding]:
    """Read every video below `root` and check it against the store's titles, even beside a server; changes nothing."""
    files = _list_files(root)
    damaged = list(find_damaged_videos(root))
    count = sum(1 for own in files.values() if own.video)
    yield verdict(
        "videos",
        damaged,
        f"{count} whose content matches the name",
        "Delete the video and index the same file again, or restore the video from a backup.",
    )
    faults = [
        f"{video_id[:12]}: {why}" for video_id, own in files.items() if (why := _find_record_fault(video_id, own))
    ]
    yield verdict("records of videos", faults, "each video has its own", REPAIR)
    yield check_linked_videos(record for own in files.values() if (record := own.read_record()))
    yield from compare_with_store({video_id for video_id, own in files.items() if own.video or own.is_linked}, titles)
    yield check_leftovers(root)


def check_linked_videos(records: Iterable[FileRecord]) -> Finding:
    """Whether the videos that are used where they lie are unchanged."""
    wrong = [why for record in records if (why := _find_link_fault(record))]
    return verdict(
        "videos used where they lie", wrong, "unchanged", "Put them back, or index them again.", state=WARNING
    )


def compare_with_store(video_ids: Set[str], titles: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the files' video ids are those of the store's videos."""
    yield verdict(
        "videos without a file",
        [f"'{title}' ({video_id[:12]})" for video_id, title in titles.items() if video_id not in video_ids],
        "none",
        "Delete them, or index their files again: no clips can be cut from them.",
    )
    yield verdict(
        "files without a video",
        [video_id[:12] for video_id in sorted(video_ids - set(titles))],
        "none",
        "Their indexing never started: index their files again, or delete them by their ids.",
        state=WARNING,
    )


def check_leftovers(root: Path) -> Finding:
    """Whether there are remains that nobody needs."""
    files = _list_files(root)
    uploads = [own.part for own in files.values() if own.part]
    return verdict(
        "leftovers",
        [file.name for file in _find_leftovers(files)],
        f"none; {len(uploads)} unfinished uploads" if uploads else "none",
        REPAIR,
        state=WARNING,
    )


def repair_media(root: Path, titles: Mapping[str, str]) -> Iterator[Finding]:
    """Restore lost records and delete leftovers, while no server runs. Yields what was done."""
    files = _list_files(root)
    for video_id, own in files.items():
        if own.video and _find_record_fault(video_id, own):
            title = titles.get(video_id, f"{video_id[:12]}{own.video.suffix}")
            write_record(root, FileRecord(video_id, title, own.video.stat().st_size, file_name=own.video.name))
            yield Finding("repair", OK, f"wrote the record of '{title}' ({video_id[:12]}) again")
    for file in _find_leftovers(files):
        file.unlink()
        yield Finding("repair", OK, f"deleted {file.name}")


def find_damaged_videos(root: Path) -> Iterator[str]:
    """The videos below `root` whose content does not match the name."""
    for video_id, own in _list_files(root).items():
        if own.video is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # deleted since the folder was listed
            digest = compute_sha256(own.video)
            if digest != video_id:
                yield f"{own.video.name}: its content has the SHA-256 {digest[:12]}..."


def _list_files(root: Path) -> dict[str, _Files]:
    files: dict[str, _Files] = {}
    for file in sorted(root.glob("*")):
        video_id, _, kind = file.name.partition(".")
        own = files.setdefault(video_id, _Files())
        match kind:
            case "json":
                own.record = file
            case "part":
                own.part = file
            case "chunks":
                own.chunks = file
            case _ if f".{kind}".startswith(VIDEO_MARK):
                own.video = file
            case _ if f".{kind}".startswith(SUBTITLE_MARK):
                own.subtitles.append(file)
            case _:
                own.others.append(file)
    return files


def _find_record_fault(video_id: str, own: _Files) -> str:
    record = own.read_record()
    if own.video is None:
        is_waiting = own.part and own.chunks  # all chunks arrived, and the server was stopped while it stored them
        is_lost = own.record and not is_waiting and not (record and record.linked_path)
        return "a record without a file" if is_lost else ""
    if record is None:
        return "a file without a record"
    if record.video_id != video_id or record.file_name != own.video.name:
        return f"its record belongs to {record.file_name or record.linked_path}"
    size = own.video.stat().st_size
    return "" if record.size_bytes == size else f"the video has {size} bytes, but its record says {record.size_bytes}"


def _find_link_fault(record: FileRecord) -> str:
    if not record.linked_path:
        return ""
    try:
        check_link(record)
    except MediaMissing as error:
        return str(error)
    is_same = compute_sha256(Path(record.linked_path)) == record.video_id
    return "" if is_same else f"'{record.title}' at {record.linked_path} was changed"


def _find_leftovers(files: Mapping[str, _Files]) -> Iterator[Path]:
    now = time.time()
    for own in files.values():
        remains = [file for file in (own.part, own.chunks, *own.others) if file]
        if own.record and not own.video and not own.part and not own.is_linked:
            remains.append(own.record)
        if not own.record:
            remains += own.subtitles
        yield from (file for file in remains if now - file.stat().st_mtime > KEPT_SECONDS)
