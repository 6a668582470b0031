"""Are the nodes well? Their conditions and taints, since when, and which of the pods that are down lie on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.nodes import Node, nodes_of
from runbook.text.format import clock_text, plain_text, plural

USUAL_TAINT = "node.kubernetes.io/"  # what Kubernetes' own taints begin with


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    nodes: TODO
    failing: TODO
    since: TODO
    reason: TODO
    down_on_failing: TODO
    pressed: TODO
    pressures: TODO
    down_on_pressed: TODO
    cordoned: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    return {"nodes": kubernetes.nodes(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    every = nodes_of(answers["nodes"])
    where: Mapping[str, str] = earlier["pods"].facts.get("nodes", {}) if "pods" in earlier else {}
    failing = [node for node in every if node.ready is not True]
    pressed = [node for node in every if node.ready and node.pressures]
    bad = {node.name for node in failing}
    facts = Facts(
        nodes=len(every),
        failing=[node.name for node in failing],
        since=min((node.since for node in failing if node.since), default=None),
        reason=plain_text(failing[0].message or failing[0].reason) if failing else None,
        down_on_failing=sorted(pod for pod, node in where.items() if node in bad),
        pressed=[node.name for node in pressed],
        pressures=sorted({pressure for node in pressed for pressure in node.pressures}),
        down_on_pressed=sorted(pod for pod, node in where.items() if node in {one.name for one in pressed}),
        cordoned=[node.name for node in every if node.cordoned],
    )
    rows = tuple(_row(c, node, where) for node in every)
    columns = ("Node", "Ready", "Since", "Pods", "Down", "Conditions", "Taints")
    return Result(
        "abnormal" if failing or pressed else "normal",
        _sentence(c, facts),
        facts,
        tables=(Table("nodes", columns, rows),),
    )


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
        since = f" since {clock_text(facts.since, c.started_at)}" if facts.since else ""
        parts.append(
            f"{_named(facts.failing)} not ready{since} ({facts.reason.rstrip('.')}), "
            f"with {plural(len(facts.down_on_failing), 'pod')} that are down"
        )
    if facts.pressed:
        parts.append(f"{_named(facts.pressed)} under {', '.join(facts.pressures)}")
    if parts:
        return f"No: {'; '.join(parts)}."
    cordoned = f"; {_named(facts.cordoned)} cordoned" if facts.cordoned else ""
    return f"Yes: all of {plural(facts.nodes, 'node')} under the pods ready{cordoned}."


def _named(names: Sequence[str]) -> str:
    return ", ".join(names)


CHECK = Check("nodes", "Are the nodes well?", Facts, _queries, _judge, requires=("nodes",))
