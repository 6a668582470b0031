"""What changed: rollouts and restarts on the time axis, their distance to the onset, the alert's signal by revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook.alerts.checks.toolkit.series import (
    number,
    over_window,
    series,
    short_window,
    split_time,
)
from runbook.alerts.checks.toolkit.signal import Signal
from runbook.alerts.checks.workload.revision_comparison import SLACK_SECONDS, Comparison, Served, by_revision, compare
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Chart, Event, EventFacts, Query, Result, Status, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import Pod, events_of, pods_of
from runbook.sources.kubernetes.rollouts import Revision, deployment_of
from runbook.sources.kubernetes.rollouts import revisions as revisions_of
from runbook.text.format import plural
from runbook.text.time import clock_text, duration_text

NEAR_SECONDS = 900  # a rollout this long before the onset may be its cause: a gradual one takes minutes
CALM_MINUTES = 5  # a new revision that served so long without trouble is acquitted
RESTART_SECONDS = 600  # restarts are of interest from this long before the onset


@dataclass(frozen=True, kw_only=True)
class Facts(Comparison, EventFacts):
    """The rollout that the onset followed, the revision before it, the current one, and what restarted near the onset.

    Times are epoch seconds; `distance` is from rollout to onset in seconds, negative where it came after. `near` says
    whether it came shortly before (None: either time is not known). `wanted` and `paused` are the deployment's;
    `restarts` and `oom_kills` are None where the pods are not known.
    """

    rollout: float | None
    revision: int | None
    current_revision: int | None
    current_since: float | None
    previous_revision: int | None
    image: str | None
    wanted: int | None
    paused: bool | None
    distance: float | None
    near: bool | None
    restarts: int | None
    restarted_pods: tuple[str, ...]
    oom_kills: int | None


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
    served = by_revision(c, answers, known)
    current = next((r for r in known if r.current), None)
    suspect = rollout or current
    ended = [p.last_termination for p in restarts or () if p.last_termination]
    facts = Facts(
        events=(
            *(Event(r.rolled_out_at, f"revision {r.number}", "rollout") for r in seen if r.rolled_out_at is not None),
            *(Event(one.finished_at, "restart", "restart") for one in ended if one.finished_at is not None),
        ),
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
        restarted_pods=tuple(sorted(p.name for p in restarts or ())[:5]),
        oom_kills=None if restarts is None else sum(1 for one in ended if one.reason == "OOMKilled"),
        **vars(compare(c, served, rollout, onset, signal=signal)),
    )
    abnormal = bool(facts.near or restarts or (rollout and onset is None))
    status: Status = "abnormal" if abnormal else "unknown" if facts.near is None else "normal"
    tables = (*_tables(c, known, here or ()), *_warnings(c, answers))
    return Result(status, _sentence(c, facts), facts, _charts(c, served, signal), tables)


def _charts(c: Context, served: Mapping[int, Served], signal: Signal) -> tuple[Chart, ...]:
    """The signal by revision, where more than one served."""
    newest = sorted(served.items(), reverse=True)
    lines = tuple(series(c, f"revision {name}", one.share, scale=signal.scale) for name, one in newest)
    limit = signal.threshold(c.service) * signal.scale if signal.drawn else None
    chart = Chart("by-revision", f"{signal.title} by revision", signal.unit, lines, threshold=limit)
    return (chart,) if len(lines) > 1 else ()


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
        parts.append("none of the current pods has restarted")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _rollout(c: Context, facts: Facts) -> str:
    if facts.rollout is None:
        return "no rollout in the window" if facts.near is False else "when the revision was rolled out is not known"
    when = clock_text(facts.rollout, c.started_at)
    if facts.distance is None:
        return f"revision {facts.revision} reached its first pod at {when}; when the trouble began is not known"
    order = "before" if facts.distance >= 0 else "after"
    apart = duration_text(abs(facts.distance))
    return f"revision {facts.revision} reached its first pod at {when}, {apart} {order} the onset"


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
