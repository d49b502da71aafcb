"""Every error ClipSeek raises, under the name that scripts import them by; see `clipseek.api.errors`."""

from clipseek.api.errors import *  # noqa: F403
