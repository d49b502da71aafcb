"""Identifies callers: by the token in a call's metadata, `authorization: Bearer TOKEN`.

`clipseek-library: NAME` chooses among the token's libraries. The service itself says by `clipseek-filed-by: NAME` whose
job it works on.
"""

import hmac
from collections.abc import Iterable

from clipseek.api.errors import AccessDenied
from clipseek.api.formats import excerpt
from clipseek.config.access import ANYONE, SERVER, AccessFile, Grant, service_token
from clipseek.config.libraries import MAIN, check_library
from executors.flow.callers import Caller

_SERVICE = Grant(SERVER, "", (MAIN,), server_folders=True, created_at="")


class Doorkeeper:
    """Identifies callers by the metadata of their calls.

    Args:
        access: the tokens.
        secret: the Flow's own, from which the service derives its token; not empty.
        may_be_open: whether a service without tokens serves everyone.
    """

    def __init__(self, access: AccessFile, secret: str, *, may_be_open: bool) -> None:
        self._access, self._service_token, self._may_be_open = access, service_token(secret), may_be_open

    def caller(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """The caller, and the library that the call is for: for the service itself, any.

        Raises: AccessDenied, StoreError. InvalidRequest: no library can have that name.
        """
        texts = {key: value for key, value in metadata if isinstance(value, str)}
        scheme, _, token = texts.get("authorization", "").partition(" ")
        grant = self._grant(token.strip() if scheme.lower() == "bearer" else "")
        library = texts.get("clipseek-library") or grant.libraries[0]
        if grant is _SERVICE:
            library = check_library(library)
            return Caller(grant.name, library, grant.server_folders, filed_by=texts.get("clipseek-filed-by", ""))
        if library not in grant.libraries:
            raise AccessDenied(f"Your token does not open the library '{excerpt(library)}'. Name another one, or none.")
        return Caller(grant.name, library, grant.server_folders)

    def _grant(self, token: str) -> Grant:
        if token and hmac.compare_digest(token.encode(), self._service_token.encode()):
            return _SERVICE
        if self._access.is_open and self._may_be_open:
            return Grant(ANYONE, "", (MAIN,), server_folders=True, created_at="")
        grant = self._access.grant_of(token) if token else None
        if grant is None:
            problem = "does not know this token" if token else "requires a token"
            raise AccessDenied(
                f"The server {problem}. Its operator makes one with `clipseek token add NAME`; set CLIPSEEK_TOKEN."
            )
        return grant
