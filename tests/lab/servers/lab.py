"""All five servers as one, started in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.servers.cluster import Kubernetes
from tests.lab.servers.elastic import Elasticsearch
from tests.lab.servers.mariadb import MariaDB
from tests.lab.servers.processes import Server, Startable
from tests.lab.servers.prometheus import Alertmanager, Prometheus


class Lab(Startable):
    """Prometheus, which tells Alertmanager, Elasticsearch, Kubernetes and MariaDB; any may be handed in instead."""

    def __init__(
        self,
        directory: Path,
        *,
        alertmanager: Alertmanager | None = None,
        prometheus: Prometheus | None = None,
        elasticsearch: Elasticsearch | None = None,
        kubernetes: Kubernetes | None = None,
        mariadb: MariaDB | None = None,
    ) -> None:
        self.alertmanager = alertmanager or Alertmanager(directory / "alertmanager")
        self.prometheus = prometheus or Prometheus(directory / "prometheus", alertmanager_url=self.alertmanager.url)
        self.elasticsearch = elasticsearch or Elasticsearch(directory / "elasticsearch")
        self.kubernetes = kubernetes or Kubernetes(directory / "kubernetes")
        self.mariadb = mariadb or MariaDB(directory / "mariadb")

    def start(self) -> None:
        """Start all; when one fails, none is left running."""
        try:
            in_parallel([server.start for server in self._servers])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all."""
        in_parallel([server.stop for server in self._servers])

    def environment(self) -> dict[str, str]:
        """Where the servers are, as environment variables."""
        return {
            "PROMETHEUS_URL": self.prometheus.url,
            "ALERTMANAGER_URL": self.alertmanager.url,
            "ELASTICSEARCH_URL": self.elasticsearch.url,
            "MYSQL_ADDRESS": self.mariadb.address,
            "KUBERNETES_URL": self.kubernetes.url,
            "KUBECONFIG": str(self.kubernetes.kubeconfig()),
            "KUBECONFIG_ONCALL": str(self.kubernetes.kubeconfig("oncall")),
        }

    @property
    def _servers(self) -> tuple[Server, ...]:
        return self.kubernetes, self.elasticsearch, self.mariadb, self.prometheus, self.alertmanager


def in_parallel(tasks: Sequence[Callable[[], None]]) -> None:
    """Do all of these at once; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        running = [pool.submit(task) for task in tasks]
    for task in running:
        task.result()
