"""The documents on the wire, under the name that scripts import them by; see `clipseek.api.documents`."""

from clipseek.api.documents import *  # noqa: F403
