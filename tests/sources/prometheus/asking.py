"""Prometheus: the source under test, and what a server answers it."""

from __future__ import annotations

from typing import Any

from runbook.config.schema import Prometheus as Settings
from runbook.sources.prometheus.client import Prometheus
from tests.canned import Canned, Reply

QUERY, RANGE = "/api/v1/query", "/api/v1/query_range"
CANARY = "canary-7d1f"


def found(*result: Any, kind: str = "vector", **more: Any) -> Reply:
    """A reply of the query API."""
    return Reply({"status": "success", "data": {"resultType": kind, "result": list(result)}, **more})


ONE = {"metric": {"__name__": "up", "job": "x"}, "value": [100, "1"]}
UP = {QUERY: found(ONE)}


def source(server: Canned, seconds: float = 5.0, **settings: Any) -> Prometheus:
    return Prometheus(Settings(url=server.url, **settings), seconds)
