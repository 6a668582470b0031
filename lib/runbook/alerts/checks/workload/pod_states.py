"""How are the pods? Which do not run and why: killed for memory, crashed, not started, without a node; and which are well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import split_time
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import JSON, Query, Result, Status, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.objects import Container, Pod, Termination, pods_of
from runbook.text.format import clock_text, plain_text, plural

BLOCKING = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
)
STARTING = ("ContainerCreating", "PodInitializing")
SLOW_START = 120  # seconds: a container that is still being created then waits for something
BEFORE_ONSET = 600  # containers that ended this long before the onset may have to do with it
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    all: TODO
    ready: TODO
    over: TODO
    over_by: TODO
    gone: TODO
    killed: TODO
    crashed: TODO
    crashed_revisions: TODO
    exits: TODO
    blocked: TODO
    blocked_by: TODO
    blocked_message: TODO
    blocked_image: TODO
    waiting: TODO
    unschedulable: TODO
    unschedulable_message: TODO
    well: TODO
    nodes: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    return {"pods": kubernetes.pods(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    here, began = pods_of(answers["pods"]), split_time(c, earlier.onset)
    missed = earlier["instances"].facts.get("down", ()) if "instances" in earlier else ()
    living = [pod for pod in here if not pod.over]
    troubled = [pod for pod in here if pod.name in missed or not (pod.ready or pod.over)]
    ended = {pod.name: end for pod in troubled if (end := _end(c, pod, began))}
    killed = [pod for pod in troubled if pod.name in ended and ended[pod.name].reason == "OOMKilled"]
    crashed = [pod for pod in troubled if pod.name in ended and pod not in killed]
    blocked = [pod for pod in troubled if _blocking(pod)]
    waiting = [pod for pod in troubled if _bare(pod.reason) in STARTING and c.end - pod.created_at > SLOW_START]
    homeless = [pod for pod in troubled if pod.unschedulable]
    well = [pod for pod in here if pod.name in missed and pod.ready and pod.name not in ended]
    gone = [name for name in missed if name not in {pod.name for pod in here}]
    blocker = _blocking(blocked[0]) if blocked else None
    facts = Facts(
        all=len(living),
        ready=sum(pod.ready for pod in living),
        over=[pod.name for pod in here if pod.over],
        over_by=", ".join(sorted({pod.reason or pod.phase for pod in here if pod.over})),
        gone=gone,
        killed=_seen(killed, gone),
        crashed=_seen(crashed, gone),
        crashed_revisions=sorted({pod.revision for pod in crashed if pod.revision is not None}),
        exits=_exits(ended[pod.name] for pod in crashed),
        blocked=_seen(blocked, gone),
        blocked_by=blocker.reason if blocker else None,
        blocked_message=plain_text(blocker.message) if blocker else None,
        blocked_image=blocker.image if blocker else None,
        waiting=[pod.name for pod in waiting],
        unschedulable=[pod.name for pod in homeless],
        unschedulable_message=plain_text(homeless[0].unschedulable) if homeless else None,
        well=[pod.name for pod in well],
        nodes={pod.name: pod.node for pod in troubled if pod.node},
        **_limit(killed, ended),
    )
    abnormal = len(troubled) > len(well)
    explained = [*killed, *crashed, *blocked, *waiting, *homeless]
    facts.unready = [pod.name for pod in living if not pod.ready and pod not in explained]
    shown = sorted(here, key=lambda pod: (pod not in troubled, not pod.over))[:SHOWN]
    status: Status = "abnormal" if abnormal else "unknown" if gone else "normal"
    return Result(status, _sentence(facts), facts, tables=(_table(c, shown, missed),))


def _seen(these: Sequence[Pod], gone: Sequence[str]) -> list[str] | None:
    """Their names; none there is not none at all where pods are gone: then it is not known."""
    return None if gone and not these else [pod.name for pod in these]


def _end(c: Context, pod: Pod, began: float) -> Termination | None:
    """How its container last ended, if that was near the onset or since, and no success."""
    ended = pod.last_termination
    if ended is None or ended.finished_at is None or not began - BEFORE_ONSET <= ended.finished_at <= c.end:
        return None
    return ended if ended.exit_code else None


def _blocking(pod: Pod) -> Container | None:
    """The container that cannot start, and says why."""
    return next((one for one in (*pod.init_containers, *pod.containers) if one.reason in BLOCKING), None)


def _bare(reason: str) -> str:
    return reason.removeprefix("Init:")


def _exits(ended: Iterable[Termination]) -> str:
    """The ways in which containers ended, e.g. "Error, exit code 101"."""
    return " or ".join(sorted({f"{one.reason or 'ended'}, exit code {one.exit_code}" for one in ended}))


def _limit(killed: Sequence[Pod], ended: Mapping[str, Termination]) -> dict[str, JSON]:
    """The container that was killed for memory, and the limit that it met."""
    for pod in killed:
        for one in pod.containers:
            if one.name == ended[pod.name].container:
                return {"container": one.name, "memory_limit": one.memory_limit}
    return {"container": None, "memory_limit": None}


def _table(c: Context, shown: Sequence[Pod], missed: Sequence[str]) -> Table:
    """What `kubectl get` and `describe` say of them, without the columns that say nothing of any."""
    columns = ("Pod", "Up", "State", "Ready", "Restarts", "Last end", "Node", "Message")
    rows = [_row(c, pod, missed) for pod in shown]
    told = [n for n in range(len(columns)) if any(row[n] not in ("", 0) for row in rows)]
    return Table("pods-now", tuple(columns[n] for n in told), tuple(tuple(row[n] for n in told) for row in rows))


def _row(c: Context, pod: Pod, missed: Sequence[str]) -> tuple[str | int | float | None, ...]:
    ended = pod.last_termination
    when = f" at {clock_text(ended.finished_at, c.started_at)}" if ended and ended.finished_at else ""
    blocker = _blocking(pod)
    return (
        pod.name,
        "no" if pod.name in missed else "",
        pod.reason or pod.phase,
        "yes" if pod.ready else "no",
        pod.restarts,
        f"{ended.reason or 'ended'} ({ended.exit_code}){when}" if ended else "",
        pod.node,
        pod.unschedulable or (blocker.message if blocker else ""),
    )


def _sentence(facts: Facts) -> str:
    parts = [f"{facts.ready} of {plural(facts.all, 'pod')} ready"]
    if facts.killed:
        parts.append(f"{len(facts.killed)} killed for using too much memory (OOMKilled)")
    if facts.crashed:
        parts.append(f"{len(facts.crashed)} crashed ({facts.exits})")
    if facts.blocked:
        message = f": {facts.blocked_message}" if facts.blocked_message else ""
        parts.append(f"{len(facts.blocked)} cannot start ({facts.blocked_by}{message})")
    if facts.waiting:
        parts.append(f"{len(facts.waiting)} still being created")
    if facts.unschedulable:
        parts.append(f"{len(facts.unschedulable)} without a node ({facts.unschedulable_message})")
    if facts.unready:
        parts.append(f"{len(facts.unready)} not ready, without a word why")
    if facts.over:
        parts.append(f"{len(facts.over)} over and left behind ({facts.over_by})")
    if facts.well:
        parts.append(f"{len(facts.well)} of those that are down for Prometheus are ready and did not restart")
    if facts.gone:
        parts.append(f"{len(facts.gone)} of those that are down not there any more, and how they ended is not known")
    return f"{'; '.join(parts)}."


CHECK = Check("pod_states", "How are the pods?", Facts, _queries, _judge, requires=("pods",))
