"""Answers VCED's requests, `/index` and `/search` as its page and scripts send them, with a client of ClipSeek."""

import json
import logging
import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from clipseek.api.documents import Match, Query
from clipseek.api.errors import Cancelled, FileMissing, InvalidRequest, PathNotAllowed, StoreError
from clipseek.api.limits import MAX_TOP_K
from clipseek.client import Client, Progress
from clipseek.vced import messages


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


logger = logging.getLogger(__name__)

_DEFAULT_MATCHES = 10  # without maxCount


@dataclass(frozen=True)
class Parameters:
    """The parameters of VCED's `/search`."""

    most: int  # matches to answer with (`maxCount`)
    drop: float | None  # how far below its best score a match may fall inside (`thod`); None: ClipSeek's own edges
    uris: list[str] | None  # search only in these videos (`doc_ids`)
    sender: str  # search only in documents of this sender (`uid`); "": of all

    @classmethod
    def of(cls, sent: dict[str, Any]) -> "Parameters":
        """Read the parameters of a request. Raises: InvalidRequest."""
        most, drop, uris = sent.get("maxCount", _DEFAULT_MATCHES), sent.get("thod"), sent.get("doc_ids")
        if not _is_number(most) or not 1 <= float(most) <= MAX_TOP_K:
            raise InvalidRequest(f"maxCount is {most!r}, but must be a number from 1 to {MAX_TOP_K}.")
        if drop is not None and (not _is_number(drop) or not float(drop) >= 0):
            raise InvalidRequest(f"thod is {drop!r}, but must be a number, 0 or more.")
        uris = [uris] if isinstance(uris, str) else uris
        if uris is not None and not (isinstance(uris, list) and all(isinstance(uri, str) for uri in uris)):
            raise InvalidRequest("doc_ids must be a list of the uris of videos.")
        return cls(int(float(most)), None if drop is None else float(drop), uris, str(sent.get("uid") or ""))


class Vced:
    """Answers VCED's requests. Videos below `folders` of this machine may be indexed, no others."""

    def __init__(self, client: Client, folders: Sequence[Path], videos: KnownVideos) -> None:
        self._client, self._folders, self._videos = client, [folder.resolve() for folder in folders], videos

    def answer(self, message: bytes, is_awaited: Callable[[], bool] = lambda: True) -> bytes:
        """Answer a serialized `messages.Request` with another. Indexing stops when `is_awaited` returns False.

        Raises: ClipSeekError.
        """
        try:
            request = messages.Request.FromString(message)
        except DecodeError as error:
            raise _unsupported("this is not one of them") from error
        endpoint, docs = request.header.exec_endpoint, request.data.docs.docs
        if endpoint == "/index":
            for doc in docs:
                self._index(doc, is_awaited)
        elif endpoint == "/search":
            parameters = Parameters.of(MessageToDict(request.parameters))
            for doc in docs:
                self._search(doc, parameters)
        else:
            raise _unsupported(f"this one is for '{endpoint}'")
        logger.info("%s: %d documents", endpoint, len(docs))
        return bytes(request.SerializeToString())

    def _index(self, doc: Any, is_awaited: Callable[[], bool]) -> None:
        if not doc.uri:
            raise _unsupported("a document for /index has no uri")
        try:
            path = Path(doc.uri).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
            raise FileMissing(f"There is no file {doc.uri[:200]!r}.") from error
        if not any(path.is_relative_to(folder) for folder in self._folders):  # with links resolved
            allowed = ", ".join(map(str, self._folders))
            raise PathNotAllowed(f"'{doc.uri}' is not in a folder that `clipseek compat` was started with: {allowed}.")
        if not path.is_file():
            raise FileMissing(f"There is no file '{doc.uri}'.")

        def step(_progress: Progress) -> None:
            if not is_awaited():
                raise Cancelled(
                    "The program that sent the video has ended. Send it again to continue where it stopped."
                )

        result = self._client.index(path, progress=step)
        self._videos.add(doc.uri, doc.id, result.video.video_id)

    def _search(self, doc: Any, parameters: Parameters) -> None:
        if not doc.text:
            raise _unsupported("a document for /search has no text")
        del doc.matches[:]
        videos = self._videos_to_search(parameters)
        if videos == []:
            return
        # VCED always answers with its best matches, however badly they fit.
        answer = self._client.search(doc.text, top_k=parameters.most, videos=videos or (), all_matches=True)
        edges = self._edges(doc.text, answer.matches, parameters.drop)
        for rank, (match, (start, end)) in enumerate(zip(answer.matches, edges, strict=True)):
            tags = {
                "leftIndex": math.floor(start),
                "rightIndex": math.ceil(end),
                "maxImageScore": match.score,
                "maxIndex": math.floor(match.peak_seconds),
                "uri": self._videos.uri(match.video_id) or match.title,
                "videoId": match.video_id,
                "startSeconds": start,
                "endSeconds": end,
            }
            doc.matches.add(id=f"{match.video_id[:16]}-{rank}").tags.update(tags)

    def _edges(self, text: str, matches: Sequence[Match], drop: float | None) -> Iterator[tuple[float, float]]:
        """The edges of each match: its own, or by VCED's `drop`. The score curve of a video is asked for once."""
        curves: dict[str, tuple[Query, float]] = {}
        for match in matches:
            if drop is None:
                yield match.start_seconds, match.end_seconds
                continue
            if match.video_id not in curves:
                duration_seconds = self._client.video(match.video_id).duration_seconds
                curves[match.video_id] = self._client.timeline(match.video_id, text), duration_seconds
            yield edges_by_drop(*curves[match.video_id], match.peak_seconds, drop)

    def _videos_to_search(self, parameters: Parameters) -> list[str] | None:
        """The ids of the videos to search in; None: all."""
        if parameters.uris is not None:
            return self._videos.videos_at(parameters.uris)
        return (self._videos.videos_of(parameters.sender) if parameters.sender else []) or None


def edges_by_drop(curve: Query, duration_seconds: float, peak_seconds: float, drop: float) -> tuple[float, float]:
    """The edges of a match by VCED's rule: around its best frame, as far as all frames score at most `drop` less.

    Returns: `[start, end)` in seconds. A frame lasts until the next one, the last one until the video's end.
    """
    times, scores = curve.curve_pts_seconds, curve.curve_scores
    first = last = max(bisect_right(times, peak_seconds) - 1, 0)
    least = scores[first] - drop
    while first > 0 and scores[first - 1] >= least:
        first -= 1
    while last + 1 < len(times) and scores[last + 1] >= least:
        last += 1
    return times[first], [*times, duration_seconds][last + 1]


def _unsupported(why: str) -> InvalidRequest:
    return InvalidRequest(f"`clipseek compat` answers only the requests /index and /search of VCED's programs: {why}.")


def _is_number(value: object) -> bool:
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]  # the error tells
    except (TypeError, ValueError):
        return False
