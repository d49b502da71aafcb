"""Whether an upload from a browser fits into the limits of the store, and on the disk of the page."""

import math
import shutil
from pathlib import Path

from clipseek.api.errors import StoreFull
from clipseek.api.formats import size
from clipseek.config.libraries import media_folders
from clipseek.config.limits import check_limit
from clipseek.config.settings import Settings
from clipseek.machine.store_size import measure_videos


def check_room(queue: Path, new_bytes: int, settings: Settings, arriving_bytes: int = 0) -> None:
    """Check an upload before it is written to the folder `queue`.

    Args:
        new_bytes: its size.
        arriving_bytes: what others that have begun will add.

    Raises: LimitExceeded: it is too large, or all videos of the store and of the queue are. StoreFull.
    """
    check_limit(settings, "max_video_gb", new_bytes / 1e9, f"The upload's size, {size(new_bytes)},")
    if math.isfinite(settings.max_store_gb):
        total = new_bytes + arriving_bytes + measure_videos([*media_folders(settings), queue])
        what = f"The size of all videos and of the page's queue, with this upload {size(total)},"
        check_limit(settings, "max_store_gb", total / 1e9, what)
    free, needed = shutil.disk_usage(queue).free, new_bytes + arriving_bytes
    if free < needed:
        raise StoreFull(
            f"The page's disk has {size(free)} free in {queue}, but the uploads need {size(needed)}. "
            "Make room there, then upload it again."
        )
