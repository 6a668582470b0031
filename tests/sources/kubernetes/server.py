"""A real HTTP server that repeats what a real Kubernetes API server said.

The answers are in tests/fixtures/kubernetes; tests.lab.service.shop takes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from runbook.config.schema import Kubernetes as Settings
from runbook.sources.kubernetes.client import Kubernetes
from tests import ROOT
from tests.canned import Canned, Reply, Request

PAYLOADS = ROOT / "tests" / "fixtures" / "kubernetes"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
REPLICASETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
EVENTS = "/api/v1/namespaces/shop/events"
USAGE = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
WORDS = (
    "log",
    "exec",
    "deployments",
    "replicasets",
    "pods",
    "events",
    "nodes",
    "networkpolicies",
    "secrets",
    "configmaps",
    "version",
)
TOKEN = "canary-token-51c0"

Answers = Callable[[Request], Reply]


def stage(name: str) -> dict[str, Any]:
    """The recorded stage: `began`, and `answers` by path and query."""
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def repeating(name: str, **instead: Reply) -> Answers:
    """Answers of a stage; `instead` replaces those for a resource by the last word of its path, e.g. `replicasets`."""
    answers = stage(name)["answers"]

    def answer(request: Request) -> Reply:
        parts = urlsplit(request.path)
        wanted = [(key, value) for key, value in parse_qsl(parts.query) if key not in ("limit", "continue")]
        changed = instead.get(_word(parts.path))
        if changed is not None:
            return changed
        found = answers.get(parts.path + (f"?{urlencode(wanted)}" if wanted else ""))
        return Reply(found) if found else refusal(404, "not recorded")

    return answer


def refusal(status: int, message: str) -> Reply:
    """A Status object, as the API server sends with every refusal."""
    return Reply(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status}, status
    )


def kubeconfig(folder: Path, server: str, cluster: dict[str, Any] | None = None, **user: Any) -> Path:
    """A kubeconfig for this server, by default with a token."""
    content = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user or {"token": TOKEN}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


def source(folder: Path, server: Canned | str, seconds: float = 5.0, **user: Any) -> Kubernetes:
    """The source under test, told of this server by a kubeconfig."""
    url = server if isinstance(server, str) else server.url
    return Kubernetes(Settings(kubeconfig=str(kubeconfig(folder, url, **user))), seconds)


def _word(path: str) -> str:
    """`pods` for pods, but `usage` for those of metrics.k8s.io; `deployments` for one deployment."""
    if "/metrics.k8s.io/" in path:
        return "usage"
    return next((word for word in WORDS if f"/{word}" in path), "")
