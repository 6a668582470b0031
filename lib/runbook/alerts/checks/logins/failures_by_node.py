"""Do all pods refuse alike? Failed logins by pod and node: a clock or a file is one pod's or one node's own.

The pods' clocks are compared with ours only where the environment allows to look into pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit.series import (
    Floats,
    grid,
    over_window,
    pods,
    ratio,
    series,
    short_window,
    split_time,
)
from runbook.alerts.checks.toolkit.signal import FAILED_LOGINS
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Chart, Query, Result, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.objects import pods_of
from runbook.text.format import duration_text, plural, share_text

FEWEST = 3.0  # attempts in a pod since the onset: fewer say nothing
APART = 3.0  # times the share of the others
SKEW = 5.0  # seconds that a clock may be off: more than the usual leeway forgives


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    pods: TODO
    failing_pods: TODO
    good_pods: TODO
    some: TODO
    alike: TODO
    node: TODO
    one_node: TODO
    skewed: TODO


@dataclass(frozen=True)
class Place:
    """Failed logins of a pod or of a node's pods, per second over time, and their share since the onset."""

    name: str
    node: str
    part: Floats
    whole: Floats
    share: float
    attempts: float


def _queries(c: Context) -> Mapping[str, Query]:
    pod, window = c.service.pod_label, f"{short_window(c)}s"
    asked = {
        "failed by pod": over_window(c, f"sum by ({pod}) ({FAILED_LOGINS.part(c, window)})"),
        "attempts by pod": over_window(c, f"sum by ({pod}) ({FAILED_LOGINS.whole(c, window)})"),
        "pods": kubernetes.pods(c.service.namespace, c.service.deployment),
    }
    if c.environment.kubernetes and c.environment.kubernetes.exec:
        asked["clocks"] = kubernetes.clock(c.service.namespace, c.service.deployment, c.service.container)
    return asked


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    if answers["failed by pod"].completeness == "failed":
        return Result("unknown", f"Not known: {answers['failed by pod'].error}")
    known = {one.name: one.node for one in pods_of(answers["pods"])} if answers["pods"].usable else {}
    found = _pods(c, answers, known, split_time(c, earlier.onset))
    if not found:
        return Result("unknown", "Not known: no pod counted an attempt since the onset.")
    threshold = FAILED_LOGINS.threshold(c.service)
    bad = [one for one in found if one.share > threshold]
    good = [one for one in found if one.share <= threshold / 2]
    apart = bool(bad and good) and min(b.share for b in bad) >= APART * max(g.share for g in good)
    skewed = _skewed(answers.get("clocks"), [one.name for one in bad])
    node = _own_node(found, bad, good) if apart and known else ""
    facts = Facts(
        pods=len(found),
        failing_pods=sorted(one.name for one in bad),
        good_pods=sorted(one.name for one in good),
        some=apart,
        alike=len(bad) == len(found),
        node=node or None,
        one_node=bool(node) if known else None,
        skewed=skewed,
    )
    lines = tuple(
        series(c, name, ratio(part, whole), scale=FAILED_LOGINS.scale) for name, part, whole in _by_node(found)
    )
    limit = threshold * FAILED_LOGINS.scale
    chart = Chart("failed-by-node", "Failed logins by node", FAILED_LOGINS.unit, lines, threshold=limit)
    return Result(
        "abnormal" if apart or skewed else "normal",
        _sentence(facts),
        facts,
        (chart,) if len(lines) > 1 else (),
        (_table(found),),
    )


def _pods(c: Context, answers: Answers, known: Mapping[str, str], began: float) -> list[Place]:
    """The pods with enough attempts since the onset; those that there are, where Kubernetes says so."""
    failed, every, since = pods(c, answers["failed by pod"]), pods(c, answers["attempts by pod"]), grid(c) >= began
    found: list[Place] = []
    for name, whole in every.items():
        attempts = float(np.nansum(whole[since])) * c.step
        if attempts >= FEWEST and (not known or name in known):
            part = np.nan_to_num(failed[name]) if name in failed else np.zeros_like(whole)
            share = float(np.nansum(part[since])) * c.step / attempts
            found.append(Place(name, known.get(name, ""), part, whole, share, attempts))
    return found


def _own_node(found: Sequence[Place], bad: Sequence[Place], good: Sequence[Place]) -> str:
    """The one node whose pods all fail, while those of the others do well; "" where there is none."""
    nodes = {one.node for one in bad}
    apart = len(nodes) == 1 and not nodes & {one.node for one in good} and len(bad) + len(good) == len(found)
    return next(iter(nodes)) if apart else ""


def _skewed(answer: Answer | None, failing: Sequence[str]) -> str | None:
    """The pod whose clock is most off, e.g. "x-1 is 7 min ahead"; "" where those asked are right, a failing one among them."""
    told = kubernetes.clocks_of(answer) if answer is not None and answer.usable else ()
    known = [(one, one.offset) for one in told if one.offset is not None and one.uncertainty is not None]
    off = [(one.pod, offset) for one, offset in known if abs(offset) > SKEW + (one.uncertainty or 0.0)]
    if not off:
        return "" if any(one.pod in failing for one, _ in known) else None
    pod, offset = max(off, key=lambda one: abs(one[1]))
    return f"{pod} is {duration_text(abs(offset))} {'ahead' if offset > 0 else 'behind'}"


def _by_node(found: Sequence[Place]) -> list[tuple[str, Floats, Floats]]:
    nodes = sorted({one.node for one in found if one.node})
    return [
        (node, *(np.nansum([getattr(p, side) for p in found if p.node == node], axis=0) for side in ("part", "whole")))
        for node in nodes
    ]


def _sentence(facts: Facts) -> str:
    bad, every = len(facts.failing_pods), plural(facts.pods, "pod")
    clock = f" The clock of {facts.skewed}." if facts.skewed else ""
    if facts.alike:
        return f"Yes: all {every} refuse more logins than they should.{clock}"
    if not facts.some:
        return f"Yes: none of {every} stands apart from the others.{clock}"
    where = f", all on {facts.node}, where no pod does well" if facts.node else ""
    return f"No: {bad} of {every} {'refuses' if bad == 1 else 'refuse'} logins{where}; the others do well.{clock}"


def _table(found: Sequence[Place]) -> Table:
    rows = sorted(found, key=lambda one: (-round(one.share, 3), one.name))[:12]
    return Table(
        "failed-logins-by-pod",
        ("Pod", "Node", "Attempts", "Failed"),
        tuple((one.name, one.node, round(one.attempts), share_text(round(one.share, 3))) for one in rows),
    )


CHECK = Check(
    "failures_by_node",
    "Do all pods refuse alike?",
    Facts,
    _queries,
    _judge,
    requires=("attempts by pod",),
    optional=("pods",),
)
