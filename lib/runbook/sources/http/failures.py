"""What went wrong on the way to a server, in words: pure, for every source that speaks HTTP."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import urllib3.exceptions

from runbook.errors import Reason, SourceError

_CERTIFICATE = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate is signed by an unknown authority",
    20: "the certificate is signed by an unknown authority",
    21: "the certificate is signed by an unknown authority",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}
_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
}
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}


@dataclass(frozen=True)
class Fault:
    """`words` say what happened ("connection refused"), `advice` what to do, as a clause after a semicolon."""

    words: str
    reason: Reason
    advice: str


REFUSED = Fault("connection refused", "unreachable", "check that it runs and that host and port are right")
NO_HOST = Fault("host name not found", "unreachable", "check the host name and this machine's DNS")
NO_RESOLVER = Fault("name server gave no answer", "unreachable", "check this machine's DNS")
NO_ROUTE = Fault("no route to the host", "unreachable", "check the address, the network or the VPN")
TIMEOUT = Fault(
    "no answer in time", "timeout", "check that it is not overloaded and that no firewall swallows the request"
)
CLOSED = Fault("connection closed without an answer", "unreachable", "check its log and the proxies before it")
HALF = Fault("answer broke off half-way", "garbage", "check its log and the proxies before it, then run again")
NOT_HTTP = Fault("answer is not HTTP", "garbage", "check that the URL names the right port")
NOT_TLS = Fault(
    "TLS failed: the server does not speak TLS", "unreachable", "check whether the URL should begin with http://"
)
CLIENT_CERTIFICATE = Fault(
    "TLS failed: the server wants another client certificate",
    "forbidden",
    "check `client_cert_file` and `client_key_file`",
)
BROKEN_TLS = Fault(
    "TLS failed: the server broke it off",
    "unreachable",
    "check whether it wants a client certificate (`client_cert_file`), then its TLS settings",
)
BAD_URL = Fault("the URL is not valid", "unreachable", "write it like http://host:9090 in runbook.toml")
UNKNOWN = Fault("connection failed", "unreachable", "check the address, its log and the proxies before it")


def fault(error: BaseException) -> Fault:
    """What this error of a client library means, from the innermost error that says something."""
    chain = list(_causes(error))
    return next((found for cause in reversed(chain) if (found := _meaning(cause))), UNKNOWN)


def source_error(what: str, url: str, found: Fault) -> SourceError:
    """The one sentence: what failed, where, what to do."""
    return SourceError(f"{what} at {place(url)} gave no answer ({found.words}); {found.advice}.", found.reason)


def place(url: str) -> str:
    """A URL fit to be shown: without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def reason(status: int) -> Reason:
    """The kind of failure that an HTTP status stands for."""
    if status in (401, 403):
        return "forbidden"
    if status >= 500:
        return "server error"
    return "refused" if status >= 400 else "garbage"


def status_words(status: int) -> tuple[str, str]:
    """What a server did that answered with this status alone, and what to do."""
    if 300 <= status < 400:
        return (
            f"redirects elsewhere ({status})",
            "put the address behind the redirect, or credentials for its login, into runbook.toml",
        )
    advice: dict[Reason, str] = {
        "forbidden": "check the credentials under `auth` in runbook.toml",
        "server error": "check that it and the proxy before it are up, then run again",
        "refused": "check `url` in runbook.toml",
        "garbage": "check that `url` in runbook.toml names the right server and not a login page",
    }
    return f"answered {status}", advice[reason(status)]


def _meaning(error: BaseException) -> Fault | None:
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return TIMEOUT
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return CLOSED  # before BadStatusLine: RemoteDisconnected is both
    if isinstance(error, (http.client.IncompleteRead, urllib3.exceptions.DecodeError)):
        return HALF
    if isinstance(error, http.client.HTTPException):
        return NOT_HTTP
    if isinstance(error, socket.gaierror):
        return NO_RESOLVER if error.errno == socket.EAI_AGAIN else NO_HOST
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, ValueError):
        return BAD_URL
    return NO_ROUTE if isinstance(error, OSError) and error.errno in _UNREACHABLE else None


def _tls(error: ssl.SSLError) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _CERTIFICATE.get(error.verify_code, "the certificate cannot be verified")
        return Fault(
            f"TLS failed: {words}", "unreachable", "renew it, correct the host name, or name its authority in `ca_file`"
        )
    name = error.reason or ""
    if name in _NOT_TLS:
        return NOT_TLS
    if "CERTIFICATE" in name:
        return CLIENT_CERTIFICATE
    if "HANDSHAKE_FAILURE" in name or "EOF" in name or isinstance(error, ssl.SSLEOFError):
        return BROKEN_TLS
    words = f"TLS failed: {name.replace('_', ' ').lower() or 'no common protocol'}"
    return Fault(words, "unreachable", "check the server's TLS settings")


def _causes(error: BaseException, depth: int = 0) -> Iterator[BaseException]:
    """The error, then what it wraps, outermost first."""
    yield error
    if depth > 8:
        return
    wrapped = [
        error.__cause__,
        error.__context__,
        getattr(error, "reason", None),
        *error.args,
        *getattr(error, "errors", ()),
    ]
    for inner in wrapped:
        if isinstance(inner, BaseException):
            yield from _causes(inner, depth + 1)
