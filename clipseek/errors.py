"""Every error that ClipSeek raises, for scripts to import; see `clipseek.api.errors`."""

from clipseek.api.errors import *  # noqa: F403
