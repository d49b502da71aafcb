"""Which of the page's sentences explain an error."""

from clipseek.api import errors

# Error class -> key of its texts: `problem.KEY` says what failed, `problem.KEY.fix` what to do.
_KEYS: dict[type[errors.ClipSeekError], str] = {
    errors.ServerUnreachable: "unreachable",
    errors.ServerNotReady: "not_ready",
    errors.ModelMismatch: "mismatch",
    errors.ModelUnavailable: "model",
    errors.StoreFull: "full",
    errors.MediaMissing: "media_missing",
    errors.UnreadableVideo: "unreadable",
    errors.UnreadableImage: "image",
    errors.VideoNotFound: "video_gone",
    errors.PathNotAllowed: "path",
    errors.AccessDenied: "access",
    errors.TooManyRequests: "too_many",
    errors.NoVideosFound: "no_videos",
}
KEYS = frozenset(_KEYS.values()) | {"other"}


def problem_key(error: errors.ClipSeekError) -> str:
    """The key for an error: that of its class, or of the nearest base class that has one."""
    return next((_KEYS[kind] for kind in type(error).__mro__ if kind in _KEYS), "other")
