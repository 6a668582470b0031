"""The command lines of Kubernetes' parts: which flags make a throwaway control plane on loopback."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.servers.identity import Identity
from tests.lab.servers.processes import free_port

METRICS_NAME = "v1beta1.metrics.k8s.io"


@dataclass(frozen=True)
class Ports:
    """One free port each."""

    api: int = field(default_factory=free_port)
    etcd: int = field(default_factory=free_port)
    etcd_peer: int = field(default_factory=free_port)
    kwok: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)

    @property
    def etcd_url(self) -> str:
        """Where etcd answers, without any authentication."""
        return f"http://127.0.0.1:{self.etcd}"


@dataclass(frozen=True)
class Components:
    """What the command lines are made of."""

    binary: Path
    directory: Path
    identity: Identity
    ports: Ports

    def etcd(self) -> list[str]:
        """etcd, fast and forgetful: nothing here outlives the test."""
        peer = f"http://127.0.0.1:{self.ports.etcd_peer}"
        return self._command(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={self.ports.etcd_url}",
            f"--advertise-client-urls={self.ports.etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def apiserver(self) -> list[str]:
        """The API server: RBAC, static tokens, and the front proxy that metrics-server is reached through."""
        file = self.identity.file
        return self._command(
            "kube-apiserver",
            f"--etcd-servers={self.ports.etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.ports.api}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--allow-privileged",
            f"--tls-cert-file={file('server.crt')}",
            f"--tls-private-key-file={file('server.key')}",
            f"--client-ca-file={file('ca.crt')}",
            f"--token-auth-file={file('tokens.csv')}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={file('accounts.pub')}",
            f"--service-account-signing-key-file={file('accounts.key')}",
            f"--requestheader-client-ca-file={file('front-ca.crt')}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={file('front.crt')}",
            f"--proxy-client-key-file={file('front.key')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
        )

    def controller_manager(self) -> list[str]:
        """The controllers; without a volume plugin folder of ours it would make one under /usr."""
        return self._command(
            "kube-controller-manager",
            *self._as_user("system:kube-controller-manager"),
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.identity.file('accounts.key')}",
            f"--root-ca-file={self.identity.file('ca.crt')}",
            f"--flex-volume-plugin-dir={self.directory / 'volume-plugins'}",
            "--profiling=false",
        )

    def scheduler(self) -> list[str]:
        """The scheduler."""
        return self._command(
            "kube-scheduler",
            *self._as_user("system:kube-scheduler"),
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            "--profiling=false",
        )

    def kwok(self, config: Path) -> list[str]:
        """kwok plays the kubelet of every node: it moves pods through their lives, and serves logs and usage."""
        return self._command(
            "kwok",
            f"--kubeconfig={self.identity.kubeconfig('admin')}",
            f"--config={config}",
            "--manage-all-nodes",
            "--node-ip=127.0.0.1",
            "--node-name=localhost",
            f"--node-port={self.ports.kwok}",
            f"--server-address=127.0.0.1:{self.ports.kwok}",
            f"--tls-cert-file={self.identity.file('server.crt')}",
            f"--tls-private-key-file={self.identity.file('server.key')}",
            "--node-lease-duration-seconds=40",
            "--cidr=10.244.0.0/16",
            "--enable-crds=Logs,Exec",
        )

    def metrics_server(self) -> list[str]:
        """metrics-server, as often as it lets itself be told; its timeout has to be below that."""
        return self._command(
            "metrics-server",
            *self._as_user("admin"),
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports.metrics}",
            f"--tls-cert-file={self.identity.file('server.crt')}",
            f"--tls-private-key-file={self.identity.file('server.key')}",
            f"--kubelet-certificate-authority={self.identity.file('ca.crt')}",
            "--kubelet-use-node-status-port",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=3s",
        )

    def metrics_objects(self) -> list[dict[str, Any]]:
        """What makes the API server pass metrics.k8s.io on to metrics-server."""
        name = {"name": "metrics-server", "namespace": "kube-system"}
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": name,
                "spec": {"type": "ExternalName", "externalName": "localhost"},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": METRICS_NAME},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": self.identity.authority_base64,
                    "service": {**name, "port": self.ports.metrics},
                },
            },
        ]

    def _command(self, program: str, *flags: str) -> list[str]:
        return [str(self.binary), program, *flags]

    def _as_user(self, user: str) -> list[str]:
        kubeconfig = self.identity.kubeconfig(user)
        return [f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-")]


def node(name: str) -> dict[str, Any]:
    """A node for kwok to manage."""
    size = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
            "annotations": {
                "kwok.x-k8s.io/node": "fake",
                "metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{name}/metrics/resource",
            },
        },
        "status": {"allocatable": size, "capacity": size},
    }
