"""One pod of the live service: a real HTTP server on a port of its own, with metrics of its own, that can die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from tornado.httpserver import HTTPServer
from tornado.web import Application, Finish, RequestHandler

from tests.lab.service.answering import QUERY_STEEPNESS, STEEPNESS, TEMPER, TEMPERS
from tests.lab.service.behaviour import Behaviour, unreachable
from tests.lab.service.expectation import LOOKUPS, UNSEEN
from tests.lab.service.fleet import READY_AFTER, Life, Pod
from tests.lab.service.log_lines import Document, compose, draw_words, stamped
from tests.lab.service.openmetrics import STATES
from tests.lab.service.sentences import SENTENCES
from tests.lab.service.simulation import LE, statuses
from tests.lab.service.world import ENDPOINTS, POOL_SIZE, QUERIES, REASONS, REFUSED_LOGINS, Character

BUCKETS = tuple(LE.tolist())
LONGEST = 12.0  # seconds that an answer may take
ACCESS_SAMPLE, WARNED = 0.05, 0.5
SLOW = 1.0
disable_created_metrics()


class Metrics:
    """What one container counts, from zero."""

    def __init__(self, started: float) -> None:
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        prefix, request, query = "micro_frontend", ("method", "path"), ("operation", "table")
        name = f"{prefix}_http_request_duration_seconds"
        self.requests = Counter(f"{prefix}_http_requests", "Requests.", (*request, "status_code"), **own)
        self.durations = Histogram(name, "Duration of requests.", request, buckets=BUCKETS, **own)
        name = f"{prefix}_database_query_duration_seconds"
        self.queries = Histogram(name, "Duration of queries.", query, buckets=BUCKETS, **own)
        self.connections = Gauge(f"{prefix}_database_connections", "Connections.", ("state",), **own)
        self.refused = Counter(f"{prefix}_database_connection_errors", "Connections that failed.", **own)
        self.logins = Counter(f"{prefix}_auth_attempts", "Tokens checked.", ("status",), **own)
        self.cache = Gauge(f"{prefix}_cache_size_bytes", "Size of the cache.", **own)
        self.cpu = Counter("process_cpu_seconds", "CPU time.", **own)
        self.memory = Gauge("process_resident_memory_bytes", "Resident memory.", **own)
        Gauge("process_start_time_seconds", "Start.", **own).set(started)
        for status in ("success", "failure"):
            self.logins.labels(status)


@dataclass
class Expected:
    """How this pod answers at the moment: outcomes (reason, endpoint) summed up, and medians by endpoint."""

    outcomes: np.ndarray
    median: np.ndarray
    memory: float


class LivePod:
    """A pod and the container that runs in it, or does not."""

    def __init__(
        self,
        pod: Pod,
        port: int,
        who: Character,
        rng: np.random.Generator,
        *,
        log: Callable[[Document], None],
        clock: Callable[[], float],
    ) -> None:
        self.pod, self.port = pod, port
        self.lives: list[Life] = []
        self.crashes = 0
        self.started = float("nan")
        self.ends: tuple[float, str, int] = (float("inf"), "", 0)
        self.back_at = float("inf")
        self._who, self._rng, self._log, self._clock = who, rng, log, clock
        self._server: HTTPServer | None = None
        self._metrics = Metrics(0.0)
        self._expected: Expected | None = None
        self._unreachable, self._mute = False, 0.0
        self.usage = (0.0, 0.0)  # cores and bytes

    @property
    def unreachable(self) -> bool:
        """Whether the network or the node keeps everybody away."""
        return self._unreachable

    @property
    def running(self) -> bool:
        """Whether its container runs."""
        return self._server is not None

    @property
    def ready(self) -> bool:
        """Whether requests are sent to it."""
        return self.running and self._clock() >= self.started + READY_AFTER

    def start(self) -> None:
        """A new container, which counts from zero."""
        self.started = self._clock()
        self._metrics = Metrics(self.started)
        self._server = HTTPServer(self._application())
        self._server.listen(self.port, "127.0.0.1")

    def stop(self, reason: str, exit_code: int) -> None:
        """The container ends; nobody listens any more."""
        if self._server is not None:
            self._server.stop()
            self._server = None
            self.lives.append(Life(self.started, self._clock(), reason, exit_code))

    def follow(self, seen: Behaviour, place: int, seconds: float, scale: float) -> None:
        """Take over what is expected of this pod, and let the time since the last call leave its traces in the metrics.

        `scale`: how many requests of the model one real request stands for.
        """
        self._unreachable = bool(unreachable(seen.state)[place, 0])
        self._mute = float(seen.state["scrape_fails"][place, 0])
        response, metrics, rng = seen.response, self._metrics, self._rng
        outcomes = response.outcomes[:, :, place, 0].cumsum(axis=0)
        self._expected = Expected(outcomes, response.median[:, place, 0], float(seen.memory[place, 0]))
        limit, held = round(POOL_SIZE * seen.state["pool_size"][place, 0]), round(seen.state["held"][place, 0])
        in_use = min(int(rng.poisson(response.in_use[place, 0])) + held, limit)
        idle = max(0, round(min(in_use + 5, limit) * (1.0 - response.away[place, 0])) - in_use)
        waiting = int(rng.poisson(response.waiting[place, 0]))
        for state, number in zip(STATES, (in_use, idle, waiting), strict=True):
            metrics.connections.labels(state).set(number)
        metrics.refused.inc(int(rng.poisson(response.connection_errors[place, 0] * seconds / scale)))
        metrics.cpu.inc(float(response.cpu[place, 0]) * seconds)
        self.usage = float(response.cpu[place, 0]), float(seen.memory[place, 0])
        metrics.memory.set(self.usage[1])
        metrics.cache.set(float(seen.cache[place, 0]))
        for labels, rate, median in zip(
            QUERIES, response.queries[:, place, 0], response.query_median[:, place, 0], strict=True
        ):
            for _ in range(int(rng.poisson(rate * seconds / scale))):
                metrics.queries.labels(*labels).observe(self._duration(float(median), QUERY_STEEPNESS))
        for _ in range(int(rng.poisson(seen.state["warnings"][place, 0] * seconds / scale))):
            self._say("warnings", 0)

    async def answer(self, endpoint: int, *, exists: bool = False) -> int:
        """Answer one request, in the time that takes; the status code. `exists`: what is asked for is surely there."""
        expected, route = self._expected, ENDPOINTS[endpoint]
        if expected is None:
            return 503
        reason = REASONS[int((expected.outcomes[:-1, endpoint] < self._rng.random()).sum())]
        reason = "ok" if exists and reason == "missing" else reason
        choices = statuses(self._who, reason, route.success)
        status = choices[int(self._rng.choice(len(choices), p=[share for _, share in choices]))][0]
        median, steepness = TEMPERS.get(TEMPER.get(reason, ""), (float(expected.median[endpoint]), STEEPNESS))
        seconds = self._duration(median, steepness)
        await asyncio.sleep(seconds)
        self._metrics.requests.labels(route.method, route.path, status).inc()
        self._metrics.durations.labels(route.method, route.path).observe(seconds)
        if reason == "pool":
            self._metrics.refused.inc()
        if route.guarded and reason not in UNSEEN:
            lost = reason in LOOKUPS and self._rng.random() < self._who.lost_sessions
            failed = lost or reason in REFUSED_LOGINS
            self._metrics.logins.labels("failure" if failed else "success").inc()
        self._say_sometimes(reason, endpoint, seconds)
        return int(status)

    def _say_sometimes(self, reason: str, endpoint: int, seconds: float) -> None:
        often = {"ok": ACCESS_SAMPLE, "unauthorized": WARNED}.get(reason, 1.0)
        if self._rng.random() < often and reason in SENTENCES:
            self._say(reason, endpoint)
        if seconds > SLOW:
            self._say("slow", endpoint)

    def _say(self, kind: str, endpoint: int) -> None:
        memory = self._expected.memory if self._expected else 0.0
        (words,) = draw_words(self._rng, np.array([memory]))
        (stamp,) = stamped(np.array([self._clock()]))
        self._log(compose(self._who, kind, endpoint, words, pod=self.pod.name, stamp=stamp))

    def _duration(self, median: float, steepness: float) -> float:
        chance = min(max(float(self._rng.random()), 1e-6), 1 - 1e-6)
        return min(LONGEST, median * (chance / (1 - chance)) ** (1 / steepness))

    def metrics_text(self) -> bytes | None:
        """What a scrape gets, if anything."""
        if self._rng.random() < self._mute:
            self._say("mute", 0)
            return None
        return generate_latest(self._metrics.registry)

    def _application(self) -> Application:
        paths = dict.fromkeys(endpoint.path for endpoint in ENDPOINTS)
        routes = [(path.replace(":name", "[^/]+"), _Page, {"pod": self, "path": path}) for path in paths]
        return Application([("/metrics", _Scrape, {"pod": self}), *routes], log_function=lambda handler: None)


class _Handler(RequestHandler):
    _pod: LivePod

    def prepare(self) -> None:
        if self._pod.unreachable:
            self.detach().close()
            raise Finish


class _Scrape(_Handler):
    def initialize(self, pod: LivePod) -> None:
        self._pod = pod

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        text = self._pod.metrics_text()
        if text is None:
            self.send_error(500)
        else:
            self.write(text)


class _Page(_Handler):
    def initialize(self, pod: LivePod, path: str) -> None:
        self._pod, self._template = pod, path

    async def get(self) -> None:
        await self._answer("GET")

    async def post(self) -> None:
        await self._answer("POST")

    async def _answer(self, method: str) -> None:
        found = [n for n, e in enumerate(ENDPOINTS) if (e.method, e.path) == (method, self._template)]
        tried = self.request.path.endswith("/test") or self.get_query_argument("username", "") == "test"
        status = await self._pod.answer(found[0], exists=tried) if found else 405
        self.set_status(status)
        if status == 302:
            self.set_header("Location", "/display")
        self.write({"status": status, "pod": self._pod.pod.name})
