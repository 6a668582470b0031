"""One command in a container of a pod, over the API server's websocket: no shell, no input, and little output.

websocket-client speaks the protocol; the connection itself is `kubernetes_http`'s, so that certificates, proxies and
the time limit are the same for all that we ask.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
import websocket

from runbook.model import JSON
from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.kubernetes.http import Connection, Request

MOST = 16_384  # bytes of output
_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
_OUT, _ERR, _STATUS = 1, 2, 3


@dataclass(frozen=True)
class Ran:
    """What a command printed, between `sent` and `received` (epoch seconds); `error` is "" where it ended well."""

    printed: str
    error: str
    sent: float
    received: float


def run(connection: Connection, request: Request, command: Sequence[str], limit: TimeLimit) -> Ran:
    """Run it; raises SourceError where the API server does not let us, or breaks off."""
    channel, sent = _open(connection, request, command, limit)
    heard: dict[int, bytes] = {_OUT: b"", _ERR: b"", _STATUS: b""}
    received = 0.0
    try:
        for number, said in _frames(channel):
            heard[number] = heard.get(number, b"") + said
            received = received or (time.time() if number == _OUT and said else 0.0)
            if sum(map(len, heard.values())) > MOST:
                break
    except (websocket.WebSocketException, OSError) as error:
        if not heard[_STATUS]:
            raise connection.silent(error, limit) from None
    finally:
        with suppress(websocket.WebSocketException, OSError):
            channel.close(timeout=1)
    return Ran(_text(heard[_OUT]), _error(heard[_STATUS], _text(heard[_ERR])), sent, received or time.time())


def _open(
    connection: Connection, request: Request, command: Sequence[str], limit: TimeLimit
) -> tuple[websocket.WebSocket, float]:
    """The channel, and when the command could begin at the earliest."""
    wanted = [*request.params.items(), ("stdout", "true"), ("stderr", "true"), *(("command", one) for one in command)]
    socket, server, proof = connection.dial(limit)
    sent = time.time()
    try:
        channel = websocket.create_connection(
            f"ws{server.removeprefix('http')}{request.path}?{urlencode(wanted)}",
            timeout=limit.remaining,
            socket=socket,
            header=[f"{name}: {value}" for name, value in connection.headers(proof, request.accept).iteritems()],
            subprotocols=_PROTOCOLS,
            suppress_origin=True,
            redirect_limit=0,
        )
    except websocket.WebSocketBadStatusException as error:
        socket.close()
        raise connection.refused(error.status_code, error.resp_body or b"", proof, request) from None
    except (websocket.WebSocketException, OSError, ValueError) as error:
        socket.close()
        raise connection.silent(error, limit) from None
    return channel, sent


def _frames(channel: websocket.WebSocket) -> Iterator[tuple[int, bytes]]:
    """What arrives, each with the number of its stream, until the server closes."""
    while True:
        kind, data = channel.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            return
        if data:
            yield data[0], data[1:]


def _error(status: bytes, complaint: str) -> str:
    """Why the command did not end well: its own words, else those of the Status object that should be there."""
    try:
        told: JSON = msgspec.json.decode(status)
    except msgspec.MsgspecError:
        return complaint.strip()[:200] or "it printed too much, or broke off before it ended"
    if told.get("status") == "Success":
        return ""
    return (complaint.strip() or str(told.get("message", "")))[:200] or "it failed"


def _text(printed: bytes) -> str:
    return printed.decode("utf-8", "replace")
