"""The sample videos: short real ones that are part of this package, so that a first search needs no download."""

from pathlib import Path

from clipseek.api.errors import NoVideosFound

FOLDER = Path(__file__).parent / "samples"  # its NOTICE.md has their sources and licences


def list_sample_videos() -> list[Path]:
    """The sample videos, in order of their names. Raises: NoVideosFound: this install has none."""
    videos = sorted(FOLDER.glob("*.mp4"))
    if not videos:
        raise NoVideosFound("This server has no sample videos: container images leave them out. Add a video of yours.")
    return videos
