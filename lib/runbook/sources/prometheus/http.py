"""Prometheus's HTTP API: one request, one reply with its warnings, or one sentence why there is none.

prometheus-api-client's class carries the session, TLS, authentication and retries; its own query methods would drop
the API's warnings. Imported on the first question only: the libraries behind it take half a second.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.exceptions import HTTPError

from runbook.config import schema
from runbook.errors import Reason, SourceError
from runbook.model import JSON, Query
from runbook.sources.http import auth, failures
from runbook.sources.http.session import is_near, open_session, prepare
from runbook.sources.http.timelimit import RetryInTime, TimeLimit

GET_ONLY = ("build info", "label values")
RESULT_TYPES = {"instant": ("vector", "scalar"), "range": ("matrix",)}


class Reply(msgspec.Struct):
    """What every answer of the API is wrapped in."""

    status: str
    data: Any = None
    error: str = ""
    errorType: str = ""  # the API's spelling
    warnings: list[str] = []
    infos: list[str] = []


_decoder = msgspec.json.Decoder(Reply)


class Connection(PrometheusConnect):
    """One Prometheus address; safe to use from many threads."""

    def __init__(self, config: schema.Prometheus) -> None:
        self._config = config
        session = open_session(config.auth, config.url)
        if config.gzip == "off" or (config.gzip == "auto" and is_near(config.url)):
            session.headers["Accept-Encoding"] = "identity"  # compressing would cost more time than it saves
        super().__init__(auth.without_userinfo(config.url), retry=_retries(), session=session, method=config.method)
        prepare(session)

    def reply(self, query: Query, path: str, params: Mapping[str, JSON], limit: TimeLimit) -> Reply:
        """The reply to one request of a query; raises SourceError if there is none that can be used."""
        if "query" in params:  # Prometheus itself gives up a little before we do, and says so
            params = {**params, "timeout": f"{limit.remaining * 0.9:.3f}"}
        response = self._fetch("GET" if query.kind in GET_ONLY else self._method, path, params, limit)
        try:
            with _no_collection:
                reply = _decoder.decode(response.content)
        except msgspec.MsgspecError:
            raise self._not_prometheus(response.status_code) from None
        if reply.status != "success" or not response.ok:
            raise self._refusal(response.status_code, reply, query)
        if not _right_shape(query, reply.data):
            raise self._error(
                "answered JSON of an unknown shape", "check that `url` leads to a Prometheus", "garbage", query
            )
        if _has_histograms(query, reply.data):
            raise self._error(
                "answered native histograms",
                "wrap the query in histogram_quantile() or histogram_count()",
                "refused",
                query,
            )
        return reply

    def _fetch(self, method: str, path: str, params: Mapping[str, JSON], limit: TimeLimit) -> requests.Response:
        """The whole response, whatever its status."""
        try:
            return self._session.request(
                method,
                f"{self.url}{path}",
                params=params if method == "GET" else None,
                data=params if method == "POST" else None,
                timeout=limit.remaining,
                allow_redirects=False,
            )
        except (requests.RequestException, HTTPError, OSError) as error:
            raise failures.source_error(
                "Prometheus", self.url, failures.TIMEOUT if limit.over else failures.fault(error)
            ) from None

    def _refusal(self, status: int, reply: Reply, query: Query) -> SourceError:
        """Prometheus's own words."""
        words = auth.hidden(reply.error, self._config.auth, self._config.url)[:500]
        if reply.errorType == "timeout":
            return self._error(
                f"gave the query up ({words})", "ask for a shorter time range or fewer series", "timeout", query
            )
        advice = "check the metric and label names of the service's profile"
        return self._error(
            f"refused the query ({status} {reply.errorType}: {words})", advice, failures.reason(status), query
        )

    def _not_prometheus(self, status: int) -> SourceError:
        """A response that is not the API's JSON: a proxy's, a login page, another program."""
        words, advice = failures.status_words(status)
        return self._error(f"{words}, without Prometheus's JSON", advice, failures.reason(status))

    def _error(self, what: str, advice: str, reason: Reason, query: Query | None = None) -> SourceError:
        asked = f" Query: {query.text[:500]}" if query else ""
        return SourceError(f"Prometheus at {failures.place(self.url)} {what}; {advice}.{asked}", reason)


class _NoCollection:
    """Garbage collection waits meanwhile, for any number of threads.

    An answer is half a million objects, none of them garbage; looking through them again and again while they are
    made takes three times as long as making them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._was_on = True

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._was_on = gc.isenabled()
                gc.disable()
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._was_on:
                gc.enable()


_no_collection = _NoCollection()


def _retries() -> RetryInTime:
    """Twice more after a failed connection or a 502, 503, 504, POST too, while there is time."""
    return RetryInTime(
        total=2,
        backoff_factor=0.2,
        status_forcelist=(502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,
    )


def _right_shape(query: Query, data: JSON) -> bool:
    """Whether the pure functions of `prometheus` can read it."""
    if query.kind == "build info":
        return isinstance(data, dict)
    if query.kind not in RESULT_TYPES:
        return isinstance(data, list)
    if not (
        isinstance(data, dict)
        and data.get("resultType") in RESULT_TYPES[query.kind]
        and isinstance(data.get("result"), list)
    ):
        return False
    return data["resultType"] == "scalar" or all(
        isinstance(one, dict) and isinstance(one.get("metric"), dict) for one in data["result"]
    )


def _has_histograms(query: Query, data: JSON) -> bool:
    """Native histograms stand beside or in place of the values."""
    return query.kind in RESULT_TYPES and any(
        "histogram" in one or "histograms" in one for one in data["result"] if isinstance(one, dict)
    )
