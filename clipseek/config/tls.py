"""What a client on the server's own machine needs of TLS: the name that is in the server's certificate."""

import socket
import ssl
from pathlib import Path

from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import Settings

_SECONDS = 10.0


def check_tls(settings: Settings) -> None:
    """See that the server's certificate and key can be used. Raises: InvalidSetting."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise InvalidSetting("CLIPSEEK_TLS_CERT and CLIPSEEK_TLS_KEY go together: set both for TLS, or none.")
    if settings.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
        except OSError as error:  # an SSLError is one, too
            raise InvalidSetting(
                f"The certificate {settings.tls_cert} and the key {settings.tls_key} cannot be used ({error}). Both "
                f"are PEM files, and the key is that of the first certificate, without a password."
            ) from error


def certificate_name(host: str, port: int, certificate: Path) -> str:
    """The name in the certificate of the server at an address, if it is the certificate of that file.

    A server's own machine reaches it at 127.0.0.1, which its certificate seldom names.

    Raises:
        OSError: nobody answers, or with another certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the name is what is asked for; the certificate itself must be the file's
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, port), timeout=_SECONDS) as connection,
        context.wrap_socket(connection) as secured,
    ):
        names = (secured.getpeercert() or {}).get("subjectAltName", ())
    return next((str(entry[1]) for entry in names), "")
