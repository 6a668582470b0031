"""A range query of a real Prometheus as numbers, transport included, against the libraries one would use."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect
from prometheus_pandas.query import Prometheus as PandasPrometheus

from runbook.config.schema import Prometheus as Settings
from runbook.sources.prometheus.client import Matrix, Prometheus, matrix, range_
from tests.bench.timing import Row, compare
from tests.lab.servers.prometheus import Prometheus as Server

SERIES, POINTS, STEP = 200, 1_417, 60
START = 1_768_000_020 - 1_768_000_020 % STEP
END = START + (POINTS - 1) * STEP
QUERY = "bench_requests"
TITLE = f"{SERIES} series x {POINTS:,} points from Prometheus"


def measure(directory: Path) -> list[Row]:
    """Ours, then each library by its own documentation; all must find the same numbers."""
    past = directory / "past.om"
    write_past(past)
    with Server(directory / "prometheus", openmetrics=past) as server:
        mine = Prometheus(Settings(url=server.url))
        client = PrometheusConnect(url=server.url)
        panda = PandasPrometheus(server.url)

        def ours() -> Matrix:
            return matrix(mine.ask(range_(QUERY, START, END, STEP)))

        def api_client() -> pd.DataFrame:
            start, end = (datetime.fromtimestamp(at, UTC) for at in (START, END))
            return MetricRangeDataFrame(client.custom_query_range(QUERY, start, end, str(STEP)))

        def prometheus_pandas() -> pd.DataFrame:
            return panda.query_range(QUERY, START, END, f"{STEP}s")

        expected = np.sort(ours().values.ravel())
        assert expected.shape == (SERIES * POINTS,)
        np.testing.assert_array_equal(np.sort(api_client()["value"].to_numpy(float)), expected)
        np.testing.assert_array_equal(np.sort(prometheus_pandas().to_numpy().ravel()), expected)
        return compare(
            {"ours": ours, "prometheus-api-client": api_client, "prometheus-pandas": prometheus_pandas},
        )


def write_past(file: Path) -> None:
    """Samples as OpenMetrics, with the many digits that rates have."""
    random_ = random.Random(1)
    with file.open("w") as past:
        past.write(f"# TYPE {QUERY} gauge\n")
        for i in range(SERIES):
            labels = f'instance="10.0.{i // 20}.{i % 20}:8080",pod="web-{i % 20}",path="/api/{i}"'
            past.writelines(
                f"{QUERY}{{{labels}}} {random_.random() * 1000!r} {START + k * STEP}\n" for k in range(POINTS)
            )
        past.write("# EOF\n")
