"""Do the pods reach their limits, and is their CPU throttled? Extends the check of resource limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runbook.alerts.checks.toolkit.series import (
    Floats,
    by_label,
    change,
    number,
    over_window,
    pods,
    rate_window,
    series,
    shown_of,
    upper_quartile,
)
from runbook.alerts.checks.workload import resource_limits
from runbook.investigation.definitions import Answers, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Query, Result
from runbook.sources.kubernetes.objects import pods_of
from runbook.sources.prometheus.client import label_matchers, quote
from runbook.text.format import share_text

THROTTLED = 0.25  # a pod throttled in this share of the scheduler's periods has too little CPU
SHOWN = 6
_NO_USE = resource_limits.Facts(
    container=None,
    oom_kills=None,
    memory_top_pod=None,
    memory_used=None,
    memory_limit=None,
    memory_reached=None,
    memory_full_pods=None,
    cpu_top_pod=None,
    cpu_used=None,
    cpu_limit=None,
    cpu_reached=None,
    cpu_full_pods=None,
    memory_bytes=None,
    cpu_cores=None,
    heavier=None,
)


@dataclass(frozen=True, kw_only=True)
class Facts(resource_limits.Facts):
    """What pods use of their limits, and the share (0..1) of its CPU periods in which the worst is throttled.

    `throttled_pods` have too little CPU by that measure. Without cAdvisor, `throttled` and its share are None.
    """

    throttled: bool | None
    throttled_share: float | None
    throttled_pods: int


def _queries(c: Context) -> Mapping[str, Query]:
    """cAdvisor's counters carry the cluster's labels, not the service's.

    The share is taken per container: an idle sidecar must not hide the one beside it.
    """
    named = f"={quote(c.service.container)}" if c.service.container else '!=""'
    ours = f"pod=~{quote(f'{c.service.deployment}-.*')},container{named}"
    labels = f"{label_matchers({'namespace': c.service.namespace})},{ours}"

    def periods(which: str) -> str:
        return f"sum by (pod, container) (rate(container_cpu_cfs_{which}_total{{{labels}}}[{rate_window(c)}]))"

    share = f"max by (pod) ({periods('throttled_periods')} / {periods('periods')})"
    return {**resource_limits.CHECK.queries(c), "throttled": over_window(c, share)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    found = resource_limits.CHECK.judge(c, answers, earlier)
    own = _own(c, answers)
    by_pod = {pod: shares for pod, shares in by_label(answers["throttled"], "pod").items() if pod in own}
    since = {pod: change(c, shares, earlier.onset, upper_quartile).since for pod, shares in by_pod.items()}
    known = {pod: share for pod, share in since.items() if not np.isnan(share)}
    worst = max(known.values(), default=float("nan"))
    throttled = bool(worst >= THROTTLED) if known else None
    facts = Facts(
        **vars(found.facts if isinstance(found.facts, resource_limits.Facts) else _NO_USE),
        throttled=throttled,
        throttled_share=number(worst, 3),
        throttled_pods=sum(1 for share in known.values() if share >= THROTTLED),
    )
    if not known:
        return replace(found, facts=facts)
    head, _, rest = found.sentence.partition(": ")
    clause = (
        f"the worst pod is throttled in {share_text(worst)} of its CPU periods" if worst else "CPU is not throttled"
    )
    return replace(
        found,
        status="abnormal" if throttled else found.status,
        sentence=f"{'Yes' if throttled else head}: {clause}, {rest}",
        facts=facts,
        charts=(*found.charts, _chart(c, by_pod)),
    )


def _own(c: Context, answers: Answers) -> set[str]:
    """The service's pods, past ones too: another deployment's name may begin with this one's."""
    listed = pods_of(answers["pods"]) if answers["pods"].usable else ()
    return {*(pod.name for pod in listed), *pods(c, answers["memory"]), *pods(c, answers["cpu"])}


def _chart(c: Context, by_pod: Mapping[str, Floats]) -> Chart:
    known = sorted((pod for pod in by_pod if not np.isnan(by_pod[pod]).all()), key=lambda pod: -np.nanmax(by_pod[pod]))
    lines = tuple(series(c, pod, by_pod[pod], scale=100) for pod in known[:SHOWN])
    title = shown_of("CPU periods in which a pod was throttled", SHOWN, len(known))
    return Chart("throttling", title, "% of periods", lines)


CHECK = replace(
    resource_limits.CHECK,
    name="cpu_throttling",
    facts=Facts,
    queries=_queries,
    judge=_judge,
    optional=(*resource_limits.CHECK.optional, "throttled"),
)
