"""Puts scenarios into a running lab: metrics into Prometheus, logs into Elasticsearch, objects into Kubernetes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch as Client

from tests.lab.scenarios.scenario import Scenario
from tests.lab.servers.blocks import backfill
from tests.lab.servers.cache import LabError
from tests.lab.servers.cluster import Kubernetes
from tests.lab.servers.components import node
from tests.lab.servers.elastic import Elasticsearch
from tests.lab.servers.lab import Lab, in_parallel
from tests.lab.servers.processes import eventually
from tests.lab.servers.prometheus import Prometheus
from tests.lab.service import messages, objects
from tests.lab.service.events import events
from tests.lab.service.fleet import Fleet
from tests.lab.service.nodes import lost_nodes, own_nodes
from tests.lab.service.openmetrics import scraped
from tests.lab.service.simulation import Drawn
from tests.lab.service.standing import Applied, standing

AT_ONCE = 25  # scenarios per call of kubectl
PATIENCE = 60.0


def load(lab: Lab, scenarios: Sequence[Scenario]) -> None:
    """Put all of these into a lab that runs; Prometheus is started anew, at the same address, to see its new past."""
    in_parallel(
        [
            lambda: load_kubernetes(lab.kubernetes, [snapshot(scenario) for scenario in scenarios]),
            lambda: load_elasticsearch(lab.elasticsearch, scenarios),
            lambda: load_prometheus(lab.prometheus, scenarios),
        ]
    )


def load_prometheus(prometheus: Prometheus, scenarios: Sequence[Scenario]) -> None:
    """Backfill every window of every scenario."""
    if prometheus.openmetrics is not None:
        raise LabError(
            "This Prometheus would load its `openmetrics` once more when started anew; "
            "load that as a scenario, or into another."
        )
    windows = ((scenario, number) for scenario in scenarios for number in range(len(scenario.windows)))
    backfill(prometheus.directory / "data", (list(scraped(_drawn(*window))) for window in windows))
    prometheus.stop()
    prometheus.start()


def load_elasticsearch(elasticsearch: Elasticsearch, scenarios: Sequence[Scenario]) -> None:
    """Index every scenario's logs, by day, and make them visible; one is written while another is indexed."""
    with elasticsearch.client() as client:
        client.perform_request("PUT", "/_index_template/micro-apps", headers=_JSON, body=messages.TEMPLATE)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(_index, client, scenario) for scenario in scenarios]:
                done.result()
        client.indices.refresh(index=f"{messages.INDEX}*")


def _index(client: Client, scenario: Scenario) -> None:
    for body in messages.bulk(scenario.documents()):
        answer: Any = client.perform_request("POST", "/_bulk", headers=_LINES, body=body).body
        if answer["errors"]:
            raise LabError(f"Elasticsearch refused documents of {scenario.name}: {str(answer)[:500]}")


_JSON = {"content-type": "application/json", "accept": "application/json"}
_LINES = {"content-type": "application/x-ndjson", "accept": "application/json"}


@dataclass(frozen=True)
class Snapshot:
    """A namespace at a time; `usage` is cores and bytes by pod, `applied` what somebody applied beside the deployment.

    `last_words`: what containers that have ended had logged, by pod.
    """

    namespace: str
    fleet: Fleet
    at: float
    usage: Mapping[str, tuple[float, float]]
    applied: tuple[Applied, ...] = ()
    last_words: Mapping[str, Sequence[str]] = field(default_factory=dict)


def snapshot(scenario: Scenario) -> Snapshot:
    """A scenario's namespace when the runbook is opened."""
    return Snapshot(
        scenario.namespace,
        scenario.fleet,
        scenario.ended_at,
        scenario.usage(),
        scenario.plan.applied,
        scenario.last_words(),
    )


def load_kubernetes(cluster: Kubernetes, snapshots: Sequence[Snapshot]) -> None:
    """Make every namespace as it was."""
    for begin in range(0, len(snapshots), AT_ONCE):
        _make(cluster, snapshots[begin : begin + AT_ONCE])


def _drawn(scenario: Scenario, number: int) -> Drawn:
    return scenario.drawn if number == 0 else scenario.draw(scenario.windows[number])


def _make(cluster: Kubernetes, snapshots: Sequence[Snapshot]) -> None:
    """Pods first, while nothing manages them; ReplicaSets and deployments then find and adopt them."""
    names = {one.namespace for one in snapshots}
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(names)])
    _wait(cluster, "serviceaccounts", {(name, "default") for name in names}, lambda one: True)
    cluster.backdate([beside for one in snapshots for beside in standing(one.namespace, one.at, one.applied)])
    cluster.apply([node(name) for one in snapshots for name in own_nodes(one.fleet)])
    pods = [pod for one in snapshots for pod in objects.pods(one.fleet, one.namespace, one.at, one.usage)]
    cluster.apply([_created(pod) for pod in pods])
    _wait(
        cluster,
        "pods",
        {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in pods},
        lambda one: one["status"].get("podIP") or objects.HELD.items() <= one["metadata"]["labels"].items(),
    )
    cluster.backdate(_with_uid(cluster, pods))
    _lose_nodes(cluster, [lost for one in snapshots for lost in lost_nodes(one.fleet, one.at)])
    cluster.apply(
        [
            cluster.logs(one.namespace, pod, previous=lines, at=dt.datetime.fromtimestamp(one.at, dt.UTC))
            for one in snapshots
            for pod, lines in one.last_words.items()
        ]
    )
    managed = [managed for one in snapshots for managed in objects.deployment(one.fleet, one.namespace, one.at)]
    told = [event for one in snapshots for event in events(one.fleet, one.namespace, one.at)]
    cluster.backdate([one for one in managed if one["kind"] == "ReplicaSet"])
    cluster.backdate([one for one in managed if one["kind"] == "Deployment"])
    cluster.store(told)


def _lose_nodes(cluster: Kubernetes, lost: Sequence[objects.Object]) -> None:
    """Let kwok make these nodes not ready, then date that back."""
    cluster.apply([_created(one) for one in lost])
    names = {("", one["metadata"]["name"]) for one in lost}
    _wait(cluster, "nodes", names, lambda one: _not_ready(one))
    if lost:
        cluster.backdate(lost)


def _not_ready(node: objects.Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] != "True" for one in node["status"]["conditions"])


def _created(pod: objects.Object) -> objects.Object:
    """What the API server takes of a pod."""
    metadata = {key: value for key, value in pod["metadata"].items() if key != "creationTimestamp"}
    return {**{key: value for key, value in pod.items() if key != "status"}, "metadata": metadata}


def _with_uid(cluster: Kubernetes, pods: Sequence[objects.Object]) -> list[objects.Object]:
    """The same pods, marked as being there already."""
    uids = {_place(one): one["metadata"]["uid"] for one in _everywhere(cluster, "pods")}
    return [{**pod, "metadata": {**pod["metadata"], "uid": uids[_place(pod)]}} for pod in pods]


def _wait(
    cluster: Kubernetes, kind: str, wanted: set[tuple[str, str]], ready: Callable[[objects.Object], object]
) -> None:
    """Until all objects of a kind are there and ready; kwok, too, has then done with them what it does."""

    def all_there() -> bool:
        return wanted <= {_place(one) for one in _everywhere(cluster, kind) if ready(one)}

    if not eventually(all_there, seconds=PATIENCE):
        raise LabError(f"Not all {kind} of the scenarios came up within {PATIENCE:g} s.")


def _everywhere(cluster: Kubernetes, kind: str) -> list[objects.Object]:
    return cluster.get(kind, "default", "--all-namespaces")


def _place(one: objects.Object) -> tuple[str, str]:
    return one["metadata"].get("namespace", ""), one["metadata"]["name"]
