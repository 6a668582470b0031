"""The live service as one of the lab's servers.

kubernetes, elasticsearch = Kubernetes(directory / "kubernetes"), Elasticsearch(directory / "elasticsearch")
live = Live(directory / "service", kubernetes=kubernetes, elasticsearch=elasticsearch)
prometheus = Prometheus(directory / "prometheus", scrape_configs=[live.scrape_config()], rule_files=[rules], ...)
with Lab(directory, prometheus=prometheus, kubernetes=kubernetes, elasticsearch=elasticsearch), live:
    live.fault("database-refused")       # the alert fires within minutes, if the rule's `for` is short
    live.clear()
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import requests

from tests import ROOT
from tests.lab.scenarios.loading import Snapshot, load_kubernetes
from tests.lab.servers.cluster import Kubernetes
from tests.lab.servers.elastic import Elasticsearch
from tests.lab.servers.processes import Server, answers, free_port
from tests.lab.service.fleet import Fleet, fleet
from tests.lab.service.world import APP, character


class Live(Server):
    """The service process; without a cluster it has six pods of its own, without Elasticsearch its logs are lost."""

    def __init__(
        self,
        directory: Path,
        *,
        kubernetes: Kubernetes | None = None,
        elasticsearch: Elasticsearch | None = None,
        namespace: str = "web",
        seed: int = 1,
    ) -> None:
        super().__init__(directory)
        self._kubernetes, self._elasticsearch = kubernetes, elasticsearch
        self._namespace, self._seed = namespace, seed
        self._control, self._front = free_port(), free_port()

    @property
    def base_url(self) -> str:
        """Where users reach the service."""
        return f"http://127.0.0.1:{self._front}"

    @property
    def control_url(self) -> str:
        """Where faults are injected."""
        return f"http://127.0.0.1:{self._control}/lab"

    def scrape_config(self) -> dict[str, Any]:
        """For Prometheus: it asks for the pods, which come and go, and labels what it scrapes `app` and `pod`."""
        return {
            "job_name": APP,
            "http_sd_configs": [{"url": f"{self.control_url}/targets", "refresh_interval": "1s"}],
        }

    def fault(self, name: str, **how: float) -> None:
        """Let a fault begin; `seed` and `minutes` may be given."""
        requests.post(f"{self.control_url}/fault", json={"name": name, **how}, timeout=10).raise_for_status()

    def clear(self) -> None:
        """End all faults; what was rolled out stays."""
        requests.delete(f"{self.control_url}/fault", timeout=10).raise_for_status()

    def state(self) -> dict[str, Any]:
        """Pods and effects."""
        found: dict[str, Any] = requests.get(self.control_url, timeout=10).json()
        return found

    def _start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.lab.service.running",
            f"--control-port={self._control}",
            f"--front-port={self._front}",
        ]
        command += [f"--namespace={self._namespace}", f"--seed={self._seed}"]
        if self._elasticsearch is not None:
            command.append(f"--elasticsearch={self._elasticsearch.url}")
        if self._kubernetes is not None:
            now = time.time()
            load_kubernetes(self._kubernetes, [Snapshot(self._namespace, self._past(now), now, {})])
            command.append(f"--kubeconfig={self._kubernetes.kubeconfig()}")
        self._run("service", command, {"PYTHONPATH": str(ROOT)})
        self._wait("The service", lambda: answers(self._control, "/lab"))
        self._wait("A pod of the service", lambda: any(pod["ready"] for pod in self.state()["pods"]))

    def _past(self, now: float) -> Fleet:
        """The Deployment and its pods have been there for days."""
        return fleet(character(self._seed), now, (), ())
