"""A name server for names that move: what is behind a name can be replaced at another address, as pods are."""

import socket
import socketserver
import threading
from typing import Any, Self

_ANSWERED, _UNKNOWN = b"\x81\x80", b"\x81\x83"  # flags of an answer: no error, and no such name
_ADDRESS = b"\x00\x01"  # the type of a question for an IPv4 address
_THIS_NAME, _INTERNET, _NOT_KEPT = b"\xc0\x0c", b"\x00\x01", b"\x00\x00\x00\x00"


class NameServer:
    """Answers questions for the IPv4 addresses in `addresses`: name -> address. Change it at any time."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        names = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                question, udp = self.request
                udp.sendto(names._answer(question), self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def target(self, name: str, port: int) -> str:
        """The name as gRPC takes it, to be asked here."""
        return f"dns://127.0.0.1:{self._server.server_address[1]}/{name}:{port}"

    def _answer(self, message: Any) -> bytes:
        labels, place = [], 12  # behind the header
        while length := message[place]:
            labels.append(message[place + 1 : place + 1 + length].decode())
            place += 1 + length
        question, kind = message[12 : place + 5], message[place + 1 : place + 3]
        address = self.addresses.get(".".join(labels))
        found = socket.inet_aton(address) if address and kind == _ADDRESS else b""
        record = _THIS_NAME + _ADDRESS + _INTERNET + _NOT_KEPT + b"\x00\x04" + found if found else b""
        counts = b"\x00\x01" + (b"\x00\x01" if found else b"\x00\x00") + bytes(4)
        return bytes(message[:2] + (_ANSWERED if address else _UNKNOWN) + counts + question + record)
