"""Finds videos among the files of this machine."""

from collections.abc import Iterator
from pathlib import Path

from clipseek.api.errors import NoVideosFound

_VIDEO_SUFFIXES = """
    .3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut
    .ogm .ogv .rm .rmvb .ts .vob .webm .wmv .y4m
"""
# Formats that FFmpeg reads and people use for videos. A file that is named itself is tried with any suffix.
VIDEO_SUFFIXES = frozenset(_VIDEO_SUFFIXES.split())


def videos_below(path: Path) -> Iterator[Path]:
    """A file itself, or the videos below a folder, sorted by name. Raises: NoVideosFound."""
    if not path.is_dir():
        yield path
        return
    videos = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
    if not videos:
        raise NoVideosFound(
            f"There are no videos in or below the folder '{path}'. Videos end in {', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    yield from videos
