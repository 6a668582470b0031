"""prometheus-api-client's connection, with answers that keep everything and a limit to the total time.

Its class carries the session, TLS, authentication and retries; its own query methods would drop the API's warnings.
Imported on the first question only: the libraries behind it take half a second.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError
from urllib3.util.retry import Retry

from runbook import settings
from runbook.sources import auth, faults
from runbook.sources.timelimit import TimeLimit, make_all_cuttable, running

CONNECTIONS = 32  # all queries of an alert go out at once
NEAR = (".local", ".localhost", ".svc", ".internal", ".lan", ".home.arpa")


class Connection(PrometheusConnect):
    """One Prometheus address; safe to use from many threads."""

    def __init__(self, config: settings.Prometheus) -> None:
        self._config = config
        session = requests.Session()
        session.verify, session.cert = auth.ca_bundle(config.auth), auth.client_certificate(config.auth)
        session.trust_env = not _loopback(config.url)  # no proxy between us and ourselves
        if not _compress(config):
            session.headers["Accept-Encoding"] = "identity"
        headers = auth.headers(config.auth)
        super().__init__(auth.without_userinfo(config.url), headers=headers, retry=_RetryInTime.usual(), session=session, method=config.method)
        self.auth = self._sign
        adapter = session.get_adapter(self.url)
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.connection_pool_kw["maxsize"] = CONNECTIONS
            make_all_cuttable(adapter.poolmanager)

    def fetch(self, path: str, params: Mapping[str, Any], limit: TimeLimit, *, method: str = "") -> requests.Response:
        """The whole response of `path`, whatever its status; raises SourceError if there is none."""
        method = method or self._method
        where = {"params": params} if method == "GET" else {"data": params}
        try:
            return self._session.request(
                method,
                f"{self.url}{path}",
                **where,
                headers=self.headers,
                auth=self.auth,
                timeout=limit.remaining,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise faults.source_error("Prometheus", self.url, faults.TIMEOUT if limit.over else faults.fault(error)) from None

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called by requests for every request; being there, it also keeps ~/.netrc out."""
        value = auth.authorization(self._config.auth, self._config.url)
        if value:
            request.headers["Authorization"] = value
        return request


class _RetryInTime(Retry):
    """Twice more after a failed connection or a 502, 503, 504, POST too, as long as the running limit allows."""

    @classmethod
    def usual(cls) -> Self:
        return cls(total=2, backoff_factor=0.2, status_forcelist=(502, 503, 504), allowed_methods=None, raise_on_status=False, redirect=0)

    def increment(self, method: str | None = None, url: str | None = None, *args: Any, **kwargs: Any) -> Retry:
        limit = running()
        if limit is not None and limit.remaining < 1:
            raise kwargs.get("error") or MaxRetryError(kwargs["_pool"], url or "", None)
        return super().increment(method, url, *args, **kwargs)


def _compress(config: settings.Prometheus) -> bool:
    """Compression costs more time than it saves on loopback and in a local network."""
    return config.gzip == "on" or (config.gzip == "auto" and not _near(config.url))


def _near(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return address.is_private if address else "." not in host or host.endswith(NEAR)


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
