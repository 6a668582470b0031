"""The nodes' health: their conditions and taints, since when, and which of the pods that are down run on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.workload import pod_states
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.nodes import Node, nodes_of
from runbook.text.escape import plain_text
from runbook.text.format import plural
from runbook.text.time import clock_text

USUAL_TAINT = "node.kubernetes.io/"  # how the names of Kubernetes' own taints begin


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many `nodes` have pods of the deployment, and the names of those that are `failing` (not ready), `pressed`
    (ready, under the `pressures`) or `cordoned`, with the pods on them that are down.

    `since` is when the first failing node did (epoch seconds), `reason` why; None where no node fails or none says it.
    """

    nodes: int
    failing: tuple[str, ...]
    since: float | None
    reason: str | None
    down_on_failing: tuple[str, ...]
    pressed: tuple[str, ...]
    pressures: tuple[str, ...]
    down_on_pressed: tuple[str, ...]
    cordoned: tuple[str, ...]


def _queries(c: Context) -> Mapping[str, Query]:
    return {"nodes": kubernetes.nodes(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    every = nodes_of(answers["nodes"])
    pods = earlier.facts(pod_states.Facts)
    where = pods.nodes if pods else {}
    failing = [node for node in every if node.ready is not True]
    pressed = [node for node in every if node.ready and node.pressures]
    facts = Facts(
        nodes=len(every),
        failing=tuple(node.name for node in failing),
        since=min((node.since for node in failing if node.since), default=None),
        reason=plain_text(failing[0].message or failing[0].reason) if failing else None,
        down_on_failing=_down_on(failing, where),
        pressed=tuple(node.name for node in pressed),
        pressures=tuple(sorted({pressure for node in pressed for pressure in node.pressures})),
        down_on_pressed=_down_on(pressed, where),
        cordoned=tuple(node.name for node in every if node.cordoned),
    )
    rows = tuple(_row(c, node, where) for node in every)
    columns = ("Node", "Ready", "Since", "Pods", "Down", "Conditions", "Taints")
    return Result(
        "abnormal" if failing or pressed else "normal",
        _sentence(c, facts),
        facts,
        tables=(Table("nodes", columns, rows),),
    )


def _down_on(these: Sequence[Node], where: Mapping[str, str]) -> tuple[str, ...]:
    """The pods that are down and run on these nodes; `where` is their nodes, by pod."""
    names = {node.name for node in these}
    return tuple(sorted(pod for pod, node in where.items() if node in names))


def _row(c: Context, node: Node, where: Mapping[str, str]) -> tuple[str | int | float | None, ...]:
    ready = {True: "yes", False: "no", None: "unknown"}[node.ready]
    since = node.since if node.since and (node.ready is not True or c.start <= node.since <= c.end) else None
    cordoned = ["cordoned"] if node.cordoned else []
    return (
        node.name,
        ready,
        clock_text(since, c.started_at) if since else "",
        node.pods,
        sum(1 for name in where.values() if name == node.name),
        ", ".join(node.pressures) or plain_text(node.reason if node.ready is not True else "", 60),
        ", ".join([*cordoned, *(taint.removeprefix(USUAL_TAINT) for taint in node.taints)]),
    )


def _sentence(c: Context, facts: Facts) -> str:
    parts = []
    if facts.failing:
        parts.append(_failing(c, facts))
    if facts.pressed:
        parts.append(f"{_are(facts.pressed)} under {', '.join(facts.pressures)}")
    if parts:
        return f"No: {'; '.join(parts)}."
    cordoned = f"; {_are(facts.cordoned)} cordoned" if facts.cordoned else ""
    every = "the one node" if facts.nodes == 1 else f"all {facts.nodes} nodes"
    return f"Yes: {every} with pods of the service {'is' if facts.nodes == 1 else 'are'} ready{cordoned}."


def _failing(c: Context, facts: Facts) -> str:
    """Which nodes are not ready, since when and why, and how many pods on them are down."""
    one, down, reason = len(facts.failing) == 1, len(facts.down_on_failing), (facts.reason or "").rstrip(".")
    not_ready = f"{_are(facts.failing)} not ready"
    if facts.since:
        has = "has" if one else "have"
        not_ready = f"{', '.join(facts.failing)} {has} not been ready since {clock_text(facts.since, c.started_at)}"
    why = f" ({reason})" if reason else ""
    on_it = f"{plural(down, 'pod')} on {'it' if one else 'them'} {'is' if down == 1 else 'are'} down"
    return f"{not_ready}{why}; {on_it}"


def _are(names: Sequence[str]) -> str:
    """Their names with the verb: "node-1 is", "node-1, node-2 are"."""
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


CHECK = Check(
    "nodes", "Are the nodes healthy?", Facts, _queries, _judge, requires=("nodes",), reads=(pod_states.Facts,)
)
