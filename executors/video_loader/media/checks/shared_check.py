"""Checks the videos that loaders share in an object store, and mends what can be."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from clipseek.api.errors import StoreCorrupt
from clipseek.upkeep.finding import OK, WARNING, verdict
from clipseek.upkeep.finding import Finding as Check
from executors.video_loader.media.checks.media_check import (
    REPAIR,
    damaged_videos,
    leftovers,
    linked_videos,
    repair_media,
    videos_and_videos,
)
from executors.video_loader.media.disk import in_words
from executors.video_loader.media.media_store import MediaRecord, sha256
from executors.video_loader.media.shared_media import SharedMediaStore


def check_shared(store: SharedMediaStore, titles: Mapping[str, str]) -> Iterator[Check]:
    """Look at all that is in the object store, with its size, and read the copies here; changes nothing.

    Args:
        titles: of the store's videos, by their ids.

    Raises:
        MediaUnreachable.
    """
    sizes = store.objects.sizes()
    records, unreadable = _records(store, sizes)
    wrong = [why for record in records if (why := _fault(record, sizes))]
    there = [record for record in records if not record.linked_path]
    fine = f"{len(there)} at {store.objects.shown_url}, {in_words(sum(record.size_bytes for record in there))}"
    fix = "Restore them there, or delete the videos and index their files again."
    yield verdict("videos", wrong, fine, fix)
    yield verdict("records of videos", unreadable, "each can be read", fix)
    named = {record.file_name for record in records} | {name for name in sizes if name.endswith(".json")}
    yield verdict(
        "objects without a record",
        sorted(sizes.keys() - named),
        "none",
        "They are on their way, or their uploads were cut off: index these videos again, or delete them by their ids.",
        state=WARNING,
    )
    copies = [copy.name for copy in _copies(store) if _is_damaged(store, copy)]
    yield verdict("copies of videos here", copies, f"{len(_copies(store))} with the content of their videos", REPAIR)
    yield from _videos_from_before(store, sizes)
    own = list(store.local_only())
    yield linked_videos([*records, *own])
    yield from videos_and_videos({record.video_id for record in [*records, *own]}, titles)
    yield leftovers(store.root)


def repair_shared(store: SharedMediaStore, titles: Mapping[str, str]) -> Iterator[Check]:
    """Put videos that are only here into the object store, drop damaged copies and leftovers. Yields what was done.

    No server may run meanwhile. Raises: MediaUnreachable, StoreFull.
    """
    yield from repair_media(store.root, titles)
    damaged = list(damaged_videos(store.root))
    for record in list(store.local_only()):
        if record.linked_path or not any(why.startswith(record.file_name) for why in damaged):
            store.hand_over(record)
            yield Check("repair", OK, f"put '{record.title}' ({record.video_id[:12]}) into {store.objects.shown_url}")
    for copy in _copies(store):
        if _is_damaged(store, copy):
            copy.unlink()
            yield Check("repair", OK, f"dropped the copy {copy.name}; it is fetched again when it is needed")


def _videos_from_before(store: SharedMediaStore, sizes: Mapping[str, int]) -> Iterator[Check]:
    """Those in the local folder, from before there was an object store."""
    videos = sorted(store.root.glob("*.film*"))
    linked = [record for record in store.local_only() if record.linked_path]
    only_here = [video.name[:12] for video in videos if video.name not in sizes] + [record.title for record in linked]
    fix = f"{REPAIR} puts them into the object store."
    yield verdict("videos that are only here", only_here, "none", fix, state=WARNING)
    damaged = list(damaged_videos(store.root))
    fix = "Restore them from a backup, or delete the videos and index their files again."
    yield verdict("local videos", damaged, f"{len(videos)} with the content that they are named after", fix)


def _records(store: SharedMediaStore, sizes: Mapping[str, int]) -> tuple[list[MediaRecord], list[str]]:
    """The records that can be read, and what is wrong with the others."""
    found, unreadable = [], []
    for name in sorted(sizes):
        if name.endswith(".json"):
            try:
                record = store.read_record(name.removesuffix(".json"))
            except StoreCorrupt as error:
                unreadable.append(str(error))
                continue
            if record:  # else it was deleted since they were listed
                found.append(record)
    return found, unreadable


def _fault(record: MediaRecord, sizes: Mapping[str, int]) -> str:
    """What is wrong with the video of a record there; empty if nothing is."""
    if record.linked_path or sizes.get(record.file_name) == record.size_bytes:
        return ""
    what = f"'{record.title}' ({record.video_id[:12]})"
    if record.file_name not in sizes:
        return f"{what} is not there"
    return f"{what} has {sizes[record.file_name]} bytes, its record says {record.size_bytes}"


def _copies(store: SharedMediaStore) -> list[Path]:
    return [file for _, _, file in store.cache.copies() if file.name.startswith(store.copy_name(""))]


def _is_damaged(store: SharedMediaStore, copy: Path) -> bool:
    try:
        return sha256(copy) != copy.name.removeprefix(store.copy_name("")).partition(".")[0]
    except FileNotFoundError:  # removed to make room, since the copies were listed
        return False
