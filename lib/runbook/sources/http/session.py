"""HTTP sessions as our settings want them: TLS, credentials read anew for each request, connections that can be cut.

Imported on the first question only, as it needs `requests`.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from runbook.config.schema import Auth
from runbook.sources.http import auth
from runbook.sources.http.timelimit import make_all_cuttable

CONNECTIONS = 32  # all queries of an alert go out at once
NEAR = (".local", ".localhost", ".svc", ".internal", ".lan", ".home.arpa")


def open_session(config: Auth, url: str) -> requests.Session:
    """A session for one address. Proxies of the environment count, except between us and ourselves."""
    session = requests.Session()
    session.verify, session.cert = auth.ca_bundle(config), auth.client_certificate(config)
    session.trust_env = not is_loopback(url)
    session.headers.update(auth.headers(config))
    session.auth = _Signer(config, url)
    prepare(session)
    return session


def prepare(session: requests.Session) -> None:
    """Let a TimeLimit cut this session's connections, and let many threads use it; again after each `mount`."""
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.connection_pool_kw["maxsize"] = CONNECTIONS
            make_all_cuttable(adapter.poolmanager)


def is_near(url: str) -> bool:
    """Whether a server is on this machine or in the local network, as far as its name tells."""
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return address.is_private if address else "." not in host or host.endswith(NEAR)


def is_loopback(url: str) -> bool:
    """Whether a server is on this machine."""
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


class _Signer:
    """Called by requests for every request; that it is there also keeps ~/.netrc out."""

    def __init__(self, config: Auth, url: str) -> None:
        self._config, self._url = config, url

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = auth.authorization(self._config, self._url)
        if value:
            request.headers["Authorization"] = value
        return request


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
