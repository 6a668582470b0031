"""Everything of the live service that goes over HTTP: users, health checks and logs; the front; the control address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
import numpy as np
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.web import RequestHandler

from tests.lab.faults import FAULTS
from tests.lab.service import messages
from tests.lab.service.livepod import LivePod
from tests.lab.service.log_lines import Document
from tests.lab.service.world import APP, Effect


class Served(Protocol):
    """What is seen of the service from outside."""

    effects: tuple[Effect, ...]
    logged: list[Document]

    @property
    def pods(self) -> Mapping[str, LivePod]:
        """All pods by name."""
        ...

    @property
    def ready(self) -> Sequence[LivePod]:
        """Those that take requests."""
        ...

    def requests(self, seconds: float) -> list[tuple[str, str]]:
        """What users ask for in the next moment: (method, path)."""
        ...

    def inject(self, name: str, seed: int, minutes: float | None) -> None:
        """Let a fault begin."""
        ...

    def clear(self) -> None:
        """No fault any more."""
        ...


class Outside:
    """Everything that goes over HTTP: users, the front, health checks, logs."""

    def __init__(self, service: Served, front_port: int, elasticsearch: str) -> None:
        self._service, self._front = service, f"http://127.0.0.1:{front_port}"
        self._elasticsearch = elasticsearch
        self._client: Any = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 20.0}, max_clients=1000)
        self._asking: set[asyncio.Task[Any]] = set()

    async def users(self, seconds: float) -> None:
        """Ask what they ask within so many seconds, and do not wait for the answers."""
        for method, path in self._service.requests(seconds):
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


class Front(RequestHandler):
    """The Service's address: one ready pod answers."""

    def initialize(self, service: Served, outside: Outside) -> None:
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


class Control(RequestHandler):
    """What tests tell the service."""

    def initialize(self, service: Served) -> None:
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
