"""The simulated service alive: pods on ports of their own, users, logs, faults on demand. `python -m tests.lab.service`.

Every pod listens on a port of 127.0.0.1; a front balances over those that are ready, and simulated users ask the front.
A control address, on loopback too, injects faults of the same table that past scenarios are made of:

    GET    /lab           what runs, and which effects are on
    GET    /lab/targets   the pods, for Prometheus' http_sd_configs
    POST   /lab/fault     {"name": "database-refused", "seed": 1, "minutes": 20}; the last two may be left out
    DELETE /lab/fault     all is as usual again; what was rolled out stays

With a kubeconfig the pods are those of the Deployment, so a roll-back or a scale-out by kubectl has its real effect.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.web import Application, RequestHandler

from tests.lab import messages
from tests.lab.behaviour import behave
from tests.lab.faults import FAULTS, Situation
from tests.lab.fleet import BACKOFF_FORGOTTEN, Pod, Rollout, backoff, ends
from tests.lab.livepod import LivePod
from tests.lab.mirror import Alone, Cluster, Mirrored, Place
from tests.lab.processes import free_port
from tests.lab.sentences import Document
from tests.lab.world import APP, ENDPOINTS, SHARE, Effect, character, usual_rate

TICK, TRAFFIC_TICK, HEALTH_EVERY, USAGE_EVERY = 1.0, 0.1, 5.0, 10.0
AFTERNOON = 1_767_794_400.0  # a Wednesday, 14:00 UTC: here it is always that
USERS = ("test", "mia.k", "noah77", "ada_w", "finn.s", "lea91", "omar.m")


class Service:
    """All pods, the users and the faults."""

    def __init__(self, cluster: Cluster, seed: int, rate: float) -> None:
        self.who = character(seed)
        self.effects: tuple[Effect, ...] = ()
        self.pods: dict[str, LivePod] = {}
        self.logged: list[Document] = []
        self.cluster = cluster
        self._rng = np.random.default_rng(seed)
        self._usual = float(usual_rate(self.who, np.array([AFTERNOON]))[0])
        self.scale = self._usual / rate
        self.demand = np.zeros(len(ENDPOINTS))
        self._rollouts: list[Rollout] = []

    @property
    def ready(self) -> list[LivePod]:
        """The pods that take requests."""
        return [pod for pod in self.pods.values() if pod.ready]

    def inject(self, name: str, seed: int, minutes: float | None) -> None:
        """Let a fault of the table begin now."""
        now, newest = time.time(), max((pod.pod.revision for pod in self.pods.values()), default=0)
        plan = FAULTS[name].plan(Situation(np.random.default_rng(seed), self.who, now, self._usual, newest + 1))
        end = now + 60 * minutes if minutes else None
        self.effects += tuple(replace(e, end=min(e.end, end)) if end else e for e in plan.effects)
        self._rollouts += plan.rollouts
        self._foretell(self.pods.values())

    def clear(self) -> None:
        """No fault any more."""
        self.effects = ()
        self._rollouts.clear()
        self._foretell(self.pods.values())

    async def follow_cluster(self) -> None:
        """Begin rollouts that are due, take up the pods that are new, let go those that are gone."""
        now = time.time()
        for due in [one for one in self._rollouts if one.at <= now]:
            self._rollouts.remove(due)
            await asyncio.to_thread(self.cluster.roll_out, due.change)
        places = {place.name: place for place in await asyncio.to_thread(self.cluster.places)}
        for name in self.pods.keys() - places.keys():
            self.pods.pop(name).stop("Completed", 0)
        for name in places.keys() - self.pods.keys():
            self._take_up(places[name], now)

    def _take_up(self, place: Place, now: float) -> None:
        slot = min(set(range(100)) - {pod.pod.slot for pod in self.pods.values()})
        pod = Pod(place.name, place.revision, slot, place.node, place.ip, now)
        live = LivePod(pod, free_port(), self.who, self._rng, self.logged.append, time.time)
        live.start()
        self.pods[place.name] = live
        self._foretell([live])

    def _foretell(self, pods: Any) -> None:
        """When each of these containers will end, as things are."""
        for live in pods:
            own = [effect for effect in self.effects if effect.concerns(live.pod.revision, live.pod.slot)]
            live.ends = min(ends(self._rng, self.who, live.started, own), default=(float("inf"), "", 0))

    async def live_and_let_die(self) -> None:
        """Containers end and come back, as foretold."""
        now = time.time()
        for live in list(self.pods.values()):
            at, reason, code = live.ends
            if live.running and now >= at:
                live.crashes = 1 if now - live.started > BACKOFF_FORGOTTEN else live.crashes + 1
                live.stop(reason, code)
                live.back_at = float("inf") if reason == "killed" else now + backoff(live.crashes) + 1.5
                await self._tell(live)
            elif not live.running and now >= live.back_at:
                live.start()
                self._foretell([live])
                await self._tell(live)

    async def _tell(self, live: LivePod) -> None:
        crashing = not live.running and live.back_at < float("inf")
        await asyncio.to_thread(self.cluster.tell, live.pod.name, live.lives, running=live.running, crashing=crashing)

    def behave(self, seconds: float) -> None:
        """What is expected of every pod now."""
        running = [pod for pod in self.pods.values() if pod.running]
        if not running:
            return
        times = np.full((len(running), 1), time.time())
        weights = np.array([[1.0 if pod.ready else 0.0] for pod in running])
        started = np.array([[pod.started] for pod in running])
        hours = AFTERNOON + times % 1800
        pods = [pod.pod for pod in running]
        seen = behave(self.who, pods, self.effects, times, weights, started, noise=np.ones(1), hours=hours)
        self.demand = seen.rate.sum(axis=(1, 2))
        for place, pod in enumerate(running):
            pod.follow(seen, place, seconds, self.scale)

    def requests(self, seconds: float) -> list[tuple[str, str]]:
        """What users ask for in the next moment: (method, path)."""
        found: list[tuple[str, str]] = []
        for endpoint, rate in zip(ENDPOINTS, self.demand * (SHARE > 0), strict=True):
            for _ in range(int(self._rng.poisson(rate / self.scale * seconds))):
                user = USERS[int(self._rng.integers(len(USERS)))]
                found.append((endpoint.method, endpoint.path.replace(":name", user)))
        return found

    async def tell_usage(self) -> None:
        """Let the cluster know what pods use."""
        for live in [pod for pod in self.pods.values() if pod.running]:
            await asyncio.to_thread(self.cluster.tell_usage, live.pod.name, *live.usage)


class Outside:
    """Everything that goes over HTTP: users, the front, health checks, logs."""

    def __init__(self, service: Service, front_port: int, elasticsearch: str) -> None:
        self._service, self._front = service, f"http://127.0.0.1:{front_port}"
        self._elasticsearch = elasticsearch
        self._client: Any = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 20.0}, max_clients=1000)
        self._asking: set[asyncio.Task[Any]] = set()

    async def users(self) -> None:
        """Ask, and do not wait for the answers."""
        for method, path in self._service.requests(TRAFFIC_TICK):
            self._ask(method, self._front + path)

    async def health_checks(self) -> None:
        """As the cluster does."""
        for pod in self._service.pods.values():
            if pod.running:
                self._ask("GET", f"http://127.0.0.1:{pod.port}/health")

    def _ask(self, method: str, url: str) -> None:
        task = asyncio.ensure_future(self.fetch(method, url))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def fetch(self, method: str, url: str) -> HTTPResponse | None:
        """An answer of any status; None where there is none."""
        body = b"" if method == "POST" else None
        with contextlib.suppress(OSError):
            request = HTTPRequest(url, method=method, body=body, follow_redirects=False)
            return await self._client.fetch(request, raise_error=False)
        return None

    async def ship_logs(self) -> None:
        """Send what was logged to Elasticsearch; what it does not take is lost, as it would be."""
        lines, self._service.logged[:] = self._service.logged[:], []
        for body in messages.bulk(lines) if self._elasticsearch else ():
            request = HTTPRequest(
                f"{self._elasticsearch}/_bulk",
                method="POST",
                body=body,
                headers={"Content-Type": "application/x-ndjson"},
            )
            with contextlib.suppress(OSError):
                await self._client.fetch(request, raise_error=False)

    async def install_template(self) -> None:
        """How logs are indexed."""
        if self._elasticsearch:
            url, headers = f"{self._elasticsearch}/_index_template/micro-apps", {"Content-Type": "application/json"}
            await self._client.fetch(
                HTTPRequest(url, method="PUT", body=msgspec.json.encode(messages.TEMPLATE), headers=headers)
            )


class _Front(RequestHandler):
    """The Service's address: one ready pod answers."""

    def initialize(self, service: Service, outside: Outside) -> None:
        self._service, self._outside = service, outside

    async def get(self) -> None:
        await self._pass("GET")

    async def post(self) -> None:
        await self._pass("POST")

    async def _pass(self, method: str) -> None:
        ready = self._service.ready
        if not ready:
            self.send_error(503)
            return
        pod = ready[int(np.random.default_rng().integers(len(ready)))]
        answer = await self._outside.fetch(method, f"http://127.0.0.1:{pod.port}{quote(self.request.path, safe='/%')}")
        self.set_status(answer.code if answer and answer.code < 599 else 502)
        self.write(answer.body if answer and answer.body else b"")


class _Control(RequestHandler):
    """What tests tell the service."""

    def initialize(self, service: Service) -> None:
        self._service = service

    def get(self, what: str | None = None) -> None:
        pods = self._service.pods.values()
        if what == "targets":
            self.set_header("Content-Type", "application/json")
            targets = [
                {"targets": [f"127.0.0.1:{pod.port}"], "labels": {"app": APP, "pod": pod.pod.name}} for pod in pods
            ]
            self.write(msgspec.json.encode(targets))
            return
        seen = [{"name": p.pod.name, "port": p.port, "ready": p.ready, "restarts": len(p.lives)} for p in pods]
        self.write({"pods": seen, "effects": [effect.quantity for effect in self._service.effects]})

    def post(self, what: str | None = None) -> None:
        asked = msgspec.json.decode(self.request.body)
        if asked.get("name") not in FAULTS:
            self.set_status(404)
            self.write({"error": f"no such fault; known: {', '.join(FAULTS)}"})
            return
        self._service.inject(asked["name"], int(asked.get("seed", 1)), asked.get("minutes"))
        self.write({"causes": FAULTS[asked["name"]].causes})

    def delete(self, what: str | None = None) -> None:
        self._service.clear()


async def serve(service: Service, outside: Outside, control_port: int, front_port: int) -> None:
    """Run until cancelled."""
    await outside.install_template()
    await service.follow_cluster()
    quiet: dict[str, Any] = {"log_function": lambda handler: None}
    Application([(r"/lab(?:/(targets|fault))?", _Control, {"service": service})], **quiet).listen(
        control_port, "127.0.0.1"
    )
    Application([(r"/.*", _Front, {"service": service, "outside": outside})], **quiet).listen(front_port, "127.0.0.1")

    async def moment() -> None:
        await service.live_and_let_die()
        service.behave(TICK)

    await asyncio.gather(
        _every(TICK, moment),
        _every(TICK, service.follow_cluster),
        _every(TICK, outside.ship_logs),
        _every(TRAFFIC_TICK, outside.users),
        _every(HEALTH_EVERY, outside.health_checks),
        _every(USAGE_EVERY, service.tell_usage),
    )


async def _every(seconds: float, act: Any) -> None:
    while True:
        begun = time.monotonic()
        await act()
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - begun)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.service", description=__doc__.splitlines()[0])
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--front-port", type=int, required=True)
    parser.add_argument("--elasticsearch", default="", metavar="URL")
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--namespace", default="web")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=18.0, help="real requests/s in quiet times")
    given = parser.parse_args(arguments)
    cluster: Cluster = Mirrored(given.kubeconfig, given.namespace) if given.kubeconfig else Alone()
    service = Service(cluster, given.seed, given.rate)

    async def run() -> None:
        await serve(
            service, Outside(service, given.front_port, given.elasticsearch), given.control_port, given.front_port
        )

    asyncio.run(run())


if __name__ == "__main__":
    main()
