"""Every error ClipSeek raises on purpose, in one tree.

    ClipSeekError
    ├── InvalidRequest            the caller asked for something that cannot be
    │   ├── EmptyQuery
    │   ├── InvalidTopK
    │   ├── InvalidTimeRange      end before start, or outside the video
    │   ├── InvalidSetting
    │   ├── InvalidGroundTruth    a file of queries and true moments that cannot be read
    │   ├── OutputRefused         a file that is not to be written to
    │   ├── UnreadableImage       an image to search with that is none, or too large
    │   ├── AmbiguousVideo        a title or id prefix that fits several videos
    │   └── LimitExceeded         more than the operator lets a request have; the message names limit and setting
    ├── NotFound
    │   ├── FileMissing
    │   ├── NoVideosFound         a folder without videos
    │   ├── VideoNotFound
    │   ├── MomentNotIndexed      the video is known, this part of it is not indexed (yet)
    │   └── MediaMissing          the video is known, its file is not (any more)
    ├── UnreadableVideo           FFmpeg cannot make pictures of it
    │   ├── EmptyFile
    │   ├── NoVideoStream
    │   └── NoFrames
    ├── DecoderCrashed            the process that decoded a video ended; the video and the part of it are named
    ├── DeadlineExceeded          decoding took longer than it may
    ├── UploadCorrupted           the bytes that arrived are not those that were announced
    ├── PathNotAllowed            a server path outside the folders the operator allowed
    ├── ModelError
    │   ├── UnknownModel
    │   ├── ModelUnavailable      its weights cannot be had
    │   └── ModelMismatch         the store was filled by another model
    ├── StoreError
    │   ├── StoreFull
    │   ├── StoreReadOnly         its folder or its disk cannot be written
    │   ├── MediaUnreachable      the videos' folder or object store (CLIPSEEK_MEDIA) cannot be used
    │   ├── StoreBusy             another program holds it, or its disk is too slow
    │   ├── StoreCorrupt          the file is damaged
    │   └── StoreVersion          written by another version of ClipSeek
    ├── ServerError
    │   ├── ServerUnreachable
    │   ├── ServerNotReady        could not start, or one of its processes is being started again
    │   │   └── RequestLost       it died while it worked on the request
    │   └── ServerFailed          an unforeseen error in the server
    │       └── ServerTimeout     no answer within the time that the client gave it
    ├── AccessDenied              no token, an unknown one, or one that may not do this
    ├── TooManyRequests           more at once, or in a second, than one caller may send
    ├── ClientOnly                asked of an install that has no server in it
    ├── SamplesUnavailable        the packages that ship the sample videos are not installed
    └── Cancelled                 the caller stopped it: raised by its own progress function

A message says what failed, with the value, and what to do next. Errors cross the wire by class name and message:
`error_from_name` makes them whole again on the client's side.
"""


class ClipSeekError(Exception):
    """Base of all. `exit_code` is what the command line ends with."""

    exit_code = 1


class InvalidRequest(ClipSeekError):
    exit_code = 2


class EmptyQuery(InvalidRequest):
    pass


class InvalidTopK(InvalidRequest):
    pass


class InvalidTimeRange(InvalidRequest):
    pass


class InvalidSetting(InvalidRequest):
    pass


class InvalidGroundTruth(InvalidRequest):
    pass


class OutputRefused(InvalidRequest):
    pass


class UnreadableImage(InvalidRequest):
    pass


class AmbiguousVideo(InvalidRequest):
    pass


class LimitExceeded(InvalidRequest):
    pass


class NotFound(ClipSeekError):
    pass


class FileMissing(NotFound):
    pass


class NoVideosFound(NotFound):
    pass


class VideoNotFound(NotFound):
    pass


class MomentNotIndexed(NotFound):
    pass


class MediaMissing(NotFound):
    pass


class UnreadableVideo(ClipSeekError):
    pass


class EmptyFile(UnreadableVideo):
    pass


class NoVideoStream(UnreadableVideo):
    pass


class NoFrames(UnreadableVideo):
    pass


class DecoderCrashed(ClipSeekError):
    pass


class DeadlineExceeded(ClipSeekError):
    pass


class UploadCorrupted(ClipSeekError):
    pass


class PathNotAllowed(ClipSeekError):
    pass


class ModelError(ClipSeekError):
    pass


class UnknownModel(ModelError):
    exit_code = 2


class ModelUnavailable(ModelError):
    pass


class ModelMismatch(ModelError):
    pass


class StoreError(ClipSeekError):
    pass


class StoreFull(StoreError):
    pass


class StoreReadOnly(StoreError):
    pass


class MediaUnreachable(StoreError):
    pass


class StoreBusy(StoreError):
    pass


class StoreCorrupt(StoreError):
    pass


class StoreVersion(StoreError):
    pass


class ServerError(ClipSeekError):
    pass


class ServerUnreachable(ServerError):
    pass


class ServerNotReady(ServerError):
    pass


class RequestLost(ServerNotReady):
    pass


class ServerFailed(ServerError):
    pass


class ServerTimeout(ServerFailed):
    pass


class AccessDenied(ClipSeekError):
    pass


class TooManyRequests(ClipSeekError):
    pass


class ClientOnly(ClipSeekError):
    pass


class SamplesUnavailable(ClipSeekError):
    pass


class Cancelled(ClipSeekError):
    pass


def _tree(root: type[ClipSeekError]) -> dict[str, type[ClipSeekError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def error_from_name(name: str, message: str) -> ClipSeekError | None:
    """The error that travelled as a class name and a message, or None where the name is none of ours."""
    error = _tree(ClipSeekError).get(name)
    return error(message) if error else None
