"""A whole Kubernetes on loopback: etcd, control plane, kwok's nodes and metrics-server, all from one binary."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tests.lab.servers import backdating, pod_commands
from tests.lab.servers.backdating import Identification, Object
from tests.lab.servers.builds import KWOK_CONFIG, KWOK_CRD
from tests.lab.servers.cache import HERE, LabError, kubernetes_build
from tests.lab.servers.components import Components, Ports, node
from tests.lab.servers.identity import Identity
from tests.lab.servers.processes import Server, answers, fetch

FAULTS = HERE / "kubernetes" / "stages.yaml"
DEFAULT_LINES = ("starting", "ready")


class KubectlFailed(LabError):
    """`kubectl` ended with an error; the text is what it said."""


class Lines(TypedDict, total=False):
    """What a pod's container logs, what the one before it did, and when."""

    current: Sequence[str]
    previous: Sequence[str]
    at: dt.datetime | None


class Kubernetes(Server):
    """One cluster, whose nodes are ready; pods live, crash, log and use memory as objects only."""

    def __init__(self, directory: Path, *, nodes: int = 2) -> None:
        super().__init__(directory)
        self.nodes = [f"node-{number}" for number in range(1, nodes + 1)]
        self._ports = Ports()

    @property
    def url(self) -> str:
        """Where the API server answers, by TLS, to those with a token."""
        return f"https://127.0.0.1:{self._ports.api}"

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig of `admin`, or of `oncall`, who may do nothing until a role is bound."""
        return self._identity.kubeconfig(user)

    def kubectl(self, *arguments: str, user: str = "admin", given: str = "") -> str:
        """What kubectl prints; `given` is its standard input, for `-f -`."""
        command = [str(self._binary), "kubectl", f"--kubeconfig={self.kubeconfig(user)}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(arguments)} failed ({done.returncode}): {done.stdout}{done.stderr}")
        return done.stdout

    def apply(self, objects: Sequence[Object]) -> list[dict[str, Any]]:
        """Create or change these objects; returns them as the API server has them."""
        return self._objects("apply", objects) if objects else []

    def get(self, kind: str, namespace: str = "default", *flags: str) -> list[dict[str, Any]]:
        """The objects of a kind in a namespace; `flags` such as `--selector=app=web`."""
        printed = self.kubectl("get", kind, f"--namespace={namespace}", *flags, "-o", "json")
        found: list[dict[str, Any]] = json.loads(printed)["items"]
        return found

    def backdate(self, objects: Sequence[Object]) -> None:
        """Apply these objects, then give them their past `metadata.creationTimestamp`, and `status` if there is one.

        An owner may be named without its `uid`. An object with a `metadata.uid`, as kubectl prints them, is there
        already: only its creation time and status are written.
        """
        for batch in backdating.by_ownership(objects):
            complete = [backdating.with_owners(one, self._uid) for one in batch]
            new = [_as_given(one) for one in complete if "uid" not in one["metadata"]]
            if new:
                self.apply(new)
            backdating.backdate(complete, self._read, self._rewrite)

    def store(self, objects: Sequence[Object]) -> None:
        """Write new objects past the API server, times included: quick, for events and what else nobody completes."""
        backdating.store(objects, self._rewrite)

    def write_logs(self, namespace: str, pod: str, **lines: Unpack[Lines]) -> None:
        """Let `kubectl logs` (and `--previous`) print these lines for this pod, all at this time, by default now."""
        self.apply([self.logs(namespace, pod, **lines)])

    def logs(self, namespace: str, pod: str, **lines: Unpack[Lines]) -> dict[str, Any]:
        """The object that does so, to be applied together with others."""
        spec = self._write_logs(f"{namespace}_{pod}", **lines)
        metadata = {"name": pod, "namespace": namespace}
        return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Logs", "metadata": metadata, "spec": spec}

    def let_look_inside(self, namespace: str, pod: str, files: Mapping[str, str], *, clock: int = 0) -> None:
        """Let `head -n 3 PATH` read these files by their path in this pod, and `date` be so many seconds ahead.

        No other command runs, and none in another pod.
        """
        folder = self.directory / "pod-files" / f"{namespace}_{pod}"
        self.apply([pod_commands.allowed(namespace, pod, folder, files, clock=clock)])

    def wait_for_metrics(self, namespace: str, *, seconds: float = 120.0) -> None:
        """Wait until `kubectl top pods` has every ready pod of the namespace: two rounds of metrics-server."""
        self._wait(f"metrics of the pods in {namespace}", lambda: self._has_metrics(namespace), seconds)

    def _start(self) -> None:
        build = kubernetes_build()
        self._binary = build / "k8slab"
        self._identity = Identity(self.directory / "identity", self.url)
        self._tls = ssl.create_default_context(cafile=self._identity.file("ca.crt"))
        components = Components(self._binary, self.directory, self._identity, self._ports)
        self._run("etcd", components.etcd())
        self._run("kube-apiserver", components.apiserver())
        self._wait("Kubernetes' API server", self._api_ready)
        self._run("kube-controller-manager", components.controller_manager())
        self._run("kube-scheduler", components.scheduler())
        objects = [*components.metrics_objects(), pod_commands.definition(), *map(node, self.nodes)]
        self.kubectl("apply", "-f", str(build / KWOK_CRD), "-f", "-", given=_list(objects))
        commands = self.directory / "commands"
        pod_commands.write_commands(commands)
        self._run("kwok", components.kwok(self._kwok_config(build)), {"PATH": str(commands)})
        self._run("metrics-server", components.metrics_server())
        self._wait("Kubernetes' nodes", self._nodes_ready)

    def _kwok_config(self, build: Path) -> Path:
        metadata = {"name": "default"}
        spec = self._write_logs("default", current=DEFAULT_LINES, previous=DEFAULT_LINES)
        logs = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs", "metadata": metadata, "spec": spec}
        config = self.directory / "kwok.yaml"
        config.write_text("\n---\n".join([(build / KWOK_CONFIG).read_text(), FAULTS.read_text(), json.dumps(logs)]))
        return config

    def _write_logs(
        self,
        name: str,
        *,
        current: Sequence[str] = DEFAULT_LINES,
        previous: Sequence[str] = (),
        at: dt.datetime | None = None,
    ) -> dict[str, Any]:
        folder = self.directory / "pod-logs"
        folder.mkdir(exist_ok=True)
        time = (at or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        files = {"logsFile": current, "previousLogsFile": previous}
        for kind, lines in files.items():
            (folder / f"{name}.{kind}").write_text("".join(f"{time} stdout F {line}\n" for line in lines))
        return {"logs": [{kind: str(folder / f"{name}.{kind}") for kind in files}]}

    def _api_ready(self) -> bool:
        return answers(self._ports.api, "/readyz", tls=self._tls, token=self._identity.tokens["admin"])

    def _nodes_ready(self) -> bool:
        nodes = self._get("/api/v1/nodes").get("items", [])
        conditions = [condition for one in nodes for condition in one["status"].get("conditions", [])]
        ready = [
            condition for condition in conditions if condition["type"] == "Ready" and condition["status"] == "True"
        ]
        return len(ready) == len(self.nodes)

    def _has_metrics(self, namespace: str) -> bool:
        pods = self._get(f"/api/v1/namespaces/{namespace}/pods").get("items", [])
        ready = {pod["metadata"]["name"] for pod in pods if _is_ready(pod)}
        measured = self._get(f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods").get("items", [])
        return bool(ready) and ready <= {pod["metadata"]["name"] for pod in measured}

    def _get(self, path: str) -> dict[str, Any]:
        body = fetch(self._ports.api, path, tls=self._tls, token=self._identity.tokens["admin"])
        return json.loads(body) if body else {}

    def _objects(self, verb: str, objects: Sequence[Object]) -> list[dict[str, Any]]:
        printed = json.loads(self.kubectl(verb, "-f", "-", "-o", "json", given=_list(objects)))
        return printed["items"] if printed["kind"] == "List" else [printed]

    def _read(self, objects: Sequence[Object]) -> list[dict[str, Any]]:
        return self._objects("get", objects)

    def _rewrite(self, lines: str) -> str:
        command = [str(self._binary), "rewrite", self._ports.etcd_url]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise backdating.NotBackdated(f"etcd did not take the objects: {done.stderr}")
        return done.stdout

    def _uid(self, owner: Identification) -> str:
        kind, namespace, name = owner
        return self.kubectl("get", kind, name, f"--namespace={namespace}", "-o", "jsonpath={.metadata.uid}")


def _is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def _list(objects: Sequence[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _as_given(one: Object) -> Mapping[str, Any]:
    """Without what the API server would not take from anybody."""
    metadata = {key: value for key, value in one["metadata"].items() if key != "creationTimestamp"}
    return {**{key: value for key, value in one.items() if key != "status"}, "metadata": metadata}
