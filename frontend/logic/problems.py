"""Which of the page's sentences explain an error."""

from clipseek.api.errors import (
    AccessDenied,
    ClipSeekError,
    MediaMissing,
    ModelMismatch,
    ModelUnavailable,
    NoVideosFound,
    PathNotAllowed,
    SamplesUnavailable,
    ServerNotReady,
    ServerUnreachable,
    StoreFull,
    TooManyRequests,
    UnreadableImage,
    UnreadableVideo,
    VideoNotFound,
)

# Error class -> key of its texts: `problem.KEY` says what failed, `problem.KEY.fix` what to do.
_KEYS: dict[type[ClipSeekError], str] = {
    ServerUnreachable: "unreachable",
    ServerNotReady: "not_ready",
    ModelMismatch: "mismatch",
    ModelUnavailable: "mismatch",
    StoreFull: "full",
    MediaMissing: "media_missing",
    UnreadableVideo: "unreadable",
    UnreadableImage: "image",
    VideoNotFound: "video_gone",
    PathNotAllowed: "path",
    AccessDenied: "access",
    TooManyRequests: "too_many",
    NoVideosFound: "no_videos",
    SamplesUnavailable: "samples",
}
KEYS = frozenset(_KEYS.values()) | {"other"}


def problem_key(error: ClipSeekError) -> str:
    """The key for an error: that of its class, or of the nearest base class that has one."""
    return next((_KEYS[kind] for kind in type(error).__mro__ if kind in _KEYS), "other")
