"""What a watcher tells."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: "added", "known" (the library had it), "changed", "moved", "missing" (the file; its video stays),
            "deleted" (the video), "dropped" (someone else deleted its video), "failed" (until the file changes),
            "later" (it is tried again), "folder" (it cannot be read) or "away" (the server).
        path: the file or folder; the title of a deleted video; the address of the server.
        message: the rest of the sentence that begins with the path.
    """

    kind: str
    path: str
    message: str
    video_id: str = ""


Tell = Callable[[Event], None]
