"""The past that `backfill` writes is the one that promtool makes of the same samples as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import requests

from tests.lab.scenarios.scenario import scenario
from tests.lab.servers.blocks import NotBackfilled, backfill
from tests.lab.servers.prometheus import Prometheus
from tests.lab.service import openmetrics
from tests.lab.service.openmetrics import Series, scraped
from tests.lab.service.simulation import Drawn

pytestmark = pytest.mark.lab

QUERIES = (
    "up",
    "timestamp(up)",
    "count_over_time(up[1h])",
    "sum by (status_code) (rate(micro_frontend_http_requests_total[5m]))",
    "increase(micro_frontend_http_requests_total[10m])",
    "histogram_quantile(0.95, sum by (le, path) (rate(micro_frontend_http_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.5, sum by (le, table) (rate(micro_frontend_database_query_duration_seconds_bucket[5m])))",
    "resets(process_cpu_seconds_total[1h])",
    "changes(process_start_time_seconds[1h])",
    "max_over_time(process_resident_memory_bytes[15m])",
    "micro_frontend_database_connections",
    "rate(micro_frontend_auth_attempts_total[5m])",
)
VERSIONS: tuple[Literal["debian", "3"], ...] = ("debian", "3")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """A window with killed containers; its times are whole seconds, for promtool may cut a thousandth off others."""
    one = scenario("out-of-memory", seed=5)
    found = one.draw(one.windows[0])
    return replace(found, times=np.round(found.times))


@dataclass(frozen=True)
class Pair:
    """Two servers of one version, which hold the same samples."""

    promtool: Prometheus
    backfill: Prometheus


@pytest.fixture(scope="module", params=VERSIONS)
def pair(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with (folder / "samples.om").open("w") as file:
        openmetrics.write(drawn, file)
    backfill(folder / "backfill" / "data", [list(scraped(drawn))])
    with (
        Prometheus(folder / "promtool", version=request.param, openmetrics=folder / "samples.om") as one,
        Prometheus(folder / "backfill", version=request.param) as other,
    ):
        yield Pair(one, other)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_answered_as_from_promtools_blocks(query: str, drawn: Drawn, pair: Pair) -> None:
    """Series, times and values are equal, restarts of containers and missed scrapes included."""
    expected = answer(pair.promtool, query, drawn)
    assert any(float(value) for one in expected for _, value in one["values"])
    assert answer(pair.backfill, query, drawn) == expected


def test_the_samples_have_restarts_and_missed_scrapes(drawn: Drawn, pair: Pair) -> None:
    """What would be lost most easily is in what is compared."""
    assert answer(pair.backfill, "resets(process_cpu_seconds_total[1h]) > 0", drawn)
    assert answer(pair.backfill, "min_over_time(up[1h]) == 0", drawn)


def test_a_series_given_twice_is_refused(tmp_path: Path) -> None:
    """The error says what was wrong, and no half of a block is left."""
    one = Series({"__name__": "up"}, np.array([1.0]), np.array([1.0]))
    with pytest.raises(NotBackfilled, match="out-of-order series added"):
        backfill(tmp_path, [[one, one]])
    assert list(tmp_path.iterdir()) == []


def answer(prometheus: Prometheus, query: str, drawn: Drawn) -> list[dict[str, Any]]:
    window = {"start": str(drawn.window.start), "end": str(drawn.window.end), "step": "60"}
    asked = requests.get(f"{prometheus.url}/api/v1/query_range", params={"query": query, **window}, timeout=60).json()
    return sorted(asked["data"]["result"], key=lambda one: sorted(one["metric"].items()))
