"""Videos among the files of this machine."""

from collections.abc import Iterator
from pathlib import Path

from clipseek.api.errors import NoVideosFound

_VIDEO_SUFFIXES = """
    .3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut
    .ogm .ogv .rm .rmvb .ts .vob .webm .wmv .y4m
"""
# What FFmpeg reads and people keep videos in; a file that is named on its own is tried whatever its suffix.
VIDEO_SUFFIXES = frozenset(_VIDEO_SUFFIXES.split())


def videos_below(path: Path) -> Iterator[Path]:
    """A file itself, or the videos below a folder in the order of their names."""
    if not path.is_dir():
        yield path
        return
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
    if not found:
        raise NoVideosFound(
            f"There are no videos below the folder '{path}' (looked for {', '.join(sorted(VIDEO_SUFFIXES))})."
        )
    yield from found
