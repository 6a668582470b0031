"""How kubectl is told which cluster to ask: the same options in every command that people can copy."""

from __future__ import annotations

from runbook.config.schema import Kubernetes

REDACTED = "[redacted "


def cluster_options(cluster: Kubernetes | None) -> tuple[str, ...]:
    """The options that choose the cluster, as far as they are known."""
    file, name = known_setting(cluster, "kubeconfig"), known_setting(cluster, "context")
    return (*(("--kubeconfig", file) if file else ()), *(("--context", name) if name else ()))


def known_setting(cluster: Kubernetes | None, setting: str) -> str:
    """A setting of the cluster; "" where there is none, or where it had to be redacted."""
    value: str = getattr(cluster, setting, "")
    return "" if REDACTED in value else value
