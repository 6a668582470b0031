"""The simulated service alive: pods on ports of their own, users, logs, faults on demand.

By hand: `python -m tests.lab.service.running`.

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
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tornado.web import Application

from tests.lab.faults import FAULTS, Situation
from tests.lab.servers.processes import free_port
from tests.lab.service.behaviour import behave
from tests.lab.service.fleet import BACKOFF_FORGOTTEN, Pod, Rollout, backoff, ends
from tests.lab.service.livepod import LivePod
from tests.lab.service.log_lines import Document
from tests.lab.service.mirror import Alone, Cluster, Mirrored, Place
from tests.lab.service.outside import Control, Front, Outside
from tests.lab.service.world import ENDPOINTS, SHARE, Effect, character, usual_rate

TICK, TRAFFIC_TICK, HEALTH_EVERY, USAGE_EVERY = 1.0, 0.1, 5.0, 10.0  # seconds
AFTERNOON = 1_767_794_400.0  # a Wednesday, 14:00 UTC: here it is always that
LONGEST_RAMP = 30.0  # seconds; somebody is waiting for the alert
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
        return [pod for pod in self.pods.values() if pod.ready and not pod.unreachable]

    def inject(self, name: str, seed: int, minutes: float | None) -> None:
        """Let a fault of the table begin now."""
        now, newest = time.time(), max((pod.pod.revision for pod in self.pods.values()), default=0)
        plan = FAULTS[name].plan(Situation(np.random.default_rng(seed), self.who, now, self._usual, newest + 1))
        end = now + 60 * minutes if minutes else None
        self.effects += tuple(
            replace(e, ramp=min(e.ramp, LONGEST_RAMP), end=min(e.end, end or e.end)) for e in plan.effects
        )
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
        live = LivePod(pod, free_port(), self.who, self._rng, log=self.logged.append, clock=time.time)
        live.start()
        self.pods[place.name] = live
        self._foretell([live])

    def _foretell(self, pods: Any) -> None:
        """When each of these containers will end, as things are."""
        for live in pods:
            own = [effect for effect in self.effects if effect.concerns(*live.pod.place)]
            live.ends = min(ends(self._rng, self.who, live.started, own), default=(float("inf"), "", 0))

    async def live_and_let_die(self) -> None:
        """Containers end and come back, as foretold."""
        now = time.time()
        for live in list(self.pods.values()):
            at, reason, code = live.ends
            if live.running and now >= at:
                live.crashes = 1 if now - live.started > BACKOFF_FORGOTTEN else live.crashes + 1
                live.stop(reason, code)
                live.back_at = now + backoff(live.crashes) + 1.5
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
        pods = [pod.pod for pod in running]
        usual = {"noise": np.ones(1), "hours": AFTERNOON + times % 1800}
        seen = behave(self.who, pods, self.effects, times, weights=weights, started=started, **usual)
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


async def serve(service: Service, outside: Outside, control_port: int, front_port: int) -> None:
    """Run until cancelled."""
    await outside.install_template()
    await service.follow_cluster()
    quiet: dict[str, Any] = {"log_function": lambda handler: None}
    Application([(r"/lab(?:/(targets|fault))?", Control, {"service": service})], **quiet).listen(
        control_port, "127.0.0.1"
    )
    Application([(r"/.*", Front, {"service": service, "outside": outside})], **quiet).listen(front_port, "127.0.0.1")

    async def moment() -> None:
        await service.live_and_let_die()
        service.behave(TICK)

    await asyncio.gather(
        _every(TICK, moment),
        _every(TICK, service.follow_cluster),
        _every(TICK, outside.ship_logs),
        _every(TRAFFIC_TICK, partial(outside.users, TRAFFIC_TICK)),
        _every(HEALTH_EVERY, outside.health_checks),
        _every(USAGE_EVERY, service.tell_usage),
    )


async def _every(seconds: float, act: Any) -> None:
    while True:
        begun = time.monotonic()
        try:
            await act()
        except Exception:  # a hiccup of another server must not end the service
            traceback.print_exc()
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - begun)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.service.running", description=__doc__.splitlines()[0])
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
