"""More room: higher limits, more pods, less traffic."""

from __future__ import annotations

from math import ceil
from typing import Literal

from runbook.alerts.checks.toolkit.memory_growth import MIB
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.commands import (
    Command,
    by_hand,
    change,
    deployment,
    kubectl,
    number,
    read,
    until_healthy,
    whole,
    worst_pod,
)
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.text.shell import command

MORE = 1.5  # by so much a limit or the number of pods is raised
Resource = Literal["memory", "cpu"]
_LIMITS = '{range .spec.template.spec.containers[*]}{.name}{": "}{.resources}{"\\n"}{end}'


@plan(resource_limits.Facts, may_read=(changes.Facts,))
def more_room(c: Context, results: Results) -> Planned:
    """A higher limit first where memory is short, more pods first where CPU is."""
    facts = results.facts(resource_limits.Facts)
    memory_first = facts is not None and bool(facts.memory_reached or facts.oom_kills)
    tops = () if facts is None else (facts.memory_top_pod, facts.cpu_top_pod)[:: 1 if memory_first else -1]
    scale, raised = scale_out(c, results), raise_limit(c, facts, "memory" if memory_first else "cpu")
    steps = (raised, scale) if memory_first else (scale, raised)
    return "Give the pods more room", (*worst_pod(c, results, *tops), *steps)


def raise_limit(c: Context, facts: resource_limits.Facts | None, what: Resource) -> Step:
    """More memory or CPU for the one container whose limit is known; otherwise a look at all limits."""
    known = (facts.memory_limit if what == "memory" else facts.cpu_limit) if facts else None
    return raise_limit_of(c, facts.container if facts else None, known, what)


def raise_limit_of(c: Context, container: str | None, known: float | None, what: Resource) -> Step:
    """The same for a container and its limit (bytes or cores), as far as they are known."""
    limit = number(known)
    words = {"memory": "memory", "cpu": "CPU"}[what]
    if not limit or not container:
        return read(
            kubectl(c, "get", deployment(c), "-o", f"jsonpath={_LIMITS}"),
            f"Shows the {words} limit of each container. Half as much again gives the service room.",
            f"this run does not know the {words} limit of the service's container",
        )
    memory = what == "memory"

    def limited(amount: float) -> Command:
        value = f"memory={ceil(amount / MIB)}Mi" if memory else f"cpu={ceil(round(amount * 1000, 3))}m"
        return kubectl(c, "set", "resources", deployment(c), "-c", container, f"--limits={value}")

    now = f"{limit / MIB:,.4g} MiB of memory" if memory else f"{limit:,.4g} CPU cores"
    return change(
        c,
        limited(limit * MORE),
        precondition=f"the limit is still {now}; the nodes and the namespace's quota have that much more for every pod",
        risk="all pods are replaced, one after the other",
        undo=limited(limit),
        watch=f"{words[0].upper()}{words[1:]} stays below its limit. {until_healthy(c)}",
    )


def scale_out(c: Context, results: Results) -> Step:
    """Half as many pods again, refused by Kubernetes where their number has changed since; a look where unknown."""
    found = results.facts(changes.Facts, optional=True)
    wanted = whole(found.wanted if found else None)
    alone = f"no HorizontalPodAutoscaler sets it: `{command(kubectl(c, 'get', 'hpa'))}`"
    if wanted is None:
        return read(
            kubectl(c, "get", deployment(c)),
            "Shows how many replicas it has (READY). Then scale it to half as many again, at least one more.",
            f"this run does not know how many replicas are wanted; {alone}",
        )
    more = max(wanted + 1, ceil(wanted * MORE))

    def scale(now: int, then: int) -> Command:
        return kubectl(c, "scale", deployment(c), f"--current-replicas={now}", f"--replicas={then}")

    return change(
        c,
        scale(wanted, more),
        precondition=f"the deployment still wants {wanted} replicas; {alone}; the nodes have room for more",
        risk="each new pod opens its own database connections",
        undo=scale(more, wanted),
    )


@plan(may_read=(changes.Facts,))
def shed_or_serve(c: Context, results: Results) -> Planned:
    """More pods, and a limit on what they are asked."""
    return "Serve or shed the additional traffic", (
        scale_out(c, results),
        by_hand(
            c,
            "Switch on rate limiting and caching for the busiest path at the proxy.",
            precondition="the surge comes from few clients or asks for the same pages",
            risk="some real users are refused",
            undo="switch it off again",
            watch="requests/s and failed requests fall",
        ),
    )
