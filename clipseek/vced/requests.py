"""VCED's requests, `/index` and `/search` as its page and scripts send them, answered by a client of ClipSeek."""

import logging
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from clipseek.api.documents import Query
from clipseek.api.errors import Cancelled, FileMissing, InvalidRequest, PathNotAllowed
from clipseek.api.limits import MAX_TOP_K
from clipseek.client import Client, Progress
from clipseek.vced import messages
from clipseek.vced.known_videos import KnownVideos

logger = logging.getLogger(__name__)

_MATCHES = 10  # where maxCount is not given


@dataclass(frozen=True)
class Parameters:
    """Those of VCED's `/search`.

    Attributes:
        most: how many matches at most (`maxCount`).
        drop: how much lower than at its best a moment may score and still belong to a match (`thod`), or None for
            ClipSeek's own edges.
        uris: search in these videos only (`doc_ids`), or None.
        sender: of the documents to search in (`uid`), or "".
    """

    most: int
    drop: float | None
    uris: list[str] | None
    sender: str

    @classmethod
    def of(cls, sent: dict[str, Any]) -> "Parameters":
        """Read what was sent. Raises: InvalidRequest."""
        most, drop, uris = sent.get("maxCount", _MATCHES), sent.get("thod"), sent.get("doc_ids")
        if not _is_number(most) or not 1 <= float(most) <= MAX_TOP_K:
            raise InvalidRequest(f"maxCount is {most!r}, but must be a number from 1 to {MAX_TOP_K}.")
        if drop is not None and (not _is_number(drop) or not float(drop) >= 0):
            raise InvalidRequest(f"thod is {drop!r}, but must be a number, 0 or more.")
        uris = [uris] if isinstance(uris, str) else uris
        if uris is not None and not (isinstance(uris, list) and all(isinstance(uri, str) for uri in uris)):
            raise InvalidRequest("doc_ids must be a list of the uris of videos.")
        return cls(int(float(most)), None if drop is None else float(drop), uris, str(sent.get("uid") or ""))


class Vced:
    """Answers VCED's requests.

    Args:
        client: of the server that answers in truth.
        folders: videos below these folders of this machine may be named, others not.
        videos: what was named so far.
    """

    def __init__(self, client: Client, folders: Sequence[Path], videos: KnownVideos) -> None:
        self._client, self._folders, self._videos = client, [folder.resolve() for folder in folders], videos

    def answer(self, message: bytes, is_awaited: Callable[[], bool] = lambda: True) -> bytes:
        """Answer a serialized `messages.Request` with another one.

        Args:
            is_awaited: asked now and then while a video is indexed, which stops when nobody waits any more.

        Raises:
            ClipSeekError.
        """
        try:
            request = messages.Request.FromString(message)
        except DecodeError as error:
            raise _not_vced("this is none") from error
        endpoint, docs = request.header.exec_endpoint, request.data.docs.docs
        if endpoint == "/index":
            for doc in docs:
                self._index(doc, is_awaited)
        elif endpoint == "/search":
            parameters = Parameters.of(MessageToDict(request.parameters))
            for doc in docs:
                self._search(doc, parameters)
        else:
            raise _not_vced(f"'{endpoint}' is none")
        logger.info("%s: %d documents", endpoint, len(docs))
        answered: bytes = request.SerializeToString()
        return answered

    def _index(self, doc: Any, is_awaited: Callable[[], bool]) -> None:
        if not doc.uri:
            raise _not_vced("a document for /index has no uri")
        path = Path(doc.uri).resolve()
        if not any(path.is_relative_to(folder) for folder in self._folders):
            allowed = ", ".join(map(str, self._folders))
            raise PathNotAllowed(
                f"'{doc.uri}' is not below a folder that `clipseek compat` was started for: {allowed}."
            )
        if not path.is_file():
            raise FileMissing(f"There is no file '{doc.uri}'.")

        def step(_progress: Progress) -> None:
            if not is_awaited():
                raise Cancelled("The program that wanted the video has ended. Sent again, it goes on where it stopped.")

        done = self._client.index(path, progress=step)
        self._videos.add(doc.uri, doc.id, done.video.video_id)

    def _search(self, doc: Any, parameters: Parameters) -> None:
        if not doc.text:
            raise _not_vced("a document for /search has no text")
        del doc.matches[:]
        videos = self._chosen(parameters)
        if videos == []:
            return
        # VCED always answers its best, however little they fit.
        answer = self._client.search(doc.text, top_k=parameters.most, videos=videos or (), all_matches=True)
        curves: dict[str, tuple[Query, float]] = {}
        for rank, match in enumerate(answer.matches):
            start, end = match.start_seconds, match.end_seconds
            if parameters.drop is not None:
                if match.video_id not in curves:
                    curves[match.video_id] = (
                        self._client.timeline(match.video_id, doc.text),
                        self._client.video(match.video_id).duration_seconds,
                    )
                start, end = edges_by_drop(*curves[match.video_id], match.peak_seconds, parameters.drop)
            made = doc.matches.add(id=f"{match.video_id[:16]}-{rank}")
            made.tags.update(
                {
                    "leftIndex": math.floor(start),
                    "rightIndex": math.ceil(end),
                    "maxImageScore": match.score,
                    "maxIndex": math.floor(match.peak_seconds),
                    "uri": self._videos.uri(match.video_id) or match.title,
                    "videoId": match.video_id,
                    "startSeconds": start,
                    "endSeconds": end,
                }
            )

    def _chosen(self, parameters: Parameters) -> list[str] | None:
        """Which to search in; None: all."""
        if parameters.uris is not None:
            return self._videos.videos_at(parameters.uris)
        return (self._videos.videos_of(parameters.sender) if parameters.sender else []) or None


def edges_by_drop(curve: Query, duration_seconds: float, peak_seconds: float, drop: float) -> tuple[float, float]:
    """The edges of a match as VCED draws them: from its best frame as far as each frame scores at most `drop` less.

    Returns: `[start, end)` in seconds. A frame lasts until the next one, the last until the video's end.
    """
    times, scores = curve.curve_pts_seconds, curve.curve_scores
    first = last = max(bisect_right(times, peak_seconds) - 1, 0)
    least = scores[first] - drop
    while first > 0 and scores[first - 1] >= least:
        first -= 1
    while last + 1 < len(times) and scores[last + 1] >= least:
        last += 1
    return times[first], [*times, duration_seconds][last + 1]


def _not_vced(why: str) -> InvalidRequest:
    return InvalidRequest(f"`clipseek compat` answers the requests /index and /search of VCED's programs, but {why}.")


def _is_number(value: object) -> bool:
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]  # what is no number is told by the error
    except (TypeError, ValueError):
        return False
