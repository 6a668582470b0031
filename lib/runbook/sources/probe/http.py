"""The service itself, asked over HTTP from where the runbook runs: GET, below `base_url` alone.

A service that does not answer is evidence, not a failure of ours. So connection refused, a time-out, TLS trouble or a
broken answer are *complete* answers with `status` null and the trouble in words; only a path that would leave
`base_url` is an error. Names and ports, which the same source answers for, are network.py's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from runbook.config.schema import Auth
from runbook.config.secrets import secret
from runbook.config.types import leaves
from runbook.errors import ParameterError, SourceError
from runbook.model import JSON, Answer, Query
from runbook.sources.http import auth as authentication
from runbook.sources.probe import load_test as loading
from runbook.sources.probe import network

if TYPE_CHECKING:  # half a second to import: on the first question only
    import requests

BODY_BYTES = 2048

Read = Callable[["requests.Response"], dict[str, JSON]]


def get(path: str) -> Query:
    """GET a path, perhaps with a query string, below `base_url`; ParameterError if it would leave it."""
    return Query("probe", "get", _below(path))


def login(path: str) -> Query:
    """The same GET with the environment's probe token; of the page behind the login nothing is kept."""
    return Query("probe", "login", _below(path))


def load(path: str, requests: int = 50) -> Query:
    """The same GET many times, at most five at once: for a service that has recovered, never for one in trouble."""
    if not 1 <= requests <= loading.MOST:
        raise ParameterError(f"A load test makes 1 to {loading.MOST} requests, not {requests}; correct their number.")
    return Query("probe", "load", _below(path), {"requests": requests})


def _below(path: str) -> str:
    trouble = leaves(path)
    if trouble:
        raise ParameterError(f"The path {path[:200]!r} {trouble}; a probe stays below base_url, write it like /health.")
    return path


class Probe:
    """The service at `base_url`; `seconds` bounds each question by cutting the connection.

    `auth` holds the authority to trust, and a token that proves who we are in a login alone. Names and ports are tried
    of `base_url` and `database_address`.
    """

    def __init__(self, base_url: str, seconds: float = 10.0, auth: Auth | None = None, database_address: str = ""):
        self._base_url, self._seconds = base_url, seconds
        self._login_auth = auth or Auth()
        self._auth = Auth(ca_file=self._login_auth.ca_file)
        self._network = network.Network((base_url, database_address), seconds)

    def ask(self, query: Query) -> Answer:
        """What was seen; redirects are not followed.

        Data of "get" and "login": `url`, `status` (null without an answer), `latency_ms` until the headers were there
        (null as well), `error` (null or words), `location` of a redirect, `content_type`, `body` (the first 2 KB; null
        for a login) and `truncated`; of "load": `url`, `requests` and load.summary; else as network.Network.
        Raises SourceError only for what may not be asked, or if `base_url` is no URL.
        """
        if query.kind in network.KINDS:
            return self._network.ask(query)
        trouble = leaves(query.text)
        if trouble:
            raise SourceError(
                f"The probe of {_shown(self._base_url)} refuses the path {query.text[:200]!r}: "
                f"it {trouble}; correct it.",
                "refused",
            )
        authentication.existing(self._auth.ca_file, "base_url_ca_file")
        began = time.monotonic()
        if query.kind == "load":
            return self._load(query)
        data = self._login(query.text) if query.kind == "login" else self._look(query.text, self._auth, _body)
        return Answer(query, "complete", data, seconds=time.monotonic() - began)

    def _login(self, path: str) -> JSON:
        """The body is somebody's own page, and might show the token: it is not even read."""
        if not secret(self._login_auth.bearer_env, self._login_auth.bearer_file, "probe_token"):
            raise SourceError(
                f"The probe has no token for {path}; name one by probe_token_env or probe_token_file in runbook.toml.",
                "refused",
            )
        return self._look(path, self._login_auth, lambda response: {})

    def _look(self, path: str, auth: Auth, read: Read) -> JSON:
        from runbook.sources.http import session  # see TYPE_CHECKING above

        with session.open_session(auth, self._base_url) as opened:
            seen = self._get(opened, path, self._seconds, read)
        return {"url": _shown(self._base_url) + path, "body": None, "truncated": False, **seen}

    def _load(self, query: Query) -> Answer:
        from runbook.sources.http import session

        count = query.params["requests"]
        began = time.monotonic()
        with session.open_session(self._auth, self._base_url) as opened:
            shots = loading.fire(lambda seconds: self._get(opened, query.text, seconds, _whole), count, self._seconds)
        data = {"url": _shown(self._base_url) + query.text, "requests": count, **loading.summary(shots)}
        cut = () if len(shots) == count else (f"only {len(shots)} of {count} requests fit into {self._seconds:g} s",)
        return Answer(query, "partial" if cut else "complete", data, cut, seconds=time.monotonic() - began)

    def _get(self, opened: requests.Session, path: str, seconds: float, read: Read) -> dict[str, JSON]:
        """One GET in this time: its head, what `read` makes of the rest, and the trouble in words."""
        import requests
        import urllib3

        from runbook.sources.http import failures, timelimit

        seen: dict[str, JSON] = dict.fromkeys(("status", "latency_ms", "error", "location", "content_type"))
        url = authentication.without_userinfo(self._base_url) + path
        with timelimit.TimeLimit(seconds) as limit:
            began = time.perf_counter()
            try:
                with opened.get(url, timeout=limit.remaining, allow_redirects=False, stream=True) as response:
                    seen |= {"latency_ms": round((time.perf_counter() - began) * 1000, 1), **_head(response)}
                    seen |= read(response)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                found = failures.TIMEOUT if limit.over else failures.fault(error)
                if found is failures.BAD_URL:  # ours, not the service's
                    raise SourceError(
                        "base_url in runbook.toml is not a valid URL; write it like http://host:8080.", "refused"
                    ) from None
                seen["error"] = found.words
            else:
                if limit.over:  # headers that were cut off look like whole ones
                    seen["error"] = failures.TIMEOUT.words
        return seen


def _head(response: requests.Response) -> dict[str, JSON]:
    location = response.headers.get("Location")
    return {
        "status": response.status_code,
        "location": _shown(location) if location else None,
        "content_type": response.headers.get("Content-Type"),
    }


def _body(response: requests.Response) -> dict[str, JSON]:
    """The first bytes as text; what is not UTF-8 shows as the replacement character."""
    start = b""
    for piece in response.iter_content(512):
        start += piece
        if len(start) > BODY_BYTES:
            break
    return {"body": start[:BODY_BYTES].decode("utf-8", "replace"), "truncated": len(start) > BODY_BYTES}


def _whole(response: requests.Response) -> dict[str, JSON]:
    """Read to its end, since that is what a user waits for; nothing is kept."""
    for _ in response.iter_content(64 * 1024):
        pass
    return {}


def _shown(url: str) -> str:
    """Without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def answers_well(answer: Answer) -> bool:
    """Whether an endpoint gave a 2xx or 3xx, and all of its answer; a redirected login failed, and so did a load test
    with one failure.
    """
    if not answer.usable:
        return False
    if answer.query.kind == "load":
        return answer.completeness == "complete" and answer.data["failures"] == 0
    status = answer.data.get("status")
    beyond = 300 if answer.query.kind == "login" else 400
    return isinstance(status, int) and 200 <= status < beyond and not answer.data.get("error")
