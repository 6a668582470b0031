"""What changed: rollouts and restarts on the time axis, their distance to the onset, and errors by revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks.series import (
    FAILED,
    WINDOW,
    Floats,
    grid,
    metric,
    number,
    onset_of,
    over_window,
    pods,
    ratio,
    series,
)
from runbook.model import JSON, Chart, Query, Result, Table
from runbook.sources import kubernetes
from runbook.sources.kubernetes_objects import Pod, pods_of
from runbook.sources.kubernetes_rollouts import Revision
from runbook.sources.kubernetes_rollouts import revisions as revisions_of
from runbook.wording import clock_text, duration_text, share_text

NEAR_SECONDS = 900  # a rollout this long before the onset may be its cause: a gradual one takes minutes
SLACK_SECONDS = 90  # an onset found this much too early still counts as after it
RESTART_SECONDS = 600  # restarts are of interest from this long before the onset


def _queries(c: Context) -> Mapping[str, Query]:
    pod = c.service.pod_label
    return {
        "deployment": kubernetes.deployment(c.service.namespace, c.service.deployment),
        "pods": kubernetes.pods(c.service.namespace, c.service.deployment),
        "events": kubernetes.events(c.service.namespace, c.service.deployment),
        "failed by pod": over_window(
            c, f"sum by ({pod}) (rate({metric(c.service, 'http_requests_total', FAILED)}[{WINDOW}]))"
        ),
        "all by pod": over_window(c, f"sum by ({pod}) (rate({metric(c.service, 'http_requests_total')}[{WINDOW}]))"),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    onset = onset_of(earlier)
    known = revisions_of(answers["deployment"])
    seen = [r for r in known if r.rolled_out_at is not None and c.start <= r.rolled_out_at <= c.end]
    rollout = _suspect(seen, onset if onset is not None else c.started_at)
    here = pods_of(answers["pods"]) if answers["pods"].usable else ()
    restarts = _restarts(here, (onset if onset is not None else c.started_at) - RESTART_SECONDS, c.end)
    served = _by_revision(c, answers, known)
    current = next((r for r in known if r.current), None)
    facts: dict[str, JSON] = {
        "events": [
            *({"time": r.rolled_out_at, "label": f"revision {r.number}", "kind": "rollout"} for r in seen),
            *(
                {"time": p.last_termination.finished_at, "label": "restart", "kind": "restart"}
                for p in restarts
                if p.last_termination
            ),
        ],
        "rollout": rollout.rolled_out_at if rollout else None,
        "revision": rollout.number if rollout else None,
        "current_revision": current.number if current else None,
        "previous_revision": _previous(known, rollout or current),
        "image": ", ".join(changed.images) if (changed := rollout or current) else None,
        "distance": number(onset - rollout.rolled_out_at, 0)
        if rollout and rollout.rolled_out_at and onset is not None
        else None,
        "near": bool(
            rollout
            and rollout.rolled_out_at
            and onset is not None
            and -SLACK_SECONDS <= onset - rollout.rolled_out_at <= NEAR_SECONDS
        ),
        "replicas": current.replicas if current else None,
        "restarts": len(restarts),
        "restarted_pods": sorted(p.name for p in restarts)[:5],
        "oom_kills": sum(1 for p in restarts if p.last_termination and p.last_termination.reason == "OOMKilled"),
        **_compare(c, served, rollout, onset),
    }
    abnormal = facts["near"] or bool(restarts)
    lines = tuple(series(c, f"revision {name}", one.share, scale=100) for name, one in sorted(served.items())[::-1])
    charts = (
        (
            Chart(
                "failed-by-revision",
                "Failed requests by revision",
                "% of requests",
                lines,
                threshold=c.service.thresholds.error_ratio * 100,
            ),
        )
        if len(lines) > 1
        else ()
    )
    return Result(
        "abnormal" if abnormal else "normal", _sentence(c, facts, seen), facts, charts, _tables(c, known, here)
    )


def _suspect(seen: Sequence[Revision], onset: float) -> Revision | None:
    """The rollout that the onset followed most closely; otherwise the newest one in the window."""
    before = [r for r in seen if r.rolled_out_at is not None and r.rolled_out_at <= onset + SLACK_SECONDS]
    return max(before or seen, key=lambda r: r.rolled_out_at or 0.0, default=None)


def _previous(revisions: Sequence[Revision], now: Revision | None) -> int | None:
    older = [r.number for r in revisions if now is not None and r.number < now.number]
    return max(older, default=None)


def _restarts(here: Sequence[Pod], start: float, end: float) -> list[Pod]:
    return [
        p
        for p in here
        if p.last_termination and p.last_termination.finished_at and start <= p.last_termination.finished_at <= end
    ]


@dataclass(frozen=True)
class _Served:
    """Requests per second of one revision's pods over the window, failed and all."""

    failed: Floats
    every: Floats

    @property
    def share(self) -> Floats:
        return ratio(self.failed, self.every)

    def share_in(self, times: NDArray[np.bool_]) -> float:
        """The share of failed requests over these times; NaN without requests."""
        whole = float(np.nansum(self.every[times]))
        return float(np.nansum(self.failed[times])) / whole if whole else float("nan")


def _by_revision(c: Context, answers: Answers, revisions: Sequence[Revision]) -> dict[int, _Served]:
    """A pod belongs to the revision whose ReplicaSet its name begins with."""
    failed, every = pods(c, answers["failed by pod"]), pods(c, answers["all by pod"])
    found: dict[int, _Served] = {}
    for revision in revisions:
        own = [pod for pod in every if pod.startswith(f"{revision.replicaset}-")]
        if own:
            none = np.zeros_like(every[own[0]])
            found[revision.number] = _Served(
                np.nansum([none, *(failed[pod] for pod in own if pod in failed)], axis=0),
                np.nansum([every[pod] for pod in own], axis=0),
            )
    return found


def _compare(
    c: Context, served: Mapping[int, _Served], rollout: Revision | None, onset: float | None
) -> dict[str, JSON]:
    """How much of its requests the new revision fails, and the others while both serve; and how long it did well."""
    if rollout is None or rollout.number not in served or onset is None:
        return {"new_share": None, "old_share": None, "only_new": False, "alike": False, "calm_minutes": 0.0}
    times, new, threshold = grid(c), served[rollout.number], c.service.thresholds.error_ratio
    others = [one for number_, one in served.items() if number_ != rollout.number]
    old = _Served(
        *(np.sum([getattr(o, name) for o in others] or [np.zeros_like(times)], axis=0) for name in ("failed", "every"))
    )
    both = (times >= onset) & (new.every > 0) & (old.every > 0)
    calm = (times < onset - 60) & (new.every > 0) & (np.nan_to_num(new.share) < threshold / 2)
    new_share, old_share = new.share_in(both), old.share_in(both)
    return {
        "new_share": number(new_share, 4),
        "old_share": number(old_share, 4),
        "only_new": bool(new_share > threshold and new_share >= 3 * old_share),
        "alike": bool(old_share > threshold / 2 and old_share * 2 >= new_share),
        "calm_minutes": round(float(calm.sum()) * c.step / 60, 1),
    }


def _sentence(c: Context, facts: Mapping[str, JSON], seen: Sequence[Revision]) -> str:
    parts: list[str] = []
    if facts["rollout"] is None:
        parts.append("no rollout in the window")
    elif facts["distance"] is None:
        parts.append(f"revision {facts['revision']} rolled out at {clock_text(facts['rollout'])}")
    else:
        order = "before" if facts["distance"] >= 0 else "after"
        parts.append(
            f"revision {facts['revision']} reached its first pod at {clock_text(facts['rollout'])}, {duration_text(abs(facts['distance']))} {order} the onset"
        )
    if facts["new_share"] is not None and facts["old_share"] is not None:
        parts.append(
            f"its pods fail {share_text(facts['new_share'])} of requests, the others {share_text(facts['old_share'])}"
        )
    kills = f", {facts['oom_kills']} of them OOMKilled" if facts["oom_kills"] else ""
    parts.append(
        f"{facts['restarts']} pods restarted near the onset{kills}" if facts["restarts"] else "no pod restarted"
    )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _tables(c: Context, revisions: Sequence[Revision], here: Sequence[Pod]) -> tuple[Table, ...]:
    newest = sorted(revisions, key=lambda r: -r.number)[:5]
    history = Table(
        "revisions",
        ("Revision", "Rolled out", "Image", "Pods", "Change cause"),
        tuple(
            (
                r.number,
                clock_text(r.rolled_out_at, c.started_at) if r.rolled_out_at else "",
                ", ".join(r.images),
                r.replicas,
                r.change_cause or "",
            )
            for r in newest
        ),
    )
    rows = tuple(
        (p.name, p.node or "", p.reason or p.phase, p.restarts, _termination(c, p))
        for p in sorted(here, key=lambda p: (-p.restarts, p.name))[:12]
    )
    return (
        (history, Table("pods", ("Pod", "Node", "State", "Restarts", "Last termination"), rows)) if rows else (history,)
    )


def _termination(c: Context, pod: Pod) -> str:
    ended = pod.last_termination
    if ended is None:
        return ""
    when = f" at {clock_text(ended.finished_at, c.started_at)}" if ended.finished_at else ""
    return f"{ended.reason or 'ended'} ({ended.exit_code}){when}"


CHECK = Check(
    "changes", "What changed?", _queries, _judge, needs=("deployment",), optional=("failed by pod", "all by pod")
)
