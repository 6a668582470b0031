"""Do all pods refuse logins at the same rate? Failed logins by pod and node.

A wrong clock or a wrong file affects one pod or one node alone. The pods' clocks are compared with ours only where
the environment allows exec into pods.
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
from runbook.sources.kubernetes import containers
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import pods_of
from runbook.text.format import plural, share_text
from runbook.text.time import duration_text

FEWEST = 3.0  # attempts in a pod since the onset: fewer prove nothing
DISTINCT = 3.0  # times the share of the others
SKEW = 5.0  # seconds that a clock may be off: more exceeds the usual leeway


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many pods had enough login attempts since the onset, and which of them fail (above the threshold) or are
    healthy.

    `some`: only some pods fail, far more than the others; `alike`: all fail. `node` is the one whose pods all fail
    while all others are healthy, `one_node` whether there is one (None: the pods' nodes are not known). `skewed` names
    the pod whose clock is most off, and by how much ("": the clocks are right; None: not known).
    """

    pods: int
    failing_pods: tuple[str, ...]
    good_pods: tuple[str, ...]
    some: bool
    alike: bool
    node: str | None
    one_node: bool | None
    skewed: str | None


@dataclass(frozen=True)
class PodLogins:
    """One pod: failed and all login attempts per second over time; since the onset, the share of failed ones and the
    number of attempts.
    """

    name: str
    node: str
    failed: Floats
    total: Floats
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
        return Result("unknown", "Not known: no pod counted enough login attempts since the onset.")
    threshold = FAILED_LOGINS.threshold(c.service)
    bad = [one for one in found if one.share > threshold]
    good = [one for one in found if one.share <= threshold / 2]
    some = bool(bad and good) and min(b.share for b in bad) >= DISTINCT * max(g.share for g in good)
    skewed = _skewed(answers.get("clocks"), [one.name for one in bad])
    node = _own_node(found, bad, good) if some and known else ""
    facts = Facts(
        pods=len(found),
        failing_pods=tuple(sorted(one.name for one in bad)),
        good_pods=tuple(sorted(one.name for one in good)),
        some=some,
        alike=len(bad) == len(found),
        node=node or None,
        one_node=bool(node) if known else None,
        skewed=skewed,
    )
    lines = tuple(
        series(c, node, ratio(failed, total), scale=FAILED_LOGINS.scale) for node, failed, total in _by_node(found)
    )
    limit = threshold * FAILED_LOGINS.scale
    chart = Chart("failed-by-node", "Failed logins by node", FAILED_LOGINS.unit, lines, threshold=limit)
    return Result(
        "abnormal" if some or skewed else "normal",
        _sentence(facts),
        facts,
        (chart,) if len(lines) > 1 else (),
        (_table(found),),
    )


def _pods(c: Context, answers: Answers, known: Mapping[str, str], began: float) -> list[PodLogins]:
    """The pods with enough attempts since the onset; only those that still exist, where Kubernetes lists them."""
    failed_by_pod, since = pods(c, answers["failed by pod"]), grid(c) >= began
    found: list[PodLogins] = []
    for name, total in pods(c, answers["attempts by pod"]).items():
        attempts = float(np.nansum(total[since])) * c.step
        if attempts >= FEWEST and (not known or name in known):
            failed = np.nan_to_num(failed_by_pod[name]) if name in failed_by_pod else np.zeros_like(total)
            share = float(np.nansum(failed[since])) * c.step / attempts
            found.append(PodLogins(name, known.get(name, ""), failed, total, share, attempts))
    return found


def _own_node(found: Sequence[PodLogins], bad: Sequence[PodLogins], good: Sequence[PodLogins]) -> str:
    """The one node whose pods all fail while all pods of the others are healthy; "" where there is none."""
    nodes = {one.node for one in bad}
    alone = len(nodes) == 1 and not nodes & {one.node for one in good} and len(bad) + len(good) == len(found)
    return next(iter(nodes)) if alone else ""


def _skewed(answer: Answer | None, failing: Sequence[str]) -> str | None:
    """The pod whose clock is most off, e.g. "x-1 is 7 min ahead"; "" where the clocks read are right, one of a failing
    pod among them; None where none of a failing pod was read.
    """
    clocks = containers.clocks_of(answer) if answer is not None and answer.usable else ()
    known = [(one, one.offset) for one in clocks if one.offset is not None and one.uncertainty is not None]
    off = [(one.pod, offset) for one, offset in known if abs(offset) > SKEW + (one.uncertainty or 0.0)]
    if not off:
        return "" if any(one.pod in failing for one, _ in known) else None
    pod, offset = max(off, key=lambda one: abs(one[1]))
    return f"{pod} is {duration_text(abs(offset))} {'ahead' if offset > 0 else 'behind'}"


def _by_node(found: Sequence[PodLogins]) -> list[tuple[str, Floats, Floats]]:
    """Failed and all attempts per second of each node's pods."""
    nodes = {node: [one for one in found if one.node == node] for node in sorted({one.node for one in found}) if node}
    return [
        (node, np.nansum([one.failed for one in here], axis=0), np.nansum([one.total for one in here], axis=0))
        for node, here in nodes.items()
    ]


def _sentence(facts: Facts) -> str:
    bad, pods_ = len(facts.failing_pods), plural(facts.pods, "pod")
    clock = f" The clock of {facts.skewed}." if facts.skewed else ""
    if facts.alike:
        all_of_them = "the only pod refuses" if facts.pods == 1 else f"all {facts.pods} refuse"
        return f"Yes: {all_of_them} more than usual.{clock}"
    if not facts.some:
        return f"Yes: none of {pods_} stands out.{clock}"
    where = f", all on {facts.node}, which has no healthy pod" if facts.node else ""
    return f"No: {bad} of {pods_} {'refuses' if bad == 1 else 'refuse'} logins{where}; the others are healthy.{clock}"


def _table(found: Sequence[PodLogins]) -> Table:
    rows = sorted(found, key=lambda one: (-round(one.share, 3), one.name))[:12]
    return Table(
        "failed-logins-by-pod",
        ("Pod", "Node", "Attempts", "Failed (% of this pod's attempts)"),
        tuple((one.name, one.node, round(one.attempts), share_text(round(one.share, 3))) for one in rows),
    )


CHECK = Check(
    "failures_by_node",
    "Do all pods refuse logins at the same rate?",
    Facts,
    _queries,
    _judge,
    requires=("attempts by pod",),
    optional=("pods",),
)
