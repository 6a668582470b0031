"""Kubernetes: reachable, and whatever the checks read is allowed."""

from __future__ import annotations

from runbook.config.schema import Service
from runbook.doctor.line import Diagnosis, State, ask_all, failed
from runbook.model import Source
from runbook.sources.kubernetes import objects
from runbook.sources.kubernetes import queries as kubernetes


def look(source: Source, service: Service, *, inside: bool) -> list[Diagnosis]:
    """A line for the connection, each permission and the deployment. `inside`: commands in pods are allowed."""
    hello, access, deployment = ask_all(
        source,
        (
            kubernetes.version(),
            kubernetes.access(service.namespace, service.deployment),
            kubernetes.deployment(service.namespace, service.deployment),
        ),
    )
    if not hello.usable and not access.usable:
        return [failed(hello, "connection")]
    first = Diagnosis("kubernetes", "connection", "ok", f"reachable, version {objects.version_of(hello) or 'unknown'}")
    if not access.usable:
        return [first, failed(access, "access")]
    lines = [_permission(one) for one in objects.access_of(access)]
    if not inside:
        off = "switched off, so neither the public key nor the clock in the pods is looked at; `exec = true` allows it"
        lines.append(Diagnosis("kubernetes", "commands in pods", "ok", off))
    name = f"deployment {service.namespace}/{service.deployment}"
    if deployment.usable:
        return [first, *lines, Diagnosis("kubernetes", name, "ok", "there")]
    return [first, *lines]


def _permission(one: objects.Permission) -> Diagnosis:
    well = one.allowed and not one.error
    state: State = "ok" if well else "missing" if one.optional else "failed"
    return Diagnosis("kubernetes", f"{one.verb} {one.resource}", state, one.error or "allowed")
