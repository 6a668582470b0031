"""What changed: rollouts and restarts on the time axis, their distance to the onset, and the alert's signal by revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook import model
from runbook.alerts.checks.toolkit.series import (
    Floats,
    grid,
    number,
    over_window,
    pods,
    ratio,
    series,
    short_window,
    split_time,
)
from runbook.alerts.checks.toolkit.signal import Signal
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import JSON, Chart, Query, Result, Status, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.objects import Pod, events_of, pods_of
from runbook.sources.kubernetes.rollouts import Revision, deployment_of
from runbook.sources.kubernetes.rollouts import revisions as revisions_of
from runbook.text.format import clock_text, duration_text, plural

NEAR_SECONDS = 900  # a rollout this long before the onset may be its cause: a gradual one takes minutes
SLACK_SECONDS = 90  # an onset found this much too early still counts as after it
CALM_MINUTES = 5  # that a new revision did well first acquit it
WORSE = 2.0  # times the threshold: what the pods of a revision suffer beyond the others is trouble of their own
RESTART_SECONDS = 600  # restarts are of interest from this long before the onset


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    events: TODO
    rollout: TODO
    revision: TODO
    current_revision: TODO
    current_since: TODO
    previous_revision: TODO
    image: TODO
    wanted: TODO
    paused: TODO
    distance: TODO
    near: TODO
    restarts: TODO
    restarted_pods: TODO
    oom_kills: TODO


def watching(signal: Signal) -> Check:
    """The check for an alert that watches this signal."""
    return Check(
        "changes",
        "What changed?",
        Facts,
        lambda context: _queries(context, signal),
        lambda context, answers, earlier: _judge(context, answers, earlier, signal),
        requires=("deployment",),
        optional=("part by pod", "whole by pod", "events"),
    )


def _queries(c: Context, signal: Signal) -> Mapping[str, Query]:
    pod, window = c.service.pod_label, f"{short_window(c)}s"
    return {
        "deployment": kubernetes.deployment(c.service.namespace, c.service.deployment),
        "pods": kubernetes.pods(c.service.namespace, c.service.deployment),
        "events": kubernetes.events(c.service.namespace, c.service.deployment),
        "part by pod": over_window(c, f"sum by ({pod}) ({signal.part(c, window)})"),
        "whole by pod": over_window(c, f"sum by ({pod}) ({signal.whole(c, window)})"),
    }


def _judge(c: Context, answers: Answers, earlier: Results, signal: Signal) -> Result:
    onset = earlier.onset
    began = split_time(c, onset)
    known = revisions_of(answers["deployment"])
    deployment = deployment_of(answers["deployment"])
    seen = [r for r in known if r.rolled_out_at is not None and c.start <= r.rolled_out_at <= c.end]
    rollout = _suspect(seen, began)
    here = pods_of(answers["pods"]) if answers["pods"].usable else None
    restarts = None if here is None else _restarts(here, began - RESTART_SECONDS, c.end)
    served = _by_revision(c, answers, known)
    current = next((r for r in known if r.current), None)
    suspect = rollout or current
    ended = [p.last_termination for p in restarts or () if p.last_termination]
    facts = Facts(
        events=[
            *({"time": r.rolled_out_at, "label": f"revision {r.number}", "kind": "rollout"} for r in seen),
            *({"time": one.finished_at, "label": "restart", "kind": "restart"} for one in ended),
        ],
        rollout=rollout.rolled_out_at if rollout else None,
        revision=rollout.number if rollout else None,
        current_revision=current.number if current else None,
        current_since=current.rolled_out_at if current else None,
        previous_revision=_previous(known, suspect),
        image=", ".join(suspect.images) if suspect else None,
        wanted=deployment.wanted if deployment else None,
        paused=deployment.paused if deployment else None,
        distance=number(onset - rollout.rolled_out_at, 0) if rollout and rollout.rolled_out_at and onset else None,
        near=_near(rollout, onset, known),
        restarts=None if restarts is None else len(restarts),
        restarted_pods=sorted(p.name for p in restarts or ())[:5],
        oom_kills=None if restarts is None else sum(1 for one in ended if one.reason == "OOMKilled"),
        **_compare(c, served, rollout, onset, signal),
    )
    abnormal = bool(facts.near or restarts or (rollout and onset is None))
    lines = tuple(
        series(c, f"revision {name}", one.share, scale=signal.scale) for name, one in sorted(served.items())[::-1]
    )
    limit = signal.threshold(c.service) * signal.scale if signal.drawn else None
    chart = Chart("by-revision", f"{signal.title} by revision", signal.unit, lines, threshold=limit)
    status: Status = "abnormal" if abnormal else "unknown" if facts.near is None else "normal"
    tables = (*_tables(c, known, here or ()), *_warnings(c, answers))
    return Result(status, _sentence(c, facts), facts, (chart,) if len(lines) > 1 else (), tables)


def _near(rollout: Revision | None, onset: float | None, known: Sequence[Revision]) -> bool | None:
    """Whether the rollout came shortly before the onset; None where either time is not known."""
    if rollout is None:
        return None if not known or any(r.current and r.rolled_out_at is None for r in known) else False
    if rollout.rolled_out_at is None or onset is None:
        return None
    return -SLACK_SECONDS <= onset - rollout.rolled_out_at <= NEAR_SECONDS


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
    """The two sums of the signal by (pod, time) over the window, for some pods; 0 where there is none."""

    part: Floats
    whole: Floats

    @property
    def share(self) -> Floats:
        return ratio(self.part.sum(axis=0), self.whole.sum(axis=0))

    @property
    def serves(self) -> NDArray[np.bool_]:
        """When any of these pods served."""
        return np.asarray(self.whole.sum(axis=0) > 0)


def _beside(part: Floats, whole: Floats, others: Floats) -> tuple[float, float]:
    """The signal of some pods, and what it would be if they were like the others at the same times; NaN without any."""
    total = float(whole.sum())
    if not total:
        return float("nan"), float("nan")
    return float(part.sum()) / total, float((whole * others).sum()) / total


def _by_revision(c: Context, answers: Answers, revisions: Sequence[Revision]) -> dict[int, _Served]:
    """A pod belongs to the revision whose ReplicaSet its name begins with."""
    if answers["part by pod"].completeness == "failed":
        return {}  # nothing known is not none
    part, whole = pods(c, answers["part by pod"]), pods(c, answers["whole by pod"])
    found: dict[int, _Served] = {}
    for revision in revisions:
        own = [pod for pod in whole if pod.startswith(f"{revision.replicaset}-")]
        if own:
            none = np.zeros_like(grid(c))
            found[revision.number] = _Served(
                np.nan_to_num([part.get(pod, none) for pod in own]), np.nan_to_num([whole[pod] for pod in own])
            )
    return found


def _compare(
    c: Context, served: Mapping[int, _Served], rollout: Revision | None, onset: float | None, signal: Signal
) -> dict[str, JSON]:
    """The signal in the pods of the new revision and in the others while both serve; and how long the new ones did well."""
    if rollout is None or rollout.number not in served or onset is None:
        return {"compared": None, "only_new": False, "worse": False, "alike": False, "calm_minutes": 0.0}
    times, new, threshold = grid(c), served[rollout.number], signal.threshold(c.service)
    others = [one for number_, one in served.items() if number_ != rollout.number]
    none = np.zeros((1, len(times)))
    old = _Served(*(np.concatenate([none, *(getattr(one, name) for one in others)]) for name in ("part", "whole")))
    together = new.serves & old.serves
    both = together & (times >= onset)
    if not both.any():  # the others may be gone before an onset that was found late
        both = together & (times >= onset - SLACK_SECONDS) & (np.nan_to_num(new.share) > threshold)
    part, whole, others_then = new.part[:, both], new.whole[:, both], old.share[both]
    new_share, old_share = _beside(part, whole, others_then)
    each = [_beside(*one, others_then) for one in zip(part, whole, strict=True) if one[1].any()]
    worse = old_share > threshold and min(signal.beyond(*one) for one in each) >= WORSE * threshold
    calm = (times < onset - 60) & new.serves & (np.nan_to_num(new.share) < threshold / 2)
    compared = np.isfinite(new_share) and np.isfinite(old_share)
    return {
        "compared": f"its pods {signal.clause(new_share)}, the others {signal.text(old_share)} while both served"
        if compared
        else None,
        "only_new": bool(new_share > threshold and new_share >= 3 * old_share and old_share <= threshold),
        "worse": bool(worse),
        "alike": bool(not worse and old_share > threshold / 2 and old_share * 2 >= new_share),
        "calm_minutes": round(float(calm.sum()) * c.step / 60, 1),
    }


def _sentence(c: Context, facts: Facts) -> str:
    parts = [_rollout(c, facts)]
    if facts.compared:
        parts.append(facts.compared)
    if facts.restarts is None:
        parts.append("restarts are not known")
    elif facts.restarts:
        killed = f", {facts.oom_kills} of them OOMKilled" if facts.oom_kills else ""
        parts.append(f"{plural(facts.restarts, 'pod')} restarted near the onset{killed}")
    else:
        parts.append("none of the pods that are there now has restarted")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _rollout(c: Context, facts: Facts) -> str:
    if facts.rollout is None:
        return "no rollout in the window" if facts.near is False else "when the revision was rolled out is not known"
    when = clock_text(facts.rollout, c.started_at)
    if facts.distance is None:
        return f"revision {facts.revision} reached its first pod at {when}; when it began is not known"
    order = "before" if facts.distance >= 0 else "after"
    return f"revision {facts.revision} reached its first pod at {when}, {duration_text(abs(facts.distance))} {order} the onset"


def _warnings(c: Context, answers: Answers) -> tuple[Table, ...]:
    """What Kubernetes itself complained about, newest first."""
    told = [
        e for e in events_of(answers["events"]) if e.type == "Warning" and e.last_at and c.start <= e.last_at <= c.end
    ]
    newest = sorted(told, key=lambda e: (-(e.last_at or 0.0), e.name))[:10]
    rows = tuple(
        (clock_text(e.last_at or 0.0, c.started_at), f"{e.kind} {e.name}", e.reason, e.count, e.message) for e in newest
    )
    return (Table("warnings", ("Last seen", "Object", "Reason", "Count", "Message"), rows),) if rows else ()


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
