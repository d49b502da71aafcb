"""Who may come in: the tokens of a server, kept as hashes in CLIPSEEK_HOME/access.json.

Until the first token is made there is no such file, and the service is open; it then listens to its own machine only.
From then on every request needs a token, also when the last one was revoked: only who removes the file opens it again.
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
from clipseek.config.libraries import MAIN, check_library
from clipseek.config.settings import Settings

ANYONE, SERVER = "anyone", "server"  # callers without a token of their own: of an open service, and the service itself
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Grant:
    """What the holder of a token may do. The first library is the one used where none is named."""

    name: str
    sha256: str
    libraries: tuple[str, ...]
    server_folders: bool
    created_at: str


class AccessFile:
    """The grants of a server. Changes by another process are seen at the next question."""

    def __init__(self, home: Path) -> None:
        self.path = home / "access.json"
        self._read_at: tuple[int, int, int] | None = None
        self._grants: tuple[Grant, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether no token was ever made."""
        return not self.path.exists()

    def grants(self) -> tuple[Grant, ...]:
        """All grants, in the order they were made. Raises: StoreError."""
        try:
            state = self.path.stat()
            read_at = (state.st_ino, state.st_mtime_ns, state.st_size)
            if read_at != self._read_at:
                self._grants = _parsed(self.path.read_text(encoding="utf-8"))
                self._read_at = read_at
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.path} cannot be read, so nobody is let in. Restore it, or remove it and make new tokens."
            ) from error
        return self._grants

    def grant_of(self, token: str) -> Grant | None:
        """What a token grants; every stored hash is compared, in constant time."""
        digest = _digest(token)
        found = [grant for grant in self.grants() if hmac.compare_digest(grant.sha256, digest)]
        return found[0] if found else None

    def add(self, name: str, libraries: tuple[str, ...] = (MAIN,), *, server_folders: bool = False) -> str:
        """Make a token, which is returned and kept nowhere.

        Raises:
            InvalidRequest: the name is taken or no name, or that of a library is none.
        """
        if not _NAME.fullmatch(name) or name in (ANYONE, SERVER):
            raise InvalidRequest(
                f"'{name[:80]}' cannot be a token's name: 1 to 40 of the characters a-z, A-Z, 0-9, '.', '_' and '-', "
                f"and neither '{ANYONE}' nor '{SERVER}'"
            )
        for library in libraries:
            check_library(library)
        token = "clipseek_" + secrets.token_urlsafe(_TOKEN_BYTES)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock():
            grants = self.grants()
            if any(grant.name == name for grant in grants):
                raise InvalidRequest(
                    f"There is a token named '{name}' already. Revoke that one, or choose another name"
                )
            self._write((*grants, Grant(name, _digest(token), libraries, server_folders, now)))
        return token

    def revoke(self, name: str) -> int:
        """Take a token back. Returns: how many are left. Raises: NotFound."""
        with self._lock():
            grants = self.grants()
            left = tuple(grant for grant in grants if grant.name != name)
            if left == grants:
                raise NotFound(f"There is no token named '{name}'. `clipseek token list` shows those there are")
            self._write(left)
        return len(left)

    def _lock(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
    """See that a service without tokens listens to this machine only.

    Raises:
        InvalidSetting: anyone in the network could use it, and nobody said that this is meant.
    """
    if is_loopback(bind) or settings.allow_anyone or not AccessFile(settings.home).is_open:
        return
    raise InvalidSetting(
        f"At '{bind}' anyone in the network could use this service: it has no tokens yet. Make one with `clipseek "
        f"token add NAME`, listen on 127.0.0.1 only, or say --allow-anyone-on-the-network (CLIPSEEK_ALLOW_ANYONE=yes)."
    )


def with_flow_secret(settings: Settings) -> Settings:
    """The settings with a secret for gateway and executors to share: a new one unless one was given."""
    return replace(settings, flow_secret=settings.flow_secret or secrets.token_hex(_TOKEN_BYTES))


def is_loopback(bind: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return ipaddress.ip_address(bind.strip("[]")).is_loopback
    except ValueError:
        return bind == "localhost"


def _parsed(text: str) -> tuple[Grant, ...]:
    return tuple(
        Grant(**{**each, "libraries": tuple(map(check_library, each["libraries"]))})
        for each in json.loads(text)["tokens"]
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
