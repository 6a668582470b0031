"""Links from a query to the page that shows it: Prometheus' graph, Kibana's Discover. Without an address, none."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from runbook.investigation.definitions import Context
from runbook.model import JSON, Query
from runbook.text.time import iso, second

LONGEST = 8000  # what browsers and proxies surely take


def link(query: Query, context: Context) -> str:
    """Where a person sees this query's data, or "" where there is no such page."""
    if query.source == "prometheus":
        return _whole(_prometheus(query, context))
    if query.source == "elasticsearch":
        return _whole(_kibana(query, context))
    return ""


def page(query: Query) -> str:
    """What the page is called."""
    return {"prometheus": "Prometheus", "elasticsearch": "Kibana"}.get(query.source, "")


def _whole(url: str) -> str:
    return url if len(url) <= LONGEST else ""


def _base(url: str) -> str:
    """The address without a password in it; "" for anything but http and https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return quote(urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), safe=":/%[]", errors="replace")


def _prometheus(query: Query, context: Context) -> str:
    settings = context.environment.prometheus
    base = _base(settings.external_url or settings.url) if settings else ""
    if not base:
        return ""
    start, end = _span(query, context)
    fields = {"g0.expr": query.text, "g0.tab": "0" if start < end else "1", "g0.end_input": second(end)}
    if start < end:
        fields |= {
            "g0.range_input": f"{round(end - start)}s",
            "g0.step_input": str(query.params.get("step", context.step)),
        }
    return f"{base}/graph?{urlencode(fields, errors='replace', quote_via=quote)}"


def _span(query: Query, context: Context) -> tuple[float, float]:
    """From when to when the query asks; one moment for an instant query."""
    if "start" in query.params and "end" in query.params:
        return float(query.params["start"]), float(query.params["end"])
    moment = float(query.params.get("time", context.end))
    return moment, moment


def _kibana(query: Query, context: Context) -> str:
    settings = context.environment.elasticsearch
    base = _base(settings.kibana_url) if settings else ""
    if not base:
        return ""
    start, end = iso(context.start).replace("Z", ".000Z"), iso(context.end).replace("Z", ".000Z")
    span = {"time": {"from": start, "to": end}}
    return f"{base}/app/discover#/?_g={_rison(span)}&_a={_rison({'filters': _filters(query, context)})}"


def _filters(query: Query, context: Context) -> list[JSON]:
    """The search body's query as one filter of Discover."""
    try:
        asked = json.loads(query.text).get("query")
    except (ValueError, AttributeError):
        asked = None
    if not asked:
        return []
    meta = {"alias": "runbook", "disabled": False, "index": context.service.index, "negate": False, "type": "custom"}
    return [{"$state": {"store": "appState"}, "meta": meta, "query": asked}]


def _rison(value: JSON) -> str:
    """JSON in the notation of Kibana's addresses, percent-encoded."""
    if isinstance(value, dict):
        return f"({','.join(f'{_rison(str(k))}:{_rison(v)}' for k, v in value.items())})"
    if isinstance(value, list):
        return f"!({','.join(map(_rison, value))})"
    if value is None or isinstance(value, bool):
        return {None: "!n", True: "!t", False: "!f"}[value]
    if isinstance(value, int | float):
        return quote(str(value).replace("+", ""), safe="-.")
    marked = str(value).replace("!", "!!").replace("'", "!'")
    return f"'{quote(marked, safe='!', errors='replace')}'".replace("'", "%27")
