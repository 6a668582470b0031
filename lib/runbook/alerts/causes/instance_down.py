"""The causes of InstanceDown, and the signs for and against each."""

from __future__ import annotations

from dataclasses import replace

from runbook.alerts.checks.workload import changes, nodes, pod_states, policies, previous_logs, scrape_only, secrets
from runbook.alerts.mitigations.instances import (
    fix_scrape,
    more_memory,
    restart_crashed,
    restore_access,
    roll_back_or_restart,
    unblock_start,
)
from runbook.alerts.mitigations.nodes import leave_node
from runbook.alerts.shared_causes import DEPLOYMENT
from runbook.investigation.definitions import Cause, Conclusive, Sign
from runbook.investigation.results import Results
from runbook.text.format import plural

STILL_WORK = Sign(
    scrape_only.Facts,
    0.8,
    lambda f: bool(f.talking) and f.well == f.down,
    lambda f: f"the pods that are down still log: {plural(f.messages or 0, 'message')} since the alert",
)
NONE_READY = Sign(
    scrape_only.Facts, 0.8, lambda f: f.well == 0, lambda f: "Kubernetes also reports every down pod as not ready"
)
NOT_STARTED = Sign(
    pod_states.Facts,
    0.6,
    lambda f: bool(f.blocked) and f.crashed == (),
    lambda f: f"nothing crashed: containers did not even start ({f.blocked_by})",
)

CRASH = replace(
    DEPLOYMENT,
    plan=roll_back_or_restart,
    requires=(changes.Facts, pod_states.Facts),
    conclusive=(*DEPLOYMENT.conclusive, Conclusive(pod_states.Facts, "crashed")),
    supports=(
        *DEPLOYMENT.supports,
        Sign(
            pod_states.Facts,
            0.4,
            lambda f: len(f.crashed_revisions) == 1,
            lambda f: f"{_pods(f.crashed)} of revision {f.crashed_revisions[0]} crashed ({f.exits})",
        ),
        Sign(
            previous_logs.Facts,
            0.1,
            lambda f: f.times >= 2,
            lambda f: f"the last log line of {f.times} of {f.ended} containers is “{f.last}”",
        ),
    ),
    refutes=(
        *DEPLOYMENT.refutes,
        Sign(pod_states.Facts, 0.7, lambda f: f.crashed == (), lambda f: "no container crashed"),
        NOT_STARTED,
        STILL_WORK,
    ),
)

UNPROVOKED = Cause(
    "crash",
    "Crash without a rollout",
    phrase=lambda results: f"a crash that no rollout explains ({results.required(pod_states.Facts).exits})",
    plan=restart_crashed,
    requires=(changes.Facts, pod_states.Facts),
    conclusive=(Conclusive(changes.Facts, "near"), Conclusive(pod_states.Facts, "crashed")),
    supports=(
        Sign(pod_states.Facts, 0.7, lambda f: bool(f.crashed), lambda f: f"{_pods(f.crashed)} crashed ({f.exits})"),
        Sign(previous_logs.Facts, 0.1, lambda f: f.times >= 1, lambda f: f"the last log line is “{f.last}”"),
    ),
    refutes=(
        Sign(pod_states.Facts, 0.9, lambda f: f.crashed == (), lambda f: "no container crashed"),
        Sign(
            changes.Facts,
            0.7,
            lambda f: f.near,
            lambda f: f"revision {f.revision} was rolled out shortly before the onset",
        ),
    ),
)

MEMORY = Cause(
    "memory",
    "Killed for memory (OOM)",
    phrase=lambda results: "containers killed for using too much memory",
    plan=more_memory,
    requires=(pod_states.Facts,),
    conclusive=(Conclusive(pod_states.Facts, "killed"),),
    supports=(
        Sign(
            pod_states.Facts,
            0.8,
            lambda f: bool(f.killed),
            lambda f: f"{plural(len(f.killed or ()), 'container')} OOMKilled near the onset or later",
        ),
    ),
    refutes=(Sign(pod_states.Facts, 0.9, lambda f: f.killed == (), lambda f: "no container was OOMKilled"),),
)

NODE = Cause(
    "node",
    "Node failure",
    phrase=lambda results: f"a node failure: {_failing(results.required(nodes.Facts))}",
    plan=leave_node,
    requires=(nodes.Facts,),
    conclusive=(Conclusive(nodes.Facts, "failing"),),
    supports=(
        Sign(nodes.Facts, 0.8, lambda f: bool(f.down_on_failing), lambda f: _on_failing(f)),
        Sign(
            nodes.Facts,
            0.5,
            lambda f: bool(f.down_on_pressed),
            lambda f: f"{', '.join(f.pressed)} under {', '.join(f.pressures)}",
        ),
        Sign(
            pod_states.Facts,
            0.5,
            lambda f: bool(f.unschedulable),
            lambda f: f"no node accepts {_pods(f.unschedulable)} ({f.unschedulable_message})",
        ),
    ),
    refutes=(
        Sign(
            nodes.Facts,
            0.9,
            lambda f: not f.failing and not f.pressed,
            lambda f: "the nodes with pods of the service are ready",
        ),
    ),
)

NETWORK = Cause(
    "network",
    "Network or policy",
    phrase=lambda results: _network(results),
    plan=restore_access,
    requires=(),
    conclusive=(Conclusive(policies.Facts, "cuts"), Conclusive(scrape_only.Facts, "silent")),
    supports=(
        Sign(
            policies.Facts,
            0.7,
            lambda f: bool(f.cuts),
            lambda f: f"the policy {f.newest} blocks all connections to port {f.port}",
        ),
        Sign(
            scrape_only.Facts,
            0.5,
            lambda f: bool(f.silent) and f.well == f.down,
            lambda f: "the pods are ready, but no requests reach them",
        ),
        Sign(
            scrape_only.Facts,
            0.3,
            lambda f: f.answers is False and f.well > 0,
            lambda f: "the service does not answer, though pods are ready",
        ),
    ),
    refutes=(NONE_READY, STILL_WORK),
)

CONFIGURATION = Cause(
    "configuration",
    "Configuration: Secret or image",
    phrase=lambda results: f"the configuration: {_blocked(results)}",
    plan=unblock_start,
    requires=(pod_states.Facts,),
    conclusive=(Conclusive(pod_states.Facts, "blocked"),),
    supports=(
        Sign(
            pod_states.Facts,
            0.8,
            lambda f: bool(f.blocked),
            lambda f: f"{_pods(f.blocked)} cannot start: {f.blocked_message or f.blocked_by}",
        ),
        Sign(pod_states.Facts, 0.3, lambda f: bool(f.waiting), lambda f: f"{_pods(f.waiting)} still being created"),
        Sign(secrets.Facts, 0.4, lambda f: bool(f.missing), lambda f: f"{', '.join(f.missing)} missing"),
    ),
    refutes=(
        Sign(
            pod_states.Facts,
            0.9,
            lambda f: f.blocked == () and not f.waiting,
            lambda f: "no container waits for a Secret or an image",
        ),
    ),
)

SCRAPE = Cause(
    "scrape",
    "Scrape broken",
    phrase=lambda results: "a broken scrape: the service itself is healthy",
    plan=fix_scrape,
    requires=(scrape_only.Facts,),
    conclusive=(Conclusive(scrape_only.Facts, "talking"),),
    supports=(
        Sign(
            scrape_only.Facts,
            0.6,
            lambda f: bool(f.talking),
            lambda f: f"the pods that are down logged {plural(f.messages or 0, 'message')} since the alert, as usual",
        ),
        Sign(
            scrape_only.Facts,
            0.6,
            lambda f: f.nobody_up and bool(f.answers),
            lambda f: "the service answers, although Prometheus reaches no instance",
        ),
        Sign(
            scrape_only.Facts,
            0.3,
            lambda f: 0 < f.well == f.down,
            lambda f: "Kubernetes reports all of them as ready and not restarted",
        ),
    ),
    refutes=(
        NONE_READY,
        Sign(scrape_only.Facts, 0.8, lambda f: bool(f.silent), lambda f: "the pods that are down log nothing any more"),
        Sign(
            policies.Facts,
            0.5,
            lambda f: bool(f.cuts) and f.near,
            lambda f: f"the policy {f.newest} blocks Prometheus as well",
        ),
    ),
)

CAUSES = (CRASH, UNPROVOKED, MEMORY, NODE, NETWORK, CONFIGURATION, SCRAPE)


def _pods(names: tuple[str, ...] | None) -> str:
    """How many, e.g. "2 pods"."""
    return plural(len(names or ()), "pod")


def _failing(f: nodes.Facts) -> str:
    return ", ".join(f.failing or f.pressed) or "none has room"


def _on_failing(f: nodes.Facts) -> str:
    down = len(f.down_on_failing)
    who = f"{plural(down, 'pod')} that {'is' if down == 1 else 'are'} down"
    return f"{who} {'runs' if down == 1 else 'run'} on {', '.join(f.failing)}, which is not ready"


def _network(results: Results) -> str:
    found = results.facts(policies.Facts)
    if found is not None and found.cuts:
        return f"the network: the policy {found.newest}"
    return "the network between the pods and their clients"


def _blocked(results: Results) -> str:
    """What the containers wait for, as far as it is known."""
    pods, known = results.required(pod_states.Facts), results.facts(secrets.Facts)
    if "Image" in (pods.blocked_by or ""):
        return f"the image {pods.blocked_image} cannot be pulled"
    if known is not None and known.missing:
        return f"{', '.join(known.missing)} missing"
    return pods.blocked_message or pods.blocked_by or "containers do not start"
