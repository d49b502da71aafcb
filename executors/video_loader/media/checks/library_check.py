"""Checks the videos of a library, in a folder or in an object store, for `clipseek doctor`, and repairs what it can.

`python -m executors.video_loader.media.checks.library_check LIBRARY [--repair] < titles.json` prints the findings as
JSON. The input has the titles of the store's videos, `{video_id: title}`; settings come from the environment.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from clipseek.api.errors import ClipSeekError, StoreCorrupt
from clipseek.api.formats import size
from clipseek.config.libraries import VIDEO_MARK, media_folder
from clipseek.config.settings import Settings
from clipseek.upkeep.finding import ERROR, OK, WARNING, Finding, print_findings, verdict
from executors.video_loader.media.checks import media_check
from executors.video_loader.media.file_record import FileRecord, compute_sha256
from executors.video_loader.media.shared_media import SharedMediaFiles, check_media_reachable, open_shared_media

_CHUNK_BYTES = 1  # any value: nothing is uploaded here


def check_library(settings: Settings, library: str, titles: Mapping[str, str], *, repair: bool) -> Iterator[Finding]:
    """The findings, or with `repair` what was done."""
    try:
        check_media_reachable(settings)
        if settings.media_url:
            media = open_shared_media(settings, library, _CHUNK_BYTES)
            yield from (repair_shared if repair else check_shared)(media, titles)
        else:
            check = media_check.repair_media if repair else media_check.check_media
            yield from check(media_folder(settings, library), titles)
    except ClipSeekError as error:
        yield Finding("videos", ERROR, str(error), "Fix this first: the videos were not checked.")


def check_shared(media: SharedMediaFiles, titles: Mapping[str, str]) -> Iterator[Finding]:
    """Check names and sizes in the object store, and the content of the copies here; changes nothing.

    Raises: MediaUnreachable.
    """
    sizes = media.objects.sizes()
    records, unreadable = _read_records(media, sizes)
    wrong = [why for record in records if (why := _find_fault(record, sizes))]
    uploaded = [record for record in records if not record.linked_path]
    fine = f"{len(uploaded)} at {media.objects.shown_url}, {size(sum(record.size_bytes for record in uploaded))}"
    fix = "Restore them there, or delete the videos and index their files again."
    yield verdict("videos", wrong, fine, fix)
    yield verdict("records of videos", unreadable, "each can be read", fix)
    named = {record.file_name for record in records} | {name for name in sizes if name.endswith(".json")}
    yield verdict(
        "objects without a record",
        sorted(sizes.keys() - named),
        "none",
        "Their uploads are running or were interrupted: index these videos again, or delete them by their ids.",
        state=WARNING,
    )
    copies = _list_copies(media)
    damaged = [copy.name for copy in copies if _is_damaged(media, copy)]
    fine = f"{len(copies)} with the content of their videos"
    yield verdict("copies of videos here", damaged, fine, media_check.REPAIR)
    yield from _check_local_videos(media, sizes)
    local = list(media.local_records())
    yield media_check.check_linked_videos([*records, *local])
    yield from media_check.compare_with_store({record.video_id for record in [*records, *local]}, titles)
    yield media_check.check_leftovers(media.root)


def repair_shared(media: SharedMediaFiles, titles: Mapping[str, str]) -> Iterator[Finding]:
    """Move local videos into the object store, delete damaged copies and leftovers. Yields what was done.

    No server may run meanwhile. Raises: MediaUnreachable, StoreFull.
    """
    yield from media_check.repair_media(media.root, titles)
    damaged = list(media_check.find_damaged_videos(media.root))
    for record in list(media.local_records()):
        if record.linked_path or not any(why.startswith(record.file_name) for why in damaged):
            media.move_to_objects(record)
            yield Finding("repair", OK, f"moved '{record.title}' ({record.video_id[:12]}) to {media.objects.shown_url}")
    for copy in _list_copies(media):
        if _is_damaged(media, copy):
            copy.unlink()
            yield Finding("repair", OK, f"deleted the copy {copy.name}; it is fetched again when needed")


def _check_local_videos(media: SharedMediaFiles, sizes: Mapping[str, int]) -> Iterator[Finding]:
    videos = sorted(media.root.glob(f"*{VIDEO_MARK}*"))
    linked = [record for record in media.local_records() if record.linked_path]
    only_here = [video.name[:12] for video in videos if video.name not in sizes] + [record.title for record in linked]
    fix = f"{media_check.REPAIR} moves them to the object store."
    yield verdict("videos that are only here", only_here, "none", fix, state=WARNING)
    damaged = list(media_check.find_damaged_videos(media.root))
    fix = "Restore them from a backup, or delete the videos and index their files again."
    yield verdict("local videos", damaged, f"{len(videos)} whose content matches the name", fix)


def _read_records(media: SharedMediaFiles, sizes: Mapping[str, int]) -> tuple[list[FileRecord], list[str]]:
    records, unreadable = [], []
    for name in sorted(sizes):
        if name.endswith(".json"):
            try:
                record = media.read_record(name.removesuffix(".json"))
            except StoreCorrupt as error:
                unreadable.append(str(error))
                continue
            if record:  # otherwise it was deleted since they were listed
                records.append(record)
    return records, unreadable


def _find_fault(record: FileRecord, sizes: Mapping[str, int]) -> str:
    if record.linked_path or sizes.get(record.file_name) == record.size_bytes:
        return ""
    what = f"'{record.title}' ({record.video_id[:12]})"
    if record.file_name not in sizes:
        return f"{what} is missing"
    return f"{what} has {sizes[record.file_name]} bytes, but its record says {record.size_bytes}"


def _list_copies(media: SharedMediaFiles) -> list[Path]:
    return [copy.path for copy in media.cache.files() if copy.path.name.startswith(media.copy_name(""))]


def _is_damaged(media: SharedMediaFiles, copy: Path) -> bool:
    try:
        return compute_sha256(copy) != copy.name.removeprefix(media.copy_name("")).partition(".")[0]
    except FileNotFoundError:  # removed to make room since the copies were listed
        return False


def main() -> None:
    repair = "--repair" in sys.argv[2:]
    print_findings(check_library(Settings.from_env(), sys.argv[1], json.load(sys.stdin), repair=repair))


if __name__ == "__main__":
    main()
