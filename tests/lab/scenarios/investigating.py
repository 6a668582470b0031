"""The runbook pointed at the lab: its settings as values or as a file, and a scenario investigated in this process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from runbook.config.schema import Elasticsearch, Environment, Kubernetes, Prometheus, Service
from runbook.config.settings import Settings
from runbook.incident import Incident
from runbook.investigation.result import Investigation
from tests.lab.faults.planning import DatabaseState
from tests.lab.scenarios.scenario import Scenario
from tests.lab.servers.lab import Lab
from tests.lab.servers.mariadb import MariaDB
from tests.lab.service import world

LOOKBACK = "90m"
FEWEST_CONNECTIONS = 10  # that MariaDB can be limited to
_LONGER = {"HighMemoryUsage": "2h"}  # by alert, where trouble grows slowly


def lookback(alert: str) -> str:
    """How far its runbook looks back."""
    return _LONGER.get(alert, LOOKBACK)


def profile(namespace: str = "web") -> Service:
    """What the simulated service calls things."""
    return Service(
        name="micro-frontend",
        metric_prefix="micro_frontend_",
        metric_labels={"app": world.APP},
        log_app=world.SERVICE,
        deployment=world.DEPLOYMENT,
        namespace=namespace,
        index="micro-apps-*",
        jwt_public_key_path="/etc/keys/jwt_public_key.pem",
        proxy_deployment="edge-proxy",
        database_pool_size=world.POOL_SIZE,
    )


def environment(lab: Lab, base_url: str = "", user: str = "admin") -> Environment:
    """Where the lab's servers are."""
    return Environment(
        service="micro-frontend",
        base_url=base_url,
        prometheus=Prometheus(url=lab.prometheus.url),
        elasticsearch=Elasticsearch(url=lab.elasticsearch.url),
        kubernetes=Kubernetes(kubeconfig=str(lab.kubernetes.kubeconfig(user))),
        mysql=lab.mariadb.settings(),
        database_address=lab.mariadb.address,
    )


def known(lab: Lab, namespace: str = "web", base_url: str = "") -> Settings:
    """Settings with the one environment `lab`."""
    return Settings(Path(), {"lab": environment(lab, base_url)}, {"micro-frontend": profile(namespace)})


@contextmanager
def brought_about(mariadb: MariaDB, state: DatabaseState) -> Generator[None, None, None]:
    """A real database in the state that a scenario names, for as long as somebody investigates."""
    with ExitStack() as trouble:
        if state == "full":
            trouble.enter_context(mariadb.limited(FEWEST_CONNECTIONS))
            trouble.enter_context(mariadb.occupied())
        elif state == "locked":
            trouble.enter_context(mariadb.locked(waiting=4))
        elif state == "slow":
            trouble.enter_context(mariadb.slow_queries(count=5))
        elif state == "denied":
            trouble.enter_context(mariadb.denied())
        yield


def investigate(lab: Lab, one: Scenario, base_url: str = "") -> Investigation:
    """The alert of a scenario's fault investigated, as a notebook would do it."""
    given = one.context_parameters()
    with brought_about(lab.mariadb, one.database_state):
        return Incident.open(
            one.fault.alert,
            known(lab, given["namespace"], base_url),
            environment="lab",
            incident_id="INC-2026-01-15-01",
            started_at=given["started_at"],
            ended_at=given["ended_at"],
            lookback=lookback(one.fault.alert),
        ).investigation()


def settings_file(lab: Environment, service: Service) -> bytes:
    """A runbook.toml with the one environment `lab`, for another process."""
    named: dict[str, Any] = msgspec.to_builtins(service)
    del named["name"]
    kept = {key: value for key, value in msgspec.to_builtins(lab).items() if value is not None}
    return msgspec.toml.encode({"environment": {"lab": kept}, "service": {service.name: named}})
