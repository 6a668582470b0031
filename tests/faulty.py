"""A real HTTP server that fails in one chosen way, on a free port of 127.0.0.1.

with Faulty("hanging") as server:
    ask(server.url)

Its error pages repeat the request, credentials included, as badly configured servers do: whoever quotes them leaks.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal, Self, get_args

Mode = Literal[
    "down",  # nobody listens
    "hanging",  # accepts and never answers
    "trickling headers",  # a byte each 0.3 s, without end
    "trickling body",  # headers at once, then a byte each 0.3 s
    "500",
    "401",
    "403",
    "garbage",  # bytes that are not HTTP
    "nonsense",  # HTTP 200, but nothing that the client asked for
    "half a body",  # fewer bytes than promised
]
MODES: tuple[Mode, ...] = get_args(Mode)
PAUSE = 0.3
MIME = b"Content-Type: application/json\r\nX-Elastic-Product: Elasticsearch\r\n"


class Faulty:
    """Listens while its `with` block runs; every connection gets the same treatment on a thread of its own."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._listener = socket.socket()
        self._stopping = threading.Event()
        self._connections: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Where it fails."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))  # bound but not listening: the port is ours, and refuses
        if self._mode != "down":
            self._listener.listen(64)
            threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for one in [self._listener, *self._connections]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed by __exit__
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client left, or __exit__ closed it
            request = _read(connection)
            self._answer(connection, request)
            if self._mode != "hanging":
                connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        if self._mode in ("500", "401", "403"):
            status = self._mode.encode()
            connection.sendall(
                b"HTTP/1.1 %s Trouble\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
                % (status, len(request), request)
            )
        elif self._mode == "garbage":
            connection.sendall(b"\x00\xff\x13\x37 this is not HTTP \r\n\r\n" + request)
        elif self._mode == "nonsense":
            connection.sendall(b"HTTP/1.1 200 OK\r\n%sContent-Length: 9\r\n\r\n{ nonsens" % MIME)
        elif self._mode == "half a body":
            connection.sendall(b'HTTP/1.1 200 OK\r\n%sContent-Length: 5000\r\n\r\n{"status": "succ' % MIME)
        elif self._mode == "trickling headers":
            self._trickle(connection, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 1000)
        elif self._mode == "trickling body":
            connection.sendall(b"HTTP/1.1 200 OK\r\n%sContent-Length: 5000\r\n\r\n" % MIME)
            self._trickle(connection, b'{"status":"' + b"z" * 4989)

    def _trickle(self, connection: socket.socket, text: bytes) -> None:
        for i in range(len(text)):
            connection.sendall(text[i : i + 1])
            if self._stopping.wait(PAUSE):
                return


def _read(connection: socket.socket) -> bytes:
    """The whole request, as closing on unread bytes would reset the connection."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += _more(connection)
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        more = _more(connection)
        body, request = body + more, request + more
    return request


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionResetError
    return received
