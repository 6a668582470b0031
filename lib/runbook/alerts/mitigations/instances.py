"""Instances that are down: start them anew, give them room, move them, open the way to them, let them start, scrape them."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from runbook.alerts.checks.toolkit.series import metric
from runbook.alerts.checks.workload import changes, down_instances, nodes, pod_states, policies, secrets
from runbook.alerts.mitigations.capacity import raise_limit
from runbook.alerts.mitigations.commands import (
    RESTARTED_ANEW,
    change,
    deployment,
    in_container,
    inside,
    is_pod,
    kubectl,
    read,
    until_healthy,
    worst_pod,
)
from runbook.alerts.mitigations.releases import roll_back
from runbook.config.types import is_object
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.sources.probe import network
from runbook.sources.prometheus.client import label_matchers

PEERS = "other pods are ready and carry its requests"


def back_to_good(c: Context, results: Results) -> Plan:
    """Back to the last revision that ran well; where only one pod crashed, a restart may do."""
    title, steps = roll_back(c, results)
    history = read(
        kubectl(c, "rollout", "history", deployment(c)),
        "which revision ran well last, should the one before the suspect not do",
    )
    crashed = results.facts(pod_states.Facts).get("crashed") or ()
    return title, (*steps, history, _restart_one(c, crashed, f"it crashed once and not again, or {PEERS}"))


def start_anew(c: Context, results: Results) -> Plan:
    """The evidence first, then the crashed pod anew; what it ran before, if it does not come back."""
    crashed = results.facts(pod_states.Facts).get("crashed") or ()
    return "Start the crashed pod anew", (
        *worst_pod(c, results, *crashed),
        _restart_one(c, crashed, PEERS),
        read(
            kubectl(c, "rollout", "history", deployment(c)),
            "whether it changed at all lately; an earlier revision crashes as well unless it did",
            "the pod crashes again",
        ),
    )


def more_memory(c: Context, results: Results) -> Plan:
    """The evidence; then a higher limit; where that cannot be, a pod that waits long for its next start anew."""
    facts = results.facts(pod_states.Facts)
    killed = facts.killed or ()
    return "Give the killed containers more memory", (
        *worst_pod(c, results, *killed),
        raise_limit(c, facts, "memory"),
        _restart_one(c, killed, f"the limit cannot be raised now, and {PEERS}"),
        Step(
            "Find out what needs the memory with the runbook HighMemoryUsage: a leak, a cache, connections or load.",
            "the pods run again",
            "none",
            "nothing to undo",
            "memory stays below the limit",
        ),
    )


def leave_node(c: Context, results: Results) -> Plan:
    """No new pods on the failing node, and those there somewhere else."""
    facts = results.facts(nodes.Facts)
    failing, pressed = ([n for n in facts.get(kind) or () if is_object(str(n))] for kind in ("failing", "pressed"))
    if not failing and not pressed:
        return "Find the node that fails, and move the pods", (
            read(kubectl(c, "get", "nodes"), "a node that is not Ready"),
            read(kubectl(c, "describe", "nodes"), "conditions, taints and room (Allocatable) for one more pod"),
        )
    title = "Move the pods off the failing node" if failing else "Relieve the node that lacks room"
    left = tuple(step for place, name in enumerate(failing) for step in _leave(c, name, first=place == 0))
    return title, (*left, *(step for name in pressed if name not in failing for step in _relieve(c, name)))


def _cordon(c: Context, node: str, still: str) -> Step:
    return change(
        c,
        kubectl(c, "cordon", node),
        f"the node {still} (`{kubectl(c, 'get', 'nodes')}`), and other nodes have room",
        "none for pods that run; new ones go elsewhere",
        kubectl(c, "uncordon", node),
    )


def _relieve(c: Context, node: str) -> tuple[Step, ...]:
    described = kubectl(c, "describe", "node", node)
    return (
        read(described, "which pressure (memory, disk, processes) it is under, and which pods cause it"),
        _cordon(c, node, "is still under pressure"),
    )


def _leave(c: Context, node: str, *, first: bool) -> tuple[Step, ...]:
    alone = "" if first else "the pods of the node before run elsewhere; "
    return (
        _cordon(c, node, "is still not ready"),
        change(
            c,
            kubectl(c, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5m"),
            f"{alone}it is cordoned; a PodDisruptionBudget may hold the drain up",
            "every pod on the node is evicted, other services' too, and what they kept in emptyDir is lost; where the node does "
            "not answer, they stay Terminating until it does or is removed; pods that moved do not come back by themselves",
            kubectl(c, "uncordon", node),
        ),
        read(kubectl(c, "get", "pods", "-o", "wide"), "the pods run on other nodes"),
        read(kubectl(c, "describe", "node", node), "its conditions and events: why it is not ready, and since when"),
    )


def open_way(c: Context, results: Results) -> Plan:
    """What the policies say, whether one pod reaches another, and the earlier policy back."""
    facts = results.facts(policies.Facts)
    names = [name for name in facts.cuts or facts.may_cut or () if is_object(str(name))]
    port = f"port {facts.port}" if facts.port else "the port"
    described = [
        read(kubectl(c, "describe", "networkpolicy", name), f"whether it allows {port} of the service")
        for name in names
    ] or [read(kubectl(c, "describe", "networkpolicies"), "no policy keeps clients or Prometheus from the pods")]
    backs = (
        Step(
            f"Put the earlier version of the policy {' and '.join(names)} back, from where it is kept, or add the service's port to it.",
            "it was changed by mistake: whoever changed it agrees",
            "what the change was to close is open again",
            "apply the newer version again",
            until_healthy(c),
        ),
    )
    return "Open the way to the pods", (*described, *(backs if names else ()), *_connectivity(c, results))


def _connectivity(c: Context, results: Results) -> tuple[Step, ...]:
    """The procedure's ping and curl, from inside: from a pod that is up, or any."""
    up = [name for name in results.facts(down_instances.Facts).get("up") or () if is_pod(name)]
    where = f"pod/{up[0]}" if up else deployment(c)
    known = network.place(c.environment.base_url)
    host = known.host if known else c.service.deployment
    url = f"{c.environment.base_url.rstrip('/') if known else f'http://{host}'}{c.service.health_path}"
    allowed = "you may run commands in pods, and the image has the command"
    allowed += "" if known else "; the Service is named like the deployment"
    return (
        read(
            kubectl(c, "get", "services,endpointslices", "-o", "wide"), "the Service has the pods' addresses behind it"
        ),
        read(
            inside(c, where, "ping", "-c", "3", host),
            "that the name resolves; a Service's own address need not answer",
            allowed,
        ),
        read(inside(c, where, "curl", "-sv", "-m", "5", url), "200 from inside the cluster", allowed),
    )


def let_start(c: Context, results: Results) -> Plan:
    """What it waits for, put there; or back to the revision that needs none of it."""
    facts, missing = results.facts(pod_states.Facts), results.facts(secrets.Facts).get("missing") or ()
    blocked = [name for name in [*(facts.blocked or ()), *(facts.waiting or ())] if is_pod(name)]
    described = [read(kubectl(c, "describe", f"pod/{pod}"), "its events: what it waits for") for pod in blocked[:1]]
    _, rolled = roll_back(c, results) if results.facts(changes.Facts).get("near") else ("", ())
    return "Let the containers start", (*described, *_missing(c, missing), *_image(c, facts.blocked_by), *rolled)


def _missing(c: Context, names: Iterable[JSON]) -> tuple[Step, ...]:
    return tuple(
        Step(
            f"Create {name} in the namespace {c.service.namespace}, the way its like are created (never by hand into a shell's history).",
            f"it is still missing: `{kubectl(c, 'get', *str(name).split('/', 1))}`",
            "a wrong value starts the pods with it",
            kubectl(c, "delete", *str(name).split("/", 1)),
            until_healthy(c),
        )
        for name in names
        if is_object(str(name).partition("/")[2])
    )


def _image(c: Context, reason: JSON) -> tuple[Step, ...]:
    if "Image" not in str(reason):
        return ()
    images = "jsonpath={.spec.template.spec.containers[*].image}"
    return (
        read(
            kubectl(c, "get", deployment(c), "-o", images),
            "the image's name and tag are right, the registry has it, and the pull secret is valid",
        ),
    )


def mend_scrape(c: Context, results: Results) -> Plan:
    """Nothing about the pods: what Prometheus says of its targets, and what they say to it."""
    known = results.facts(down_instances.Facts)
    pod = next((name for name in known.get("now") or known.get("down") or () if is_pod(name)), "")
    port = known.get("port")
    looks = (
        read(
            kubectl(c, "get", "--raw", f"/api/v1/namespaces/{c.service.namespace}/pods/{pod}:{port}/proxy/metrics"),
            "whether the pod gives its metrics, whole and within the scrape's timeout",
            "you may use the API server's proxy to pods",
        ),
        read(kubectl(c, "logs", f"pod/{pod}", *in_container(c), "--since=10m"), "complaints about /metrics"),
    )
    return "Mend the scrape; leave the pods alone", (
        _targets(c),
        *(looks if pod and port else ()),
        read(
            f"Ask Prometheus: scrape_duration_seconds{{{label_matchers(c.service.metric_labels)}}}.",
            "a duration at the scrape's timeout means that collecting metrics takes too long",
        ),
        Step(
            "Mend what lastError names: port, path, TLS or token of the scrape job; its timeout; what slows /metrics down.",
            "the service answers its users",
            "a reload with a wrong configuration is refused; the old one stays",
            "put the former configuration back and reload",
            f"{metric(c.service, 'up')} is 1",
        ),
    )


def _targets(c: Context) -> Step:
    """What Prometheus says of its targets, by its API where its address is known."""
    told = "lastError and lastScrapeDuration of the targets that are down"
    if c.environment.prometheus is None:
        return read("Open Status, Targets in Prometheus.", told)
    address = (c.environment.prometheus.external_url or c.environment.prometheus.url).rstrip("/")
    return read(f"curl -s {quote(f'{address}/api/v1/targets?state=active')}", told)


def _restart_one(c: Context, names: Iterable[JSON], precondition: str) -> Step:
    """The procedure's restart of a crashed pod: the first of them, or a look for one."""
    pod = next((str(name) for name in names if is_pod(name)), "")
    if not pod:
        return read(
            kubectl(c, "get", "pods"),
            f"a pod that does not run; then start it anew: `{kubectl(c, 'delete', 'pod')}` and its name",
            "this run does not know which pod crashed",
        )
    return change(
        c,
        kubectl(c, "delete", "pod", pod),
        precondition,
        "requests under way in it are lost, and its previous log with it: read that first; it may crash again",
        RESTARTED_ANEW,
    )
