"""The group `oncall` of the lab's Kubernetes: its role, what it is refused, and the source as it asks."""

from __future__ import annotations

from typing import Any

import yaml

from runbook.config.schema import Kubernetes as Settings
from runbook.errors import SourceError
from runbook.model import Query
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.objects import access_of
from runbook.sources.kubernetes.queries import access, deployment, events, pods, policies, previous_logs, usage
from tests import ROOT
from tests.lab.servers import cluster as lab_cluster
from tests.lab.service.shop import NAMESPACE

DEPLOY = ROOT / "deploy"
RBAC = DEPLOY / "rbac.yaml"
ROLE, BINDING = yaml.safe_load_all(RBAC.read_text())
OPTIONAL = {name: DEPLOY / f"rbac-{name}.yaml" for name in ("nodes", "secrets", "exec")}
WEB = (NAMESPACE, "web")
ABOUT_WEB = [ask(*WEB) for ask in (deployment, pods, events, usage, previous_logs, policies)]


def grant(cluster: lab_cluster.Kubernetes, rules: list[dict[str, Any]]) -> None:
    """Bind the role of deploy/rbac.yaml, with these rules instead of its own."""
    namespaced = [{**one, "metadata": {**one["metadata"], "namespace": NAMESPACE}} for one in (ROLE, BINDING)]
    cluster.apply([{**namespaced[0], "rules": rules}, namespaced[1]])


def grant_more(cluster: lab_cluster.Kubernetes, name: str, rules: list[dict[str, Any]] | None = None) -> None:
    """Apply one of the optional files, perhaps with other rules."""
    role, binding = yaml.safe_load_all(OPTIONAL[name].read_text())
    where = {} if role["kind"] == "ClusterRole" else {"namespace": NAMESPACE}
    placed = [{**one, "metadata": {**one["metadata"], **where}} for one in (role, binding)]
    cluster.apply([{**placed[0], "rules": role["rules"] if rules is None else rules}, placed[1]])


def take_back(cluster: lab_cluster.Kubernetes, name: str) -> None:
    """Undo `grant_more`."""
    _, binding = yaml.safe_load_all(OPTIONAL[name].read_text())
    cluster.kubectl("delete", binding["kind"], binding["metadata"]["name"], "-n", NAMESPACE)


def source(cluster: lab_cluster.Kubernetes, user: str = "oncall", *, inside: bool = False) -> Kubernetes:
    return Kubernetes(Settings(kubeconfig=str(cluster.kubeconfig(user)), exec=inside), 15)


def refusals(cluster: lab_cluster.Kubernetes, queries: list[Query] = ABOUT_WEB, *, inside: bool = False) -> str:
    """Why which of the questions are not, or not wholly, answered for `oncall`."""
    said: list[str] = []
    for query in queries:
        try:
            said += source(cluster, inside=inside).ask(query).warnings
        except SourceError as error:
            said.append(str(error))
    return "\n".join(said)


def denied(cluster: lab_cluster.Kubernetes, *, optional: bool = False, inside: bool = False) -> list[str]:
    """What `oncall` is told it may not do, of the optional things or the others."""
    found = access_of(source(cluster, inside=inside).ask(access(*WEB)))
    return [f"{one.verb} {one.resource}" for one in found if not one.allowed and one.optional == optional]
