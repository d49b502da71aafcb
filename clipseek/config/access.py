"""Who may use a server: its tokens, stored as hashes in CLIPSEEK_HOME/access.json.

Before the first token there is no such file. The service is then open, and listens on its own machine only. With the
first token every request needs one, even after all are revoked: only removing the file opens the service again.
"""

import hashlib
import hmac
import ipaddress
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from clipseek.api.errors import InvalidRequest, InvalidSetting, NotFound, StoreError
from clipseek.api.formats import excerpt
from clipseek.config.libraries import MAIN, check_library
from clipseek.config.settings import Settings

ANYONE, SERVER = "anyone", "server"  # callers without a token: of an open service, and the service itself
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Grant:
    """What the holder of a token may do. Requests that name no library use the first one."""

    name: str
    sha256: str
    libraries: tuple[str, ...]
    server_folders: bool
    created_at: str


class AccessFile:
    """The grants of a server. Changes by other processes are read at the next call."""

    def __init__(self, home: Path) -> None:
        self.path = home / "access.json"
        self._read_at: tuple[int, int, int] | None = None
        self._grants: tuple[Grant, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether there has never been a token."""
        return not os.path.lexists(self.path)  # a link to a disk that is not mounted is no invitation

    def grants(self) -> tuple[Grant, ...]:
        """All grants, in the order they were made. Raises: StoreError."""
        try:
            state = self.path.stat()
            read_at = (state.st_ino, state.st_mtime_ns, state.st_size)
            if read_at != self._read_at:
                rows = json.loads(self.path.read_text(encoding="utf-8"))["tokens"]
                self._grants = tuple(
                    Grant(**{**row, "libraries": tuple(map(check_library, row["libraries"]))}) for row in rows
                )
                self._read_at = read_at
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.path} cannot be read, so all requests are refused. Restore it, or remove it and make new "
                f"tokens."
            ) from error
        return self._grants

    def grant_of(self, token: str) -> Grant | None:
        """The grant of a token, or None. Compares every stored hash, in constant time."""
        digest = _digest(token)
        matches = [grant for grant in self.grants() if hmac.compare_digest(grant.sha256, digest)]
        return matches[0] if matches else None

    def add(self, name: str, libraries: tuple[str, ...] = (MAIN,), *, server_folders: bool = False) -> str:
        """Make a token. Returns: the token, which is stored nowhere.

        Raises: InvalidRequest: the name is taken or invalid, or the name of a library is.
        """
        if not _NAME.fullmatch(name) or name in (ANYONE, SERVER):
            raise InvalidRequest(
                f"'{excerpt(name)}' is not a valid name for a token: use 1 to 40 of the characters a-z, A-Z, 0-9, '.', "
                f"'_' and '-', but neither '{ANYONE}' nor '{SERVER}'"
            )
        for library in libraries:
            check_library(library)
        token = "clipseek_" + secrets.token_urlsafe(_TOKEN_BYTES)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock():
            grants = self.grants()
            if any(grant.name == name for grant in grants):
                raise InvalidRequest(f"A token named '{name}' exists already. Revoke it, or choose another name")
            self._write((*grants, Grant(name, _digest(token), libraries, server_folders, now)))
        return token

    def revoke(self, name: str) -> int:
        """Revoke a token. Returns: how many are left. Raises: NotFound."""
        with self._lock():
            grants = self.grants()
            left = tuple(grant for grant in grants if grant.name != name)
            if left == grants:
                raise NotFound(f"There is no token named '{name}'. `clipseek token list` shows all tokens")
            self._write(left)
        return len(left)

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".lock"), mode=0o600)

    def _write(self, grants: tuple[Grant, ...]) -> None:
        draft = self.path.with_suffix(".json-part")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"tokens": [asdict(grant) for grant in grants]}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def check_network(settings: Settings, bind: str) -> None:
    """Make sure that a service without tokens listens on this machine only.

    Raises: InvalidSetting: anyone on the network could use it, and the operator did not allow that.
    """
    if is_loopback(bind) or settings.allow_anyone or not AccessFile(settings.home).is_open:
        return
    raise InvalidSetting(
        f"At '{bind}' anyone on the network could use this service: it has no tokens yet. Make one with `clipseek "
        f"token add NAME`, listen on 127.0.0.1 only, or use --allow-anyone-on-the-network (CLIPSEEK_ALLOW_ANYONE=yes)."
    )


def with_flow_secret(settings: Settings) -> Settings:
    """The settings with a secret that gateway and executors share: a new one, unless it is set."""
    return replace(settings, flow_secret=settings.flow_secret or secrets.token_hex(_TOKEN_BYTES))


def service_token(flow_secret: str) -> str:
    """The token by which the gateway knows the service itself. It does not tell the secret, by which others sign."""
    return hmac.new(flow_secret.encode(), b"service token", hashlib.sha256).hexdigest()


def is_loopback(bind: str) -> bool:
    """Whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(bind.strip("[]")).is_loopback
    except ValueError:
        return bind == "localhost"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
