"""A small real HTTP server on loopback that gives prepared answers and keeps what it was asked.

with Canned({"/api/v1/query": Reply({"status": "success", ...})}) as server:
    ask(server.url); server.requests[0].headers["Authorization"]
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `params` are those of the URL and of a form, the first value of each."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def params(self) -> dict[str, str]:
        """Query string and form, together."""
        form = self.body.decode() if "form" in self.headers.get_content_type() else ""
        return {
            name: values[0] for text in (urlsplit(self.path).query, form) for name, values in parse_qs(text).items()
        }


@dataclass(frozen=True)
class Reply:
    """What to answer; `body` goes out as JSON unless it is bytes."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The bytes of the body."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answers = Mapping[str, Reply] | Callable[[Request], Reply]


class Canned:
    """Answers by path, or whatever a function says; `tls` makes it HTTPS."""

    def __init__(self, answers: Answers, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._answers = answers
        self.requests: list[Request] = []
        self._tls, self._port = tls, port

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self._port), self._handler())
        if self._tls:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, request: Request) -> Reply:
        """What this request gets."""
        self.requests.append(request)
        if callable(self._answers):
            return self._answers(request)
        return self._answers.get(urlsplit(request.path).path, Reply(b"not here", 404))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                reply = canned.reply(Request(self.command, self.path, self.headers, body))
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may keep its connection open

    def handle_error(self, *_: object) -> None:
        """A client that breaks off is part of the tests."""
