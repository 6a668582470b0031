"""The service itself, asked over HTTP from where the runbook runs: GET, below `base_url` alone.

A service that does not answer is evidence, not a failure of ours. So connection refused, a time-out, TLS trouble or a
broken answer are *complete* answers with `status` null and the trouble in words; only a path that would leave
`base_url` is an error.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from runbook.errors import ParameterError, SourceError
from runbook.model import JSON, Answer, Query
from runbook.settings import Auth
from runbook.wellformed import leaves

if TYPE_CHECKING:  # half a second to import: on the first question only
    import requests

BODY_BYTES = 2048


def get(path: str) -> Query:
    """GET a path, perhaps with a query string, below the environment's `base_url`; ParameterError if it would leave it."""
    trouble = leaves(path)
    if trouble:
        raise ParameterError(f"The path {path[:200]!r} {trouble}; a probe stays below base_url, write it like /health.")
    return Query("probe", "get", path)


class Probe:
    """The service at `base_url`; `seconds` bounds each question by cutting the connection."""

    def __init__(self, base_url: str, seconds: float = 10.0) -> None:
        self._base_url, self._seconds = base_url, seconds

    def ask(self, query: Query) -> Answer:
        """What one GET showed; redirects are not followed.

        Data: `url`, `status` (null without an answer), `latency_ms` until the headers were there (null as well),
        `error` (null or words), `location` of a redirect, `content_type`, `body` (the first 2 KB) and `truncated`.
        Raises SourceError only for a path that leaves `base_url`, or if that is no URL.
        """
        trouble = leaves(query.text)
        if trouble:
            raise SourceError(
                f"The probe of {_shown(self._base_url)} refuses the path {query.text[:200]!r}: it {trouble}; correct it.",
                "refused",
            )
        began = time.monotonic()
        data = self._look(query.text)
        return Answer(query, "complete", data, seconds=time.monotonic() - began)

    def _look(self, path: str) -> JSON:
        import requests  # see TYPE_CHECKING above
        import urllib3

        from runbook.sources import auth, faults, session, timelimit

        seen: dict[str, JSON] = dict.fromkeys(("status", "latency_ms", "error", "location", "content_type", "body"))
        seen |= {"url": _shown(self._base_url) + path, "truncated": False}
        url = auth.without_userinfo(self._base_url) + path
        with timelimit.TimeLimit(self._seconds) as limit, session.open_session(Auth(), self._base_url) as opened:
            began = time.perf_counter()
            try:
                with opened.get(url, timeout=limit.remaining, allow_redirects=False, stream=True) as response:
                    seen |= {"latency_ms": round((time.perf_counter() - began) * 1000, 1), **_head(response)}
                    seen |= _body(response)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                found = faults.TIMEOUT if limit.over else faults.fault(error)
                if found is faults.BAD_URL:  # ours, not the service's
                    raise SourceError(
                        "base_url in runbook.toml is not a valid URL; write it like http://host:8080.", "refused"
                    ) from None
                seen["error"] = found.words
            else:
                if limit.over:  # headers that were cut off look like whole ones
                    seen["error"] = faults.TIMEOUT.words
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


def _shown(url: str) -> str:
    """Without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
