"""Checks the videos' files against their names, their records and the store's list of videos, and mends what can be."""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from clipseek.upkeep.finding import OK, WARNING, verdict
from clipseek.upkeep.finding import Finding as Check
from executors.video_loader.media.media_store import MediaRecord, keep_record, sha256

_LEFTOVER_SECONDS = 24 * 3600.0  # an upload that nobody went on with for a day, and other remains of that age
REPAIR = "Stop the server, then: clipseek doctor --repair"


@dataclass
class _Files:
    """What the folder holds of one video."""

    video: Path | None = None
    record: Path | None = None
    part: Path | None = None
    chunks: Path | None = None
    others: list[Path] = field(default_factory=list)


def check_media(root: Path, titles: Mapping[str, str]) -> Iterator[Check]:
    """Look at every video below `root`, reading it whole; reads only, and may run beside a server.

    Args:
        titles: of the store's videos, by their ids.
    """
    files = _files(root)
    damaged = list(damaged_videos(root))
    videos = sum(1 for each in files.values() if each.video)
    yield verdict(
        "videos",
        damaged,
        f"{videos} with the content that they are named after",
        "Index the same file again after deleting the video, or restore the video from a backup.",
    )
    records = [f"{video_id[:12]}: {why}" for video_id, each in files.items() if (why := _record_fault(video_id, each))]
    yield verdict("records of videos", records, "each video has its own", REPAIR)
    yield linked_videos(filter(None, map(_record, files.values())))
    yield from videos_and_videos(
        {video_id for video_id, each in files.items() if each.video or _is_linked(each)}, titles
    )
    yield leftovers(root)


def linked_videos(records: Iterable[MediaRecord]) -> Check:
    """Whether those videos that are used where they lie are unchanged."""
    wrong = [why for record in records if (why := _link_fault(record))]
    return verdict(
        "videos used where they lie", wrong, "unchanged", "Put them back, or index them anew.", state=WARNING
    )


def videos_and_videos(have: Set[str], titles: Mapping[str, str]) -> Iterator[Check]:
    """Whether the videos that there are, by their ids, are those of the store's videos."""
    yield verdict(
        "videos without a file",
        [f"'{title}' ({video_id[:12]})" for video_id, title in titles.items() if video_id not in have],
        "none",
        "Delete them, or index their files again: clips cannot be cut of them.",
    )
    yield verdict(
        "files without a video",
        [video_id[:12] for video_id in sorted(have - set(titles))],
        "none",
        "Their indexing was never begun: index their files again, or delete them by their ids.",
        state=WARNING,
    )


def leftovers(root: Path) -> Check:
    """Whether there are remains that nobody needs any more."""
    files = _files(root)
    under_way = [each.part for each in files.values() if each.part]
    return verdict(
        "leftovers",
        [file.name for file in _leftovers(files)],
        f"none; {len(under_way)} uploads under way" if under_way else "none",
        REPAIR,
        state=WARNING,
    )


def repair_media(root: Path, titles: Mapping[str, str]) -> Iterator[Check]:
    """Write records anew where they are lost, and drop leftovers; no server may run meanwhile. Yields what was done."""
    files = _files(root)
    for video_id, each in files.items():
        if each.video and _record_fault(video_id, each):
            title = titles.get(video_id, f"{video_id[:12]}{each.video.suffix}")
            keep_record(root, MediaRecord(video_id, title, each.video.stat().st_size, file_name=each.video.name))
            yield Check("repair", OK, f"wrote the record of '{title}' ({video_id[:12]}) anew")
    for file in _leftovers(files):
        file.unlink()
        yield Check("repair", OK, f"dropped {file.name}")


def _files(root: Path) -> dict[str, _Files]:
    found: dict[str, _Files] = {}
    for file in sorted(root.glob("*")):
        video_id, _, kind = file.name.partition(".")
        each = found.setdefault(video_id, _Files())
        match kind:
            case "json":
                each.record = file
            case "part":
                each.part = file
            case "chunks":
                each.chunks = file
            case _ if kind.startswith("film"):
                each.video = file
            case _:
                each.others.append(file)
    return found


def _record(each: _Files) -> MediaRecord | None:
    """The record as it is kept; None where there is none, or none that can be read."""
    try:
        return MediaRecord(**json.loads(each.record.read_text())) if each.record else None
    except (ValueError, TypeError, FileNotFoundError):
        return None


def _is_linked(each: _Files) -> bool:
    record = _record(each)
    return record is not None and bool(record.linked_path)


def damaged_videos(root: Path) -> Iterator[str]:
    """Those videos below `root` that have another content than they are named after."""
    for video_id, each in _files(root).items():
        if each.video is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # deleted since the folder was listed
            found = sha256(each.video)
            if found != video_id:
                yield f"{each.video.name}: its content has the SHA-256 {found[:12]}..."


def _record_fault(video_id: str, each: _Files) -> str:
    """What is wrong with the record of a video; empty if nothing is."""
    record = _record(each)
    if each.video is None:
        waits = each.part and each.chunks  # all has come, and the server was stopped while it took it
        lost = each.record and not waits and not (record and record.linked_path)
        return "a record without a file" if lost else ""
    if record is None:
        return "a file without a record"
    if record.video_id != video_id or record.file_name != each.video.name:
        return f"the record is that of {record.file_name or record.linked_path}"
    size = each.video.stat().st_size
    return "" if record.size_bytes == size else f"the video has {size} bytes, its record says {record.size_bytes}"


def _link_fault(record: MediaRecord) -> str:
    if not record.linked_path:
        return ""
    path = Path(record.linked_path)
    if not path.is_file():
        return f"'{record.title}' is not at {path} any more"
    state = path.stat()
    unchanged = (state.st_size, state.st_mtime_ns) == (record.size_bytes, record.mtime_ns)
    return "" if unchanged and sha256(path) == record.video_id else f"'{record.title}' at {path} was changed"


def _leftovers(files: Mapping[str, _Files]) -> Iterator[Path]:
    """Files of no use that are old enough not to be of a write under way."""
    now = time.time()
    for each in files.values():
        remains = [file for file in (each.part, each.chunks, *each.others) if file]
        if each.record and not each.video and not each.part and not _is_linked(each):
            remains.append(each.record)
        yield from (file for file in remains if now - file.stat().st_mtime > _LEFTOVER_SECONDS)
