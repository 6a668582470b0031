"""Instances that are down: restart them, give them memory, unblock their network or their start, fix the scrape."""

from __future__ import annotations

from collections.abc import Iterable

from runbook.alerts.checks.toolkit.series import metric
from runbook.alerts.checks.workload import (
    changes,
    down_instances,
    pod_states,
    policies,
    resource_limits,
    secrets,
)
from runbook.alerts.mitigations.capacity import raise_limit_of
from runbook.alerts.mitigations.commands import (
    RESTARTED_ANEW,
    by_hand,
    change,
    deployment,
    in_container,
    inside,
    is_pod,
    kubectl,
    look,
    read,
    until_healthy,
    worst_pod,
)
from runbook.alerts.mitigations.releases import roll_back
from runbook.config.types import is_object
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.sources.probe import network
from runbook.sources.prometheus.client import label_matchers
from runbook.text.shell import command

PEERS = "other pods are ready and serve its requests"


@plan(changes.Facts, pod_states.Facts)
def roll_back_or_restart(c: Context, results: Results) -> Planned:
    """Back to the last healthy revision; where only one pod crashed, a restart may be enough."""
    title, steps = roll_back(c, results)
    history = read(
        kubectl(c, "rollout", "history", deployment(c)),
        "Shows the revisions, in case the one before the suspect is not healthy either.",
    )
    pods = results.facts(pod_states.Facts)
    crashed = (pods.crashed if pods else None) or ()
    return title, (*steps, history, _restart_one(c, crashed, f"it crashed once and not again, or {PEERS}"))


@plan(pod_states.Facts, may_read=(changes.Facts, resource_limits.Facts))
def restart_crashed(c: Context, results: Results) -> Planned:
    """The evidence first, then a restart of the crashed pod; the history of revisions if it crashes again."""
    pods = results.facts(pod_states.Facts)
    crashed = (pods.crashed if pods else None) or ()
    return "Restart the crashed pod", (
        *worst_pod(c, results, *crashed),
        _restart_one(c, crashed, PEERS),
        read(
            kubectl(c, "rollout", "history", deployment(c)),
            "Shows whether anything was rolled out lately. If not, an earlier revision crashes as well.",
            "the pod crashes again",
        ),
    )


@plan(pod_states.Facts, may_read=(changes.Facts, resource_limits.Facts))
def more_memory(c: Context, results: Results) -> Planned:
    """The evidence, then a higher limit; where that is impossible, a restart of a pod that waits for its next start."""
    pods = results.facts(pod_states.Facts)
    killed = (pods.killed if pods else None) or ()
    limits = (pods.container, pods.memory_limit) if pods else (None, None)
    return "Give the killed containers more memory", (
        *worst_pod(c, results, *killed),
        raise_limit_of(c, *limits, "memory"),
        _restart_one(c, killed, f"the limit cannot be raised now, and {PEERS}"),
        look(
            "Find out what needs the memory with the runbook HighMemoryUsage: a leak, a cache, connections or load.",
            "Shows why memory grows. Memory must stay below the limit.",
            "the pods run again",
        ),
    )


@plan(policies.Facts, may_read=(down_instances.Facts,))
def restore_access(c: Context, results: Results) -> Planned:
    """What the policies allow, the earlier policy restored, and whether one pod reaches another."""
    facts = results.facts(policies.Facts)
    names = [name for name in ((facts.cuts or facts.may_cut) if facts else ()) if is_object(name)]
    port = f"port {facts.port}" if facts and facts.port else "the port"
    described = [
        read(kubectl(c, "describe", "networkpolicy", name), f"Shows whether the policy allows {port} of the service.")
        for name in names
    ] or [
        read(
            kubectl(c, "describe", "networkpolicies"),
            "Shows the policies. Check that none blocks clients or Prometheus from the pods.",
        )
    ]
    restored = by_hand(
        c,
        f"Restore the earlier version of the policy {' and '.join(names)} from where it is kept, "
        "or add the service's port to it.",
        precondition="it was changed by mistake, and whoever changed it agrees",
        risk="what the change was meant to close is open again",
        undo="apply the newer version again",
    )
    steps = (*described, *((restored,) if names else ()), *_connectivity(c, results))
    return "Restore network access to the pods", steps


def _connectivity(c: Context, results: Results) -> tuple[Step, ...]:
    """The procedure's ping and curl from inside the cluster: in a pod that is up, else in any."""
    instances = results.facts(down_instances.Facts, optional=True)
    up = [name for name in (instances.up if instances else ()) if is_pod(name)]
    where = f"pod/{up[0]}" if up else deployment(c)
    known = network.place(c.environment.base_url)
    host = known.host if known else c.service.deployment
    url = f"{c.environment.base_url.rstrip('/') if known else f'http://{host}'}{c.service.health_path}"
    allowed = "you may run commands in pods, and the image has the command"
    allowed += "" if known else "; the Service has the same name as the deployment"
    return (
        read(
            kubectl(c, "get", "services,endpointslices", "-o", "wide"),
            "Shows whether the Service has the pods' addresses as endpoints.",
        ),
        read(
            inside(c, where, "ping", "-c", "3", host),
            "Shows whether the name resolves. The Service's own address need not answer a ping.",
            allowed,
        ),
        read(
            inside(c, where, "curl", "-sv", "-m", "5", url),
            "Shows whether the service answers with 200 inside the cluster.",
            allowed,
        ),
    )


@plan(pod_states.Facts, may_read=(secrets.Facts, changes.Facts))
def unblock_start(c: Context, results: Results) -> Planned:
    """What the containers wait for is created, or the deployment goes back to a revision that does not need it."""
    pods, known = results.facts(pod_states.Facts), results.facts(secrets.Facts, optional=True)
    changed = results.facts(changes.Facts, optional=True)
    names = (*(pods.blocked or ()), *pods.waiting) if pods else ()
    described = [
        read(kubectl(c, "describe", f"pod/{name}"), "Shows the pod's events: what it waits for.")
        for name in [name for name in names if is_pod(name)][:1]
    ]
    missing = _missing(c, known.missing if known else ())
    image = _image(c, pods.blocked_by if pods else None)
    _, rolled = roll_back(c, results) if changed and changed.near else ("", ())
    return "Let the containers start", (*described, *missing, *image, *rolled)


def _missing(c: Context, names: Iterable[str]) -> tuple[Step, ...]:
    """Secrets and ConfigMaps to create, each named like "secret/x"."""
    return tuple(
        Step(
            kind="manual",
            text=f"Create {name} in the namespace {c.service.namespace} with your usual tool, "
            "never by a command that stays in a shell's history.",
            precondition=f"it is still missing: `{command(kubectl(c, 'get', *name.split('/', 1)))}`",
            risk="with a wrong value, the pods start and use it",
            undo_argv=kubectl(c, "delete", *name.split("/", 1)),
            watch=until_healthy(c),
        )
        for name in names
        if is_object(name.partition("/")[2])
    )


def _image(c: Context, reason: str | None) -> tuple[Step, ...]:
    if "Image" not in (reason or ""):
        return ()
    images = "jsonpath={.spec.template.spec.containers[*].image}"
    return (
        read(
            kubectl(c, "get", deployment(c), "-o", images),
            "Shows the images. Check that name and tag are right, the registry has them, and the pull secret is valid.",
        ),
    )


@plan(down_instances.Facts)
def fix_scrape(c: Context, results: Results) -> Planned:
    """No change to the pods: why Prometheus cannot scrape its targets, and what they answer."""
    return "Fix the scrape; leave the pods alone", (
        _targets(c),
        *_metrics_of_one(c, results),
        look(
            f"Ask Prometheus: scrape_duration_seconds{{{label_matchers(c.service.metric_labels)}}}.",
            "Shows how long scrapes take. One that takes the whole timeout means that collecting metrics is too slow.",
        ),
        by_hand(
            c,
            "Fix what lastError names: port, path, TLS or token of the scrape job, its timeout, or a slow /metrics.",
            precondition="the service answers its users",
            risk="a reload with a wrong configuration is refused, and the old one stays in use",
            undo="restore the previous configuration and reload",
            watch=f"{metric(c.service, 'up')} is 1",
        ),
    )


def _metrics_of_one(c: Context, results: Results) -> tuple[Step, ...]:
    """The metrics and the log of a pod that is down, where one is known with its port."""
    known = results.facts(down_instances.Facts)
    pod = next((name for name in (known.now or known.down) if is_pod(name)), "") if known else ""
    if known is None or not pod or not known.port:
        return ()
    path = f"/api/v1/namespaces/{c.service.namespace}/pods/{pod}:{known.port}/proxy/metrics"
    return (
        read(
            kubectl(c, "get", "--raw", path),
            "Shows whether the pod returns all its metrics within the scrape's timeout.",
            "you may use the API server's proxy to pods",
        ),
        read(
            kubectl(c, "logs", f"pod/{pod}", *in_container(c), "--since=10m"),
            "Shows whether the pod logs errors about /metrics.",
        ),
    )


def _targets(c: Context) -> Step:
    """What Prometheus reports about its targets, by its API where its address is known."""
    watch = "Shows lastError and lastScrapeDuration of the targets that are down."
    if c.environment.prometheus is None:
        return look("Open Status, Targets in Prometheus.", watch)
    address = (c.environment.prometheus.external_url or c.environment.prometheus.url).rstrip("/")
    return read(("curl", "-s", f"{address}/api/v1/targets?state=active"), watch)


def _restart_one(c: Context, names: Iterable[str], precondition: str) -> Step:
    """The procedure's restart of a crashed pod: the first of them; where none is known, the command that finds one."""
    pod = next((name for name in names if is_pod(name)), "")
    if not pod:
        deleted = command(kubectl(c, "delete", "pod"))
        return read(
            kubectl(c, "get", "pods"),
            f"Shows the pods. Restart one that does not run: `{deleted}` and its name.",
            "this run does not know which pod crashed",
        )
    return change(
        c,
        kubectl(c, "delete", "pod", pod),
        precondition=precondition,
        risk="the requests in it and its previous log are lost: read the log first; it may crash again",
        undo=RESTARTED_ANEW,
    )
