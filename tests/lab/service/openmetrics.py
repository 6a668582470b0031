"""A drawn window as the series that Prometheus would have scraped, and as OpenMetrics text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from tests.lab.service.simulation import LE, PERIODS, STATUSES, Drawn
from tests.lab.service.world import APP, CONTAINER, ENDPOINTS, PORT, QUERIES, Floats, Integers

BUCKETS = [*(f"{limit:g}" for limit in LE[:-1]), "+Inf"]
STATES = ("in_use", "idle", "waiting")
TYPICAL = np.array([0.003, 0.0075, 0.017, 0.036, 0.07, 0.16, 0.36, 0.7, 1.6, 3.6, 7.0, 14.0])  # seconds, in each bucket
QUIET_PART = 0.25  # of the window at its start, to tell what a long-lived counter has reached before
Labels = Mapping[str, str]
Family = tuple[
    str, Labels, Floats | Integers, bool
]  # name, labels, values (pod, time), whether it appears when first counted


@dataclass(frozen=True)
class Series:
    """What Prometheus would have stored of one series; its name is the label `__name__`."""

    labels: Labels
    times: Floats
    values: Floats | Integers


def scraped(drawn: Drawn) -> Iterator[Series]:
    """Every series of the window; a pod that does not run has only its `up`."""
    for name, labels, values, on_demand in _series(drawn):
        answered = drawn.known if name == "up" else drawn.scraped
        for number, pod in enumerate(drawn.pods):
            shown = answered[number] & (values[number] > 0) if on_demand else answered[number]
            if shown.any():
                own = {"app": APP, "instance": f"{pod.ip}:{PORT}", "job": APP, "pod": pod.name}
                yield Series({"__name__": name, **own, **labels}, drawn.times[number][shown], values[number][shown])


def write(drawn: Drawn, file: TextIO) -> None:
    """The same as OpenMetrics text with times."""
    for one in scraped(drawn):
        braces = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()) if name != "__name__")
        samples = zip(one.values.tolist(), one.times.tolist(), strict=True)
        file.writelines(f"{one.labels['__name__']}{{{braces}}} {value} {time:.3f}\n" for value, time in samples)
    file.write("# EOF\n")


def _series(drawn: Drawn) -> Iterator[Family]:
    total = Totals(drawn)
    yield "up", {}, drawn.scraped.astype(int), False
    yield "process_start_time_seconds", {}, np.round(np.nan_to_num(drawn.started), 2), False
    yield "process_cpu_seconds_total", {}, np.round(total(drawn.cpu_seconds), 2), False
    in_kubernetes = {"namespace": drawn.namespace, "container": CONTAINER, "job": "kubelet"}
    periods = (drawn.running * PERIODS * drawn.window.step).astype(int)
    yield "container_cpu_cfs_periods_total", in_kubernetes, total(periods), False
    yield "container_cpu_cfs_throttled_periods_total", in_kubernetes, total(drawn.throttled), False
    yield "process_resident_memory_bytes", {}, (drawn.memory / 4096).astype(int) * 4096, False
    yield "micro_frontend_cache_size_bytes", {}, drawn.cache.astype(int), False
    for state, values in zip(STATES, drawn.connections, strict=True):
        yield "micro_frontend_database_connections", {"state": state}, values, False
    yield "micro_frontend_database_connection_errors_total", {}, total(drawn.connection_errors), False
    for status, values in zip(("success", "failure"), total(drawn.logins), strict=True):
        yield "micro_frontend_auth_attempts_total", {"status": status}, values, False
    for endpoint, by_status in zip(ENDPOINTS, np.moveaxis(total(drawn.requests), 1, 0), strict=True):
        for status, values in zip(STATUSES, by_status, strict=True):
            labels = {"method": endpoint.method, "path": endpoint.path, "status_code": status}
            yield "micro_frontend_http_requests_total", labels, values, True
    own = [{"method": endpoint.method, "path": endpoint.path} for endpoint in ENDPOINTS]
    yield from _histogram("micro_frontend_http_request_duration_seconds", own, total(drawn.durations))
    own = [{"operation": operation, "table": table} for operation, table in QUERIES]
    yield from _histogram("micro_frontend_database_query_duration_seconds", own, total(drawn.query_durations))


def _histogram(name: str, whose: Sequence[Labels], counts: Integers) -> Iterator[Family]:
    """A histogram's series for each of `whose`; `counts` (bucket, whose, pod, time) are not yet summed over buckets."""
    below = counts.cumsum(axis=0)
    seconds = np.round(np.tensordot(TYPICAL, counts, axes=1), 4)
    for number, labels in enumerate(whose):
        there = below[-1, number] > 0
        for limit, values in zip(BUCKETS, below[:, number], strict=True):
            yield f"{name}_bucket", {**labels, "le": limit}, np.where(there, values, 0), False
        yield f"{name}_sum", labels, seconds[number], False
        yield f"{name}_count", labels, below[-1, number], False


class Totals:
    """Turns what happened between scrapes into counters, which begin at 0 with every container."""

    def __init__(self, drawn: Drawn) -> None:
        self._drawn = drawn
        self._rng = np.random.default_rng([int(drawn.window.start), 7])

    def __call__(self, counts: Floats | Integers) -> Floats | Integers:
        """The counters after each scrape; zero while the container does not run."""
        drawn, sums = self._drawn, np.zeros_like(counts)
        for number, pod in enumerate(drawn.pods):
            for life in pod.lives:
                run = np.flatnonzero(drawn.started[number] == life.start)
                if run.size:
                    part = counts[..., number, run]
                    sums[..., number, run] = part.cumsum(axis=-1) + self._before(part, life.start)
        return sums

    def _before(self, part: Floats | Integers, start: float) -> Floats | Integers:
        """What a container that is older than the window has counted until then."""
        age = self._drawn.window.start - start
        if age <= 0:
            return np.zeros_like(part[..., :1])
        quiet = (
            part[..., : max(1, int(part.shape[-1] * QUIET_PART))].mean(axis=-1, keepdims=True) / self._drawn.window.step
        )
        reached = quiet * age * 0.6  # nights are quieter
        return self._rng.poisson(reached) if np.issubdtype(part.dtype, np.integer) else reached
