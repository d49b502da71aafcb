"""Which requests the page refuses: those sent to a foreign name or by another site, and bodies that nobody asked for.

The page has no password, so a web page that a visitor opens elsewhere must not reach it. Such a page can make its own
name lead to this machine (DNS rebinding), or send requests to this one from the visitor's browser.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from clipseek.config.access import is_loopback

_UPLOAD = re.compile("/_stcore/upload_file/[^/]+/[^/]+")
_MOST_CHARACTERS = 80  # of a name that a message repeats
_OTHER_SITE = "The page does not take requests from another site"
_ADVICE = "If it is the page's own, ask its operator to add the name to CLIPSEEK_PAGE_HOSTS."


class RequestCheck:
    """The check of a page that listens on `address` and also answers to `names`."""

    def __init__(self, address: str, names: Iterable[str] = ()) -> None:
        self._address, self._names = address, frozenset(names)
        self._has_all_addresses = address in ("", "0.0.0.0", "::")

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused, for the person who sent it; "" if it is not. Header names may be in any case."""
        host = headers.get("Host", "")
        if not self._is_own(_name_of(host)):
            return f"The page does not answer to the name {_quoted(host)}. {_ADVICE}"
        origin = headers.get("Origin")
        if origin is not None and not self._is_same_site(origin, host):
            return f"{_OTHER_SITE}: {_quoted(origin)}. {_ADVICE}"
        if not _is_same_site_or_link(headers):
            return f"{_OTHER_SITE}. Open it in a tab of its own."
        has_body = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers
        if has_body and not (method == "PUT" and _UPLOAD.fullmatch(path)):
            return f"Nothing can be sent to {_quoted(path)} of the page."
        return ""

    def _is_own(self, name: str) -> bool:
        """Whether a name is the page's. A page on all addresses accepts any: DNS rebinding needs a name."""
        if not name:
            return False
        is_known = name == self._address or name in self._names or is_loopback(name)
        return is_known or (self._has_all_addresses and _is_address(name))

    def _is_same_site(self, origin: str, host: str) -> bool:
        """Whether a site is the page itself, or has a name that the operator allows."""
        scheme, _, site = origin.lower().partition("://")
        return scheme in ("http", "https") and (site == host.lower() or _name_of(site) in self._names)


def _is_same_site_or_link(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks for the page itself, or followed a link to it. Other sites may not embed what it shows."""
    if headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none"):
        return True
    return (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == ("navigate", "document")


def _name_of(host: str) -> str:
    """The name or address in a Host header, without port and brackets; "" if there is none."""
    try:
        site = urlsplit(f"//{host.lower()}")
        port = site.port  # raises if it is no number
    except ValueError:
        return ""
    name = site.hostname or ""
    shown = f"[{name}]" if ":" in name else name
    return name.removesuffix(".") if host.lower() in (shown, f"{shown}:{port}") else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _quoted(text: str) -> str:
    return ascii(text[:_MOST_CHARACTERS])
