"""InstanceDown: an instance has not answered Prometheus for a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.requests import reachability, remaining_capacity
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
    scrape_only,
    secrets,
)
from runbook.alerts.mitigations.instances import (
    back_to_good,
    leave_node,
    let_start,
    mend_scrape,
    more_memory,
    open_way,
    start_anew,
)
from runbook.alerts.shared_causes import DEPLOYMENT
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Context, Recovering, Results, Sign
from runbook.model import Query, Series
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.objects import pods_of
from runbook.sources.probe import http as probe
from runbook.text.format import plural


def expression(service: Service) -> str:
    """The alerting rule's PromQL: one alert per instance, or one for all where Prometheus has none left to ask.

    What leaves service discovery (a label changed, the deployment deleted) has no `up` that could be 0: nobody would be told.
    """
    up = metric(service, "up")
    return f"{up} == 0 or absent({up})"


ONLY_UNSEEN = Sign(
    "unseen",
    0.8,
    lambda f: bool(f["talking"]) and f["well"] == f["down"],
    lambda f: f"those that are down go on: {plural(f['messages'], 'message')} logged since",
)
NONE_WELL = Sign(
    "unseen", 0.8, lambda f: f["well"] == 0, lambda f: "Kubernetes calls none of those that are down ready"
)
NOT_STARTED = Sign(
    "pods",
    0.6,
    lambda f: bool(f["blocked"]) and f["crashed"] == [],
    lambda f: f"nothing crashed: containers did not even start ({f['blocked_by']})",
)

CRASH = replace(
    DEPLOYMENT,
    plan=back_to_good,
    needs=("changes", "pods"),
    decides=(*DEPLOYMENT.decides, ("pods", "crashed")),
    supports=(
        *DEPLOYMENT.supports,
        Sign(
            "pods",
            0.4,
            lambda f: len(f["crashed_revisions"]) == 1,
            lambda f: (
                f"{plural(len(f['crashed']), 'pod')} of revision {f['crashed_revisions'][0]} crashed ({f['exits']})"
            ),
        ),
        Sign(
            "last_words",
            0.1,
            lambda f: f["times"] >= 2,
            lambda f: f"{f['times']} of {f['ended']} said last: “{f['last']}”",
        ),
    ),
    refutes=(
        *DEPLOYMENT.refutes,
        Sign("pods", 0.7, lambda f: f["crashed"] == [], lambda f: "no container crashed"),
        NOT_STARTED,
        ONLY_UNSEEN,
    ),
)

UNPROVOKED = Cause(
    "crash",
    "Crash without a rollout",
    phrase=lambda results: f"a crash that no rollout explains ({results['pods'].facts['exits']})",
    plan=start_anew,
    needs=("changes", "pods"),
    decides=(("changes", "near"), ("pods", "crashed")),
    supports=(
        Sign(
            "pods",
            0.7,
            lambda f: bool(f["crashed"]),
            lambda f: f"{plural(len(f['crashed']), 'pod')} crashed ({f['exits']})",
        ),
        Sign("last_words", 0.1, lambda f: f["times"] >= 1, lambda f: f"last said “{f['last']}”"),
    ),
    refutes=(
        Sign("pods", 0.9, lambda f: f["crashed"] == [], lambda f: "no container crashed"),
        Sign("changes", 0.7, lambda f: f["near"], lambda f: f"revision {f['revision']} came shortly before"),
    ),
)

MEMORY = Cause(
    "memory",
    "Killed for memory (OOM)",
    phrase=lambda results: "containers killed for using too much memory",
    plan=more_memory,
    needs=("pods",),
    decides=(("pods", "killed"),),
    supports=(
        Sign(
            "pods",
            0.8,
            lambda f: bool(f["killed"]),
            lambda f: f"{plural(len(f['killed']), 'container')} OOMKilled near the onset or since",
        ),
    ),
    refutes=(Sign("pods", 0.9, lambda f: f["killed"] == [], lambda f: "no container was OOMKilled"),),
)

NODE = Cause(
    "node",
    "Node failure",
    phrase=lambda results: (
        f"a node failure: {', '.join(results['nodes'].facts['failing'] or results['nodes'].facts['pressed']) or 'none has room'}"
    ),
    plan=leave_node,
    needs=("nodes",),
    decides=(("nodes", "failing"),),
    supports=(
        Sign(
            "nodes",
            0.8,
            lambda f: bool(f["down_on_failing"]),
            lambda f: (
                f"{plural(len(f['down_on_failing']), 'pod')} that {'is' if len(f['down_on_failing']) == 1 else 'are'} down"
                f" {'runs' if len(f['down_on_failing']) == 1 else 'run'} on {', '.join(f['failing'])}, which is not ready"
            ),
        ),
        Sign(
            "nodes",
            0.5,
            lambda f: bool(f["down_on_pressed"]),
            lambda f: f"{', '.join(f['pressed'])} under {', '.join(f['pressures'])}",
        ),
        Sign(
            "pods",
            0.5,
            lambda f: bool(f["unschedulable"]),
            lambda f: f"no node takes {plural(len(f['unschedulable']), 'pod')} ({f['unschedulable_message']})",
        ),
    ),
    refutes=(
        Sign(
            "nodes",
            0.9,
            lambda f: not f["failing"] and not f["pressed"],
            lambda f: "the nodes under the pods are ready",
        ),
    ),
)

NETWORK = Cause(
    "network",
    "Network or policy",
    phrase=lambda results: (
        f"the network: the policy {results['policies'].facts['newest']}"
        if "policies" in results and results["policies"].facts.get("cuts")
        else "the network between the pods and those who ask them"
    ),
    plan=open_way,
    needs=(),
    decides=(("policies", "cuts"), ("unseen", "silent")),
    supports=(
        Sign(
            "policies",
            0.7,
            lambda f: bool(f["cuts"]),
            lambda f: f"the policy {f['newest']} lets nobody reach port {f['port']}",
        ),
        Sign(
            "unseen",
            0.5,
            lambda f: bool(f["silent"]) and f["well"] == f["down"],
            lambda f: "the pods are ready, yet nobody reaches them",
        ),
        Sign(
            "unseen",
            0.3,
            lambda f: f["answers"] is False and f["well"] > 0,
            lambda f: "the service does not answer, though pods are ready",
        ),
    ),
    refutes=(NONE_WELL, ONLY_UNSEEN),
)

CONFIGURATION = Cause(
    "configuration",
    "Configuration: Secret or image",
    phrase=lambda results: _blocked(results),
    plan=let_start,
    needs=("pods",),
    decides=(("pods", "blocked"),),
    supports=(
        Sign(
            "pods",
            0.8,
            lambda f: bool(f["blocked"]),
            lambda f: f"{plural(len(f['blocked']), 'pod')} cannot start: {f['blocked_message'] or f['blocked_by']}",
        ),
        Sign(
            "pods",
            0.3,
            lambda f: bool(f["waiting"]),
            lambda f: f"{plural(len(f['waiting']), 'pod')} still being created",
        ),
        Sign("secrets", 0.4, lambda f: bool(f["missing"]), lambda f: f"{', '.join(f['missing'])} missing"),
    ),
    refutes=(
        Sign(
            "pods",
            0.9,
            lambda f: f["blocked"] == [] and not f["waiting"],
            lambda f: "no container waits for a Secret or an image",
        ),
    ),
)

SCRAPE = Cause(
    "scrape",
    "Scrape broken",
    phrase=lambda results: "a broken scrape: the service itself is fine",
    plan=mend_scrape,
    needs=("unseen",),
    decides=(("unseen", "talking"),),
    supports=(
        Sign(
            "unseen",
            0.6,
            lambda f: bool(f["talking"]),
            lambda f: f"those that are down logged {plural(f['messages'], 'message')} since, as usual",
        ),
        Sign(
            "unseen",
            0.6,
            lambda f: f["nobody_up"] and bool(f["answers"]),
            lambda f: "the service answers although Prometheus sees no instance up",
        ),
        Sign(
            "unseen",
            0.3,
            lambda f: 0 < f["well"] == f["down"],
            lambda f: "Kubernetes calls all of them ready and not restarted",
        ),
    ),
    refutes=(
        NONE_WELL,
        Sign("unseen", 0.8, lambda f: bool(f["silent"]), lambda f: "those that are down log nothing any more"),
        Sign(
            "policies",
            0.5,
            lambda f: bool(f["cuts"]) and f["near"],
            lambda f: f"the policy {f['newest']} keeps Prometheus out as well",
        ),
    ),
)


def _blocked(results: Results) -> str:
    """What the containers wait for, as far as it is known."""
    facts = results["pods"].facts
    if "Image" in str(facts["blocked_by"]):
        return f"the configuration: the image {facts['blocked_image']} cannot be pulled"
    missing = results["secrets"].facts.get("missing") if "secrets" in results else ()
    said = f"{', '.join(missing)} missing" if missing else facts["blocked_message"] or facts["blocked_by"]
    return f"the configuration: {said}" if said else "the configuration: containers do not start"


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    about = (c.service.namespace, c.service.deployment)
    asked = {"pods": kubernetes.pods(*about), "deployment": kubernetes.deployment(*about)}
    return {
        "down": since_mitigation(c, instances_down_count.down(c.service), end),
        **{name: replace(one, params={**one.params, "at": int(end)}) for name, one in asked.items()},
    }


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["down"], line(answers["down"]))


def _amiss(c: Context, answers: Answers) -> str:
    """The procedure's second question: do the pods run, all that are wanted? One that was refused is no pod at all."""
    living = [pod for pod in pods_of(answers["pods"]) if not pod.over]
    unready = [pod for pod in living if not pod.ready]
    if not living:
        return "Kubernetes has no pod of the deployment"
    if unready:
        first = unready[0]
        return f"{plural(len(unready), 'pod')} not ready: {first.name} ({first.reason or first.phase})"
    whole = kubernetes.deployment_of(answers["deployment"])
    if whole and whole.available < whole.wanted:
        return f"{whole.available} of {plural(whole.wanted, 'pod')} available, as the deployment counts them"
    return ""


ALERT = Alert(
    name="InstanceDown",
    summary=lambda limits: "An instance is down",
    meaning=lambda limits: "Prometheus has not been able to scrape an instance of the service for at least one minute.",
    impact="The other instances take its requests and may get slow; where none is left, the service is down for everybody.",
    severity="critical",
    hold_seconds=instances_down_count.HOLD_SECONDS,
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
    causes=(CRASH, UNPROVOKED, MEMORY, NODE, NETWORK, CONFIGURATION, SCRAPE),
    recovery=Recovering(
        "Instances that are down",
        "instances",
        300,
        lambda service: 0.0,
        _recovery_queries,
        _recovery_series,
        lambda context: {context.service.health_path: probe.get(context.service.health_path)},
        _amiss,
    ),
    escalate_if=(
        "no instance is up, or one is still down 15 minutes after the mitigation",
        "a node is lost and the cluster is somebody else's, or more services than this one are down",
        "no cause is supported",
    ),
)
