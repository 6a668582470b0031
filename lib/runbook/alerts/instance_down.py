"""InstanceDown: an instance has not answered Prometheus for a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.alerts.causes.instance_down import CAUSES
from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.requests import reachability
from runbook.alerts.checks.toolkit.series import line, metric, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import FAILED_SCRAPES
from runbook.alerts.checks.workload import (
    changes,
    down_instances,
    instances_down_count,
    nodes,
    pod_states,
    policies,
    previous_logs,
    remaining_capacity,
    scrape_only,
    secrets,
)
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Context, Recovering
from runbook.model import Query, Series
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import pods_of
from runbook.sources.kubernetes.rollouts import deployment_of
from runbook.sources.probe import http as probe
from runbook.text.format import plural


def expression(service: Service) -> str:
    """The alerting rule's PromQL: one alert per instance, or one for all where Prometheus has none left to ask.

    What leaves service discovery (a label changed, the deployment deleted) has no `up` that could be 0: only `absent`
    notices it.
    """
    up = metric(service, "up")
    return f"{up} == 0 or absent({up})"


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    about = (c.service.namespace, c.service.deployment)
    asked = {"pods": kubernetes.pods(*about), "deployment": kubernetes.deployment(*about)}
    return {
        "down": since_mitigation(c, instances_down_count.down(c.service), end),
        **{name: replace(one, params={**one.params, "at": int(end)}) for name, one in asked.items()},
    }


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["down"], line(answers["down"]))


def _problem(c: Context, answers: Answers) -> str:
    """The procedure's second question: do all the wanted pods run? One that a quota refused is not listed as a pod."""
    living = [pod for pod in pods_of(answers["pods"]) if not pod.over]
    unready = [pod for pod in living if not pod.ready]
    if not living:
        return "Kubernetes has no pod of the deployment"
    if unready:
        first = unready[0]
        return f"{plural(len(unready), 'pod')} not ready: {first.name} ({first.reason or first.phase})"
    found = deployment_of(answers["deployment"])
    if found and found.available < found.wanted:
        return f"{found.available} of {plural(found.wanted, 'pod')} available, as the deployment counts them"
    return ""


ALERT = Alert(
    name="InstanceDown",
    summary=lambda limits: "An instance is down",
    meaning=lambda limits: "Prometheus has not been able to scrape an instance of the service for at least one minute.",
    impact="The other instances serve its requests and may become slow; if none is left, the service is down.",
    severity="critical",
    for_seconds=instances_down_count.FOR_SECONDS,
    expression=expression,
    checks=(
        instances_down_count.CHECK,
        down_instances.CHECK,
        remaining_capacity.CHECK,
        changes.watching(FAILED_SCRAPES),
        pod_states.CHECK,
        previous_logs.CHECK,
        nodes.CHECK,
        reachability.CHECK,
        policies.guarding(policies.TO_SERVICE),
        secrets.CHECK,
        scrape_only.CHECK,
        error_messages.CHECK,
    ),
    causes=CAUSES,
    recovery=Recovering(
        "Instances that are down",
        "instances",
        300,
        lambda service: 0.0,
        _recovery_queries,
        _recovery_series,
        lambda context: {context.service.health_path: probe.get(context.service.health_path)},
        _problem,
    ),
    escalate_if=(
        "no instance is up, or an instance is still down 15 minutes after the mitigation",
        "a node is lost and another team owns the cluster, or other services are down as well",
        "no cause is supported",
    ),
)
