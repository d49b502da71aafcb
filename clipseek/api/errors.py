"""Every error that ClipSeek raises on purpose, in one tree.

    ClipSeekError
    ├── InvalidRequest
    │   ├── EmptyQuery
    │   ├── InvalidTopK
    │   ├── InvalidTimeRange
    │   ├── InvalidSetting
    │   ├── InvalidGroundTruth
    │   ├── OutputRefused
    │   ├── UnreadableImage
    │   ├── AmbiguousVideo
    │   └── LimitExceeded
    ├── NotFound
    │   ├── FileMissing
    │   ├── NoVideosFound
    │   ├── VideoNotFound
    │   ├── MomentNotIndexed
    │   └── MediaMissing
    ├── UnreadableVideo
    │   ├── EmptyFile
    │   ├── NoVideoStream
    │   └── NoFrames
    ├── DecoderCrashed
    ├── DeadlineExceeded
    ├── UploadCorrupted
    ├── PathNotAllowed
    ├── ModelError
    │   ├── UnknownModel
    │   ├── ModelUnavailable
    │   └── ModelMismatch
    ├── StoreError
    │   ├── StoreFull
    │   ├── StoreReadOnly
    │   ├── MediaUnreachable
    │   ├── StoreBusy
    │   ├── StoreUnreachable
    │   ├── StoreCorrupt
    │   └── StoreVersion
    ├── ServerError
    │   ├── ServerUnreachable
    │   ├── ServerNotReady
    │   │   └── RequestLost
    │   └── ServerFailed
    │       └── ServerTimeout
    ├── AccessDenied
    ├── TooManyRequests
    ├── ClientOnly
    └── Cancelled

A message says what failed, with the value, and what to do next. Some errors carry data as attributes. An error crosses
the wire by class name, message and data; `error_from_name` rebuilds it on the client's side.
"""

import json

MOST_CHARACTERS = 4000  # of a message: it may quote what a caller wrote


class ClipSeekError(Exception):
    """Base of all. `exit_code` is the exit code of the command line.

    Args:
        message: what failed, with the value, and what to do next. It is cut after `MOST_CHARACTERS`.
        data: attributes of the error as JSON: the form in which they cross the wire, and processes.
        attributes: the same by name; the class declares them.
    """

    exit_code = 1

    def __init__(self, message: str = "", data: str = "", /, **attributes: object) -> None:
        attributes |= json.loads(data) if data else {}
        # Jina sends `args`, pickle rebuilds from them: so the data must be in there, too.
        super().__init__(message[:MOST_CHARACTERS], *([json.dumps(attributes)] if attributes else []))
        for name, value in attributes.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidRequest(ClipSeekError):
    """The request contains something impossible."""

    exit_code = 2


class EmptyQuery(InvalidRequest):
    """The query does not say what to look for."""


class InvalidTopK(InvalidRequest):
    """The number of matches asked for is out of range."""


class InvalidTimeRange(InvalidRequest):
    """A time is out of range: the end before the start, or beyond the video."""


class InvalidSetting(InvalidRequest):
    """A setting or an option has a value that ClipSeek cannot use."""


class InvalidGroundTruth(InvalidRequest):
    """A file of queries and true moments cannot be read."""


class OutputRefused(InvalidRequest):
    """The output file cannot be written."""


class UnreadableImage(InvalidRequest):
    """An image to search with is not an image, or is too large."""


class AmbiguousVideo(InvalidRequest):
    """A title or the start of an id fits several videos."""


class LimitExceeded(InvalidRequest):
    """The request exceeds a limit that the operator set."""

    setting: str = ""  # the environment variable that sets the limit
    limit: float = 0.0
    value: float = 0.0  # in the unit of the limit


class NotFound(ClipSeekError):
    """Something named in the request does not exist."""


class FileMissing(NotFound):
    """There is no such file, or it cannot be opened."""


class NoVideosFound(NotFound):
    """A folder contains no videos."""


class VideoNotFound(NotFound):
    """The library has no such video."""


class MomentNotIndexed(NotFound):
    """The video is known, but this time of it is not indexed yet."""


class MediaMissing(NotFound):
    """The video is known, but its file is gone."""


class UnreadableVideo(ClipSeekError):
    """FFmpeg cannot decode the video."""


class EmptyFile(UnreadableVideo):
    """The file has 0 bytes."""


class NoVideoStream(UnreadableVideo):
    """The file has no video stream."""


class NoFrames(UnreadableVideo):
    """The video stream has no frame that can be decoded."""


class DecoderCrashed(ClipSeekError):
    """The process that decoded a video crashed; the message names the video and the time."""


class DeadlineExceeded(ClipSeekError):
    """Decoding took longer than the limit."""


class UploadCorrupted(ClipSeekError):
    """The uploaded bytes do not match the announced hash."""


class PathNotAllowed(ClipSeekError):
    """A path on the server lies outside the folders that the operator allowed."""


class ModelError(ClipSeekError):
    """The model does not work."""


class UnknownModel(ModelError):
    """There is no model of this name."""

    exit_code = 2


class ModelUnavailable(ModelError):
    """The model's weights cannot be loaded or downloaded."""


class ModelMismatch(ModelError):
    """Another model made the embeddings in the store."""


class StoreError(ClipSeekError):
    """The store does not work."""


class StoreFull(StoreError):
    """The disk is full."""


class StoreReadOnly(StoreError):
    """The store's folder or its disk is read-only."""


class MediaUnreachable(StoreError):
    """The folder or object store of the videos (CLIPSEEK_MEDIA) cannot be used."""


class StoreBusy(StoreError):
    """Another program has locked the store, or its disk is too slow."""


class StoreUnreachable(StoreError):
    """The PostgreSQL server of the store (CLIPSEEK_STORE) does not answer, or refuses the user."""


class StoreCorrupt(StoreError):
    """The store's database is damaged."""


class StoreVersion(StoreError):
    """Another version of ClipSeek wrote the store."""


class ServerError(ClipSeekError):
    """The server did not answer properly."""


class ServerUnreachable(ServerError):
    """No server answers at the address."""


class ServerNotReady(ServerError):
    """The server could not start, or is restarting one of its processes."""

    executor: str = ""  # the process that is down, where it is known: an executor's name, or "gateway"


class RequestLost(ServerNotReady):
    """A process of the server crashed while it worked on the request."""


class ServerFailed(ServerError):
    """The server has a bug, or answered nonsense."""


class ServerTimeout(ServerFailed):
    """The server did not answer within the client's time limit."""


class AccessDenied(ClipSeekError):
    """The token is missing, unknown, or does not allow this."""


class TooManyRequests(ClipSeekError):
    """One caller sent more requests per second, or at a time, than the operator allows."""


class ClientOnly(ClipSeekError):
    """The command needs the server, and only the client is installed."""


class Cancelled(ClipSeekError):
    """The caller's own progress function stopped the work by raising this."""


def _tree(root: type[ClipSeekError]) -> dict[str, type[ClipSeekError]]:
    tree = {root.__name__: root}
    for child in root.__subclasses__():
        tree |= _tree(child)
    return tree


def error_from_name(name: str, message: str, data: str = "") -> ClipSeekError | None:
    """The error that crossed the wire as class name, message and data; None where the class is not ours."""
    error = _tree(ClipSeekError).get(name)
    return error(message, data) if error else None
