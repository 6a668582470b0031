"""A node that fails: move the pods off it; one under pressure: take load off it."""

from __future__ import annotations

from runbook.alerts.checks.workload import nodes
from runbook.alerts.mitigations.commands import change, kubectl, read
from runbook.config.types import is_object
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.text.shell import command


@plan(nodes.Facts)
def leave_node(c: Context, results: Results) -> Planned:
    """No new pods on the failing node, and its pods moved to other nodes."""
    facts = results.facts(nodes.Facts)
    failing = [name for name in (facts.failing if facts else ()) if is_object(name)]
    pressed = [name for name in (facts.pressed if facts else ()) if is_object(name)]
    if not failing and not pressed:
        return "Find the node that fails, and move the pods", (
            read(kubectl(c, "get", "nodes"), "Shows the nodes. Look for one that is not Ready."),
            read(
                kubectl(c, "describe", "nodes"),
                "Shows the nodes' conditions and taints, and whether they have room (Allocatable) for one more pod.",
            ),
        )
    title = "Move the pods off the failing node" if failing else "Take load off the node under pressure"
    left = tuple(step for place, name in enumerate(failing) for step in _leave(c, name, first=place == 0))
    return title, (*left, *(step for name in pressed if name not in failing for step in _relieve(c, name)))


def _cordon(c: Context, node: str, still: str) -> Step:
    shown = command(kubectl(c, "get", "nodes"))
    return change(
        c,
        kubectl(c, "cordon", node),
        precondition=f"the node {still} (`{shown}`), and other nodes have room",
        risk="none for running pods; new pods start on other nodes",
        undo=kubectl(c, "uncordon", node),
    )


def _relieve(c: Context, node: str) -> tuple[Step, ...]:
    described = kubectl(c, "describe", "node", node)
    return (
        read(described, "Shows which pressure the node is under (memory, disk, processes), and which pods cause it."),
        _cordon(c, node, "is still under pressure"),
    )


def _leave(c: Context, node: str, *, first: bool) -> tuple[Step, ...]:
    moved = "" if first else "the pods of the previous node run on other nodes; "
    return (
        _cordon(c, node, "is still not ready"),
        change(
            c,
            kubectl(c, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5m"),
            precondition=f"{moved}it is cordoned; a PodDisruptionBudget may block the drain",
            risk="every pod on the node is evicted, those of other services too, and loses its emptyDir data; "
            "where the node does not answer, its pods stay Terminating until it does or is removed; "
            "moved pods do not come back by themselves",
            undo=kubectl(c, "uncordon", node),
        ),
        read(kubectl(c, "get", "pods", "-o", "wide"), "Shows the pods and their nodes. They must run on other nodes."),
        read(
            kubectl(c, "describe", "node", node),
            "Shows the node's conditions and events: why it is not ready, and since when.",
        ),
    )
