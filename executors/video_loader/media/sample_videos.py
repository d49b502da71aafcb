"""The sample videos: short real ones that are part of this package, so that a first search needs no download."""

from pathlib import Path

FOLDER = Path(__file__).parent / "samples"  # its NOTICE.md has their sources and licences


def list_sample_videos() -> list[Path]:
    """The sample videos, in order of their names."""
    return sorted(FOLDER.glob("*.mp4"))
