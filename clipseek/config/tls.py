"""TLS: checks of the server's certificate, and its name for clients on the server's own machine."""

import socket
import ssl
from pathlib import Path

from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import Settings

_SECONDS = 10.0


def check_tls(settings: Settings) -> None:
    """Check that the server can use its certificate and key. Raises: InvalidSetting."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise InvalidSetting("CLIPSEEK_TLS_CERT and CLIPSEEK_TLS_KEY go together: set both to use TLS, or neither.")
    if settings.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
        except OSError as error:  # an SSLError is an OSError
            raise InvalidSetting(
                f"The certificate {settings.tls_cert} and the key {settings.tls_key} cannot be used ({error}). Both "
                f"must be PEM files. The key must belong to the first certificate and have no password."
            ) from error


def certificate_name(host: str, port: int, certificate: Path, seconds: float = _SECONDS) -> str:
    """The name in the certificate of the server at an address, if it is the certificate in that file.

    Clients on the server's machine connect to 127.0.0.1, which its certificate seldom names.

    Raises: OSError: no server answers within `seconds`, or one with another certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the name is not known yet; the certificate must be the one in the file
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, port), timeout=seconds) as connection,
        context.wrap_socket(connection) as secured,
    ):
        names = (secured.getpeercert() or {}).get("subjectAltName", ())
    return next((str(entry[1]) for entry in names), "")
