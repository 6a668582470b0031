"""The state of the pods: which are ready, and which do not run and why (out of memory, crash, no start, no node)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import split_time
from runbook.alerts.checks.workload import down_instances
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Status, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.objects import Container, Pod, Termination, pods_of
from runbook.text.escape import plain_text
from runbook.text.format import plural
from runbook.text.time import clock_text

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
SLOW_START = 120  # seconds: a container that is still being created after that waits for something
BEFORE_ONSET = 600  # containers that ended this long before the onset may have to do with it
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The deployment's pods by name, and two counts: `all` that have not ended for good, and how many are `ready`.

    `killed` (OOMKilled), `crashed` and `blocked` (cannot start) are None where none was seen and some pods are `gone`:
    how those ended is not known. `well` are ready and did not restart, though Prometheus cannot reach them; `unready`
    are not ready for no reason that Kubernetes gives. `over` are those that ended for good, for the reasons `over_by`.
    `exits` are the ways in which containers crashed. Texts about blocked and unschedulable pods are about the first of
    them, None without any; `nodes` are those of the pods that are down. `container` and `memory_limit` (bytes) are of
    the first container that was killed, None where there is none or it has no limit.
    """

    all: int
    ready: int
    over: tuple[str, ...]
    over_by: str
    gone: tuple[str, ...]
    killed: tuple[str, ...] | None
    crashed: tuple[str, ...] | None
    crashed_revisions: tuple[int, ...]
    exits: str
    blocked: tuple[str, ...] | None
    blocked_by: str | None
    blocked_message: str | None
    blocked_image: str | None
    waiting: tuple[str, ...]
    unschedulable: tuple[str, ...]
    unschedulable_message: str | None
    well: tuple[str, ...]
    unready: tuple[str, ...]
    nodes: Mapping[str, str]
    container: str | None
    memory_limit: float | None


def _queries(c: Context) -> Mapping[str, Query]:
    return {"pods": kubernetes.pods(c.service.namespace, c.service.deployment)}


@dataclass(frozen=True)
class PodGroups:
    """The pods that are down or not ready, and which of them have which problem; `ended` is how each ended, by pod."""

    troubled: tuple[Pod, ...]
    ended: Mapping[str, Termination]
    killed: tuple[Pod, ...]
    crashed: tuple[Pod, ...]
    blocked: tuple[Pod, ...]
    waiting: tuple[Pod, ...]
    unschedulable: tuple[Pod, ...]
    well: tuple[Pod, ...]


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    here, instances = pods_of(answers["pods"]), earlier.facts(down_instances.Facts)
    down = instances.down if instances else ()
    found = _grouped(c, here, down, split_time(c, earlier.onset))
    facts = _facts(here, found, gone=tuple(name for name in down if name not in {pod.name for pod in here}))
    abnormal = len(found.troubled) > len(found.well)
    status: Status = "abnormal" if abnormal else "unknown" if facts.gone else "normal"
    shown = sorted(here, key=lambda pod: (pod not in found.troubled, not pod.over))[:SHOWN]
    return Result(status, _sentence(facts), facts, tables=(_table(c, shown, down),))


def _grouped(c: Context, here: Sequence[Pod], down: Sequence[str], began: float) -> PodGroups:
    """Those that are down for Prometheus or not ready; a pod may be in more than one group."""
    troubled = tuple(pod for pod in here if pod.name in down or not (pod.ready or pod.over))
    ended = {pod.name: end for pod in troubled if (end := _end(c, pod, began))}
    killed = tuple(pod for pod in troubled if pod.name in ended and ended[pod.name].reason == "OOMKilled")
    return PodGroups(
        troubled=troubled,
        ended=ended,
        killed=killed,
        crashed=tuple(pod for pod in troubled if pod.name in ended and pod not in killed),
        blocked=tuple(pod for pod in troubled if _blocking(pod)),
        waiting=tuple(p for p in troubled if _bare(p.reason) in STARTING and c.end - p.created_at > SLOW_START),
        unschedulable=tuple(pod for pod in troubled if pod.unschedulable),
        well=tuple(pod for pod in here if pod.name in down and pod.ready and pod.name not in ended),
    )


def _facts(here: Sequence[Pod], found: PodGroups, gone: tuple[str, ...]) -> Facts:
    living = [pod for pod in here if not pod.over]
    explained = (*found.killed, *found.crashed, *found.blocked, *found.waiting, *found.unschedulable)
    blocker = _blocking(found.blocked[0]) if found.blocked else None
    container = _killed_container(found)
    return Facts(
        all=len(living),
        ready=sum(pod.ready for pod in living),
        over=_names(pod for pod in here if pod.over),
        over_by=", ".join(sorted({pod.reason or pod.phase for pod in here if pod.over})),
        gone=gone,
        killed=_seen(found.killed, gone),
        crashed=_seen(found.crashed, gone),
        crashed_revisions=tuple(sorted({pod.revision for pod in found.crashed if pod.revision is not None})),
        exits=_exits(found.ended[pod.name] for pod in found.crashed),
        blocked=_seen(found.blocked, gone),
        blocked_by=blocker.reason if blocker else None,
        blocked_message=plain_text(blocker.message) if blocker else None,
        blocked_image=blocker.image if blocker else None,
        waiting=_names(found.waiting),
        unschedulable=_names(found.unschedulable),
        unschedulable_message=plain_text(found.unschedulable[0].unschedulable) if found.unschedulable else None,
        well=_names(found.well),
        unready=_names(pod for pod in living if not pod.ready and pod not in explained),
        nodes={pod.name: pod.node for pod in found.troubled if pod.node},
        container=container.name if container else None,
        memory_limit=container.memory_limit if container else None,
    )


def _names(these: Iterable[Pod]) -> tuple[str, ...]:
    return tuple(pod.name for pod in these)


def _seen(these: Sequence[Pod], gone: Sequence[str]) -> tuple[str, ...] | None:
    """Their names; None where there are none here and pods are gone: then it is not known."""
    return None if gone and not these else _names(these)


def _end(c: Context, pod: Pod, began: float) -> Termination | None:
    """How its container last ended, if that was near the onset or later, and a failure."""
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


def _killed_container(found: PodGroups) -> Container | None:
    """The first container that was killed for memory."""
    each = ((pod, one) for pod in found.killed for one in pod.containers)
    return next((one for pod, one in each if one.name == found.ended[pod.name].container), None)


def _table(c: Context, shown: Sequence[Pod], down: Sequence[str]) -> Table:
    """What `kubectl get` and `describe` show of them, without the columns that are empty for all."""
    columns = ("Pod", "Up", "State", "Ready", "Restarts", "Last end", "Node", "Message")
    rows = [_row(c, pod, down) for pod in shown]
    filled = [n for n in range(len(columns)) if any(row[n] not in ("", 0) for row in rows)]
    return Table("pods-now", tuple(columns[n] for n in filled), tuple(tuple(row[n] for n in filled) for row in rows))


def _row(c: Context, pod: Pod, down: Sequence[str]) -> tuple[str | int | float | None, ...]:
    ended = pod.last_termination
    when = f" at {clock_text(ended.finished_at, c.started_at)}" if ended and ended.finished_at else ""
    blocker = _blocking(pod)
    return (
        pod.name,
        "no" if pod.name in down else "",
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
        parts.append(f"{len(facts.unready)} not ready; Kubernetes gives no reason")
    if facts.over:
        parts.append(f"{len(facts.over)} ended for good and still listed ({facts.over_by})")
    if facts.well:
        who = f"{plural(len(facts.well), 'pod')} that Prometheus cannot reach"
        parts.append(f"{who} {'is' if len(facts.well) == 1 else 'are'} ready and did not restart")
    if facts.gone:
        one = len(facts.gone) == 1
        said = "no longer exists, so how it ended" if one else "no longer exist, so how they ended"
        parts.append(f"{plural(len(facts.gone), 'pod')} that went down {said} is not known")
    return f"{'; '.join(parts)}."


CHECK = Check(
    "pod_states",
    "What state are the pods in?",
    Facts,
    _queries,
    _judge,
    requires=("pods",),
    reads=(down_instances.Facts,),
)
