"""Which video each path of VCED's programs became, so that answers use their paths."""

import json
import threading
from pathlib import Path

from clipseek.api.errors import StoreError


class KnownVideos:
    """Paths as they were sent, and the ids of their videos. Each change rewrites `file`.

    The ids of documents are remembered as long as the process runs: VCED's page makes new ones for each search.
    """

    _MOST_IDS = 10_000

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}
        try:
            self._videos: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except (OSError, ValueError) as error:
            raise StoreError(f"{file} cannot be read ({error}). Remove it, and send the videos again.") from error

    def add(self, uri: str, document_id: str, video_id: str) -> None:
        """Remember a video. Raises: StoreError."""
        with self._lock:
            self._ids[document_id] = video_id
            if len(self._ids) > self._MOST_IDS:
                del self._ids[next(iter(self._ids))]
            if self.uri(video_id) == uri:
                return
            self._videos = {known: video for known, video in self._videos.items() if known != uri} | {uri: video_id}
            draft = self._file.with_suffix(".draft")
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                draft.write_text(json.dumps(self._videos, ensure_ascii=False), encoding="utf-8")
                draft.replace(self._file)
            except OSError as error:
                raise StoreError(f"{self._file} cannot be written ({error}).") from error

    def uri(self, video_id: str) -> str:
        """The last path that a video was sent from; "" if none."""
        return next((uri for uri, video in reversed(self._videos.items()) if video == video_id), "")

    def videos_at(self, uris: list[str]) -> list[str]:
        """The videos that were sent from these paths."""
        return [self._videos[uri] for uri in uris if uri in self._videos]

    def videos_of(self, sender: str) -> list[str]:
        """The videos of documents whose ids begin with `sender`."""
        with self._lock:
            return list(dict.fromkeys(video for name, video in self._ids.items() if name.startswith(sender)))
