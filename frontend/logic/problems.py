"""What went wrong, in words and with the way out, in the page's language."""

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

# The class of an error -> the key of its texts: `problem.KEY` says what is wrong, `problem.KEY.way` what to do.
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


def key_of(error: ClipSeekError) -> str:
    """The key of the texts for an error: that of its class, or of the nearest class above that has texts."""
    return next((_KEYS[kind] for kind in type(error).__mro__ if kind in _KEYS), "other")
