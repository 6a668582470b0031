"""More room: higher limits, more pods, less traffic."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.commands import (
    change,
    deployment,
    kubectl,
    number,
    read,
    until_healthy,
    whole,
    worst_pod,
)
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step

MORE = 1.5  # by so much a limit or the number of pods is raised
MIB = 1024 * 1024
_LIMITS = '{range .spec.template.spec.containers[*]}{.name}{": "}{.resources}{"\\n"}{end}'


def more_room(c: Context, results: Results) -> Plan:
    """A higher limit first where memory is short, more pods first where CPU is."""
    facts = results.facts(resource_limits.Facts)
    memory_first = bool(facts.memory_reached or facts.oom_kills)
    tops = [facts.memory_top_pod, facts.cpu_top_pod][:: 1 if memory_first else -1]
    scale, raised = scale_out(c, results), raise_limit(c, facts, "memory" if memory_first else "cpu")
    steps = (raised, scale) if memory_first else (scale, raised)
    return "Give the pods more room", (*worst_pod(c, results, *tops), *steps)


def raise_limit(c: Context, facts: Mapping[str, JSON], what: str) -> Step:
    """More memory or CPU for the one container whose limit is known; otherwise a look at all limits."""
    limit, container = number(facts.get(f"{what}_limit")), facts.container
    words = {"memory": "memory", "cpu": "CPU"}[what]
    if not limit or not container:
        return read(
            kubectl(c, "get", deployment(c), "-o", f"jsonpath={_LIMITS}"),
            f"the limit of {words} of the service's container; where it has one, half as much again gives it room",
            f"this run does not know the limit of {words} of the service's container",
        )
    memory = what == "memory"

    def limited(amount: float) -> str:
        value = f"memory={ceil(amount / MIB)}Mi" if memory else f"cpu={ceil(round(amount * 1000, 3))}m"
        return kubectl(c, "set", "resources", deployment(c), "-c", container, f"--limits={value}")

    now = f"{limit / MIB:,.4g} MiB of memory" if memory else f"{limit:,.4g} CPU cores"
    return change(
        c,
        limited(limit * MORE),
        f"the limit is still {now}; the nodes and the namespace's quota have that much more for every pod",
        "all pods are replaced, one after the other",
        limited(limit),
        f"{words} below its limit, {until_healthy(c)}",
    )


def scale_out(c: Context, results: Results) -> Step:
    """Half as many pods again, refused by Kubernetes where their number has changed since; a look where it is not known."""
    wanted = whole(results.facts(changes.Facts).get("wanted"))
    alone = f"no HorizontalPodAutoscaler sets it: `{kubectl(c, 'get', 'hpa')}`"
    if wanted is None:
        return read(
            kubectl(c, "get", deployment(c)),
            "how many replicas it has (READY); then scale it to half as many again, at least one more",
            f"this run does not know how many replicas are wanted; {alone}",
        )
    more = max(wanted + 1, ceil(wanted * MORE))

    def scale(now: int, then: int) -> str:
        return kubectl(c, "scale", deployment(c), f"--current-replicas={now}", f"--replicas={then}")

    return change(
        c,
        scale(wanted, more),
        f"the deployment still wants {wanted} replicas; {alone}; the nodes have room for more",
        "each new pod opens its own database connections",
        scale(more, wanted),
    )


def shed_or_serve(c: Context, results: Results) -> Plan:
    """More pods, and a limit on what they are asked."""
    return "Serve or shed the additional traffic", (
        scale_out(c, results),
        Step(
            "Switch on rate limiting and caching for the busiest path at the proxy.",
            "the surge comes from few clients or asks for the same pages",
            "some real users are refused",
            "switch it off again",
            "requests/s and failed requests fall",
        ),
    )
