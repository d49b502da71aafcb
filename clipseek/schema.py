"""The documents on the wire, for scripts to import; see `clipseek.api.documents`."""

from clipseek.api.documents import *  # noqa: F403
