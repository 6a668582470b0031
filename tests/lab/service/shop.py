"""A small shop in the lab's Kubernetes: the deployment `web`, its bad rollout and its roll-backs.

`python -m tests.lab.service.shop` takes anew, from a real API server, the raw answers that tests/sources/kubernetes
replays.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.kubernetes.http import Connection, Request
from runbook.sources.kubernetes.kubeconfig import from_files
from runbook.sources.kubernetes.resources import SECRETS
from tests import ROOT
from tests.lab.servers.cluster import Kubernetes

NAMESPACE = "shop"
PAYLOADS = ROOT / "tests" / "fixtures" / "kubernetes"
CANARY = "canary-3f9c"  # stands wherever a secret might, and must not be recorded


def deployment(
    name: str = "web", image: str = "v1", *, fault: str = "", cause: str = "", replicas: int = 2
) -> dict[str, Any]:
    """A deployment of one container and one that is not limited, with secrets in all the usual wrong places."""
    labels = {"app": name, **({"lab.fault": fault} if fault else {})}
    usage = {"kwok.x-k8s.io/usage-cpu": "250m", "kwok.x-k8s.io/usage-memory": "300Mi"}
    limits = {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
    main = {
        "name": "app",
        "image": f"registry.example/{name}:{image}",
        "args": [f"--key={CANARY}"],
        "env": [
            {"name": "DATABASE_PASSWORD", "value": CANARY},
            {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "web-database", "key": "url"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "web-settings", "optional": True}}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": limits,
    }
    side = {"name": "proxy", "image": "registry.example/proxy:1", "resources": {"limits": {"memory": "64Mi"}}}
    annotations = {"kubernetes.io/change-cause": cause} if cause else {}
    volumes = [{"name": "keys", "secret": {"secretName": "web-jwt-key"}}]  # which nobody made
    spec = {"containers": [main, side], "volumes": volumes}
    template = {"metadata": {"labels": labels, "annotations": usage}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def secret() -> dict[str, Any]:
    """A Secret; `kubectl apply` repeats its value in an annotation."""
    metadata = {"name": "web-database", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"url": CANARY}}


def policy(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A network policy about `web`: by default it reaches names and its database, and is reached by Prometheus."""
    prometheus = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    names = {"ports": [{"port": 53, "protocol": "UDP"}]}
    database = {"to": [{"podSelector": {"matchLabels": {"app": "web-db"}}}], "ports": [{"port": 3306}]}
    usual = {"ingress": [{"from": [prometheus], "ports": [{"port": "http"}]}], "egress": [names, database]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, **(spec or usual)},
    }


def open_shop(cluster: Kubernetes) -> None:
    """The namespace with `web` in its first revision, and `web-db`, whose names begin alike."""
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    cluster.apply([secret(), policy(), deployment(cause="first"), deployment("web-db", replicas=1)])
    settle(cluster)


def roll_out(cluster: Kubernetes, image: str, *, fault: str = "", cause: str = "") -> float:
    """Change the image of `web`; wait until it is through, or for a fault until it shows. Returns when it began."""
    began = next_second()
    cluster.apply([deployment(image=image, fault=fault, cause=cause)])
    if fault:
        time.sleep(4)
    else:
        settle(cluster)
    return began


def roll_back(cluster: Kubernetes, revision: int = 0) -> float:
    """Undo, to the revision before or to this one. Returns when it began."""
    began = next_second()
    cluster.kubectl("rollout", "undo", "deployment/web", "-n", NAMESPACE, f"--to-revision={revision}")
    settle(cluster)
    return began


def settle(cluster: Kubernetes) -> None:
    """Wait until the rollout of `web` is through."""
    cluster.kubectl("rollout", "status", "deployment/web", "-n", NAMESPACE, "--timeout=60s")


def next_second() -> float:
    """Kubernetes dates by whole seconds: let two more pass, so that no two steps fall into one."""
    time.sleep(2)
    return time.time()


def raw_answers(cluster: Kubernetes) -> dict[str, Any]:
    """What the API server sends, by path and query, to all that the source asks about `web`."""
    named, apps, core = f"namespaces/{NAMESPACE}", "/apis/apps/v1", "/api/v1"
    ours, about = (
        {"labelSelector": "app=web"},
        {"fieldSelector": "involvedObject.kind=Deployment,involvedObject.name=web"},
    )
    paths = {
        f"{apps}/{named}/deployments/web": {},
        f"{apps}/{named}/replicasets": ours,
        f"{core}/{named}/pods": ours,
        f"{core}/{named}/events": {},
        f"{core}/{named}/events?about": about,
        f"/apis/metrics.k8s.io/v1beta1/{named}/pods": ours,
        f"/apis/networking.k8s.io/v1/{named}/networkpolicies": {},
        **{f"{core}/nodes/{name}": {} for name in cluster.nodes},
        "/version": {},
    }
    full = {f"{path.partition('?')[0]}{'?' if query else ''}{urlencode(query)}" for path, query in paths.items()}
    raw = {one: json.loads(cluster.kubectl("get", "--raw", one)) for one in sorted(full)}
    return {
        **raw,
        **_as_printed(cluster, f"{core}/{named}/secrets"),
        **_as_printed(cluster, f"{core}/{named}/configmaps"),
    }


def _as_printed(cluster: Kubernetes, path: str) -> dict[str, Any]:
    """A list as the source asks for it: lines without objects."""
    connection = Connection(from_files([cluster.kubeconfig()]))
    request = Request(path, "record it", SECRETS.params, SECRETS.accept)
    with TimeLimit(10) as limit:
        return {f"{path}?includeObject=None": connection.get(request, limit)}


def main() -> None:
    """Play the story once and write down the answers at each stage, with the time at which it really began."""
    PAYLOADS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Kubernetes(Path(folder)) as cluster:
        open_shop(cluster)
        roll_out(cluster, "v2", cause="second")
        _write("rolled back", roll_back(cluster), cluster)
        bad = roll_out(cluster, "v3", fault="oom", cause=f"kubectl set env deployment/web TOKEN={CANARY} --record=true")
        cluster.wait_for_metrics(NAMESPACE)
        _write("bad rollout", bad, cluster)
        _write("undone half-way", roll_back(cluster), cluster)
        roll_out(cluster, "v4", cause="fourth")
        _write("rolled back again", roll_back(cluster), cluster)  # by now, Kubernetes lumps events together


def _write(stage: str, began: float, cluster: Kubernetes) -> None:
    content = {"began": began, "answers": raw_answers(cluster)}
    (PAYLOADS / f"{stage.replace(' ', '_')}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
