"""InstanceDown: what Prometheus, Kubernetes and the logs answer, and what its checks make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from runbook.alerts.checks.workload import (
    changes,
    down_instances,
    instances_down_count,
    nodes,
    pod_states,
    policies,
    previous_logs,
    scrape_only,
    secrets,
)
from runbook.alerts.instance_down import ALERT
from runbook.clock import Frozen
from runbook.investigation import investigator
from runbook.investigation.definitions import Check, Context
from runbook.investigation.investigator import Investigator
from runbook.investigation.result import Investigation
from runbook.investigation.results import Results, check_name
from runbook.model import JSON, Answer, Facts, Query, Result
from tests import fakes
from tests.fakes import ONSET, Scripted, facts, line

Answering = Callable[[Query], Answer]
Words = tuple[str, ...]
Told = Mapping[Words, Answering]
DAY = 86_400
F = TypeVar("F", bound=Facts)
DOWN: Words = ("bool 0",)
COUNT: Words = ("count(up",)
MISSED: Words = ("sum(1 - avg",)
UP: Words = ("max by (pod, instance)",)
FAILED: Words = ("http_requests_total", "5..")
TOTAL: Words = ("sum(rate", "http_requests_total")
PODS: Words = ("get pods -o wide | grep",)
LAST: Words = ("--previous",)
DEPLOYMENT: Words = ("rollout history",)
FIRING = f'"gte":{round((ONSET + 15) * 1000)}'
USUAL: Told = {
    COUNT: line(lambda t: 6.0),
    FAILED: line(lambda t: 0.1),
    TOTAL: line(lambda t: 60.0),
}


def context(**changes: object) -> Context:
    return fakes.context(**{"alert": ALERT.name, "for_seconds": 60, "started_at": ONSET + 75, **changes})


def since(before: float, after: float, at: float = ONSET) -> Callable[[float], float]:
    """A value that steps at a time; at the same hours of other days it does not."""
    return lambda t: after if at <= t < at + DAY else before


def until(end: float, value: float) -> Answering:
    """A level over the last minute that ends a minute after this time; the same hours of other days are complete."""

    def answer(query: Query) -> Answer:
        whole = line(lambda t: value)(query)
        found = whole.data["result"][0]
        kept = [pair for pair in found["values"] if pair[0] < end + 60 or query.params["end"] < ONSET]
        return replace(whole, data={"resultType": "matrix", "result": [{**found, "values": kept}]})

    return answer


def ups(**rows: Callable[[float], float]) -> Answering:
    """`up` of these pods, each at an address of its own; NaN where there is no such target."""

    def answer(query: Query) -> Answer:
        found = []
        for number, (name, value) in enumerate(rows.items()):
            one = line(value, pod=name, instance=f"10.244.0.{number}:8080")(query).data["result"][0]
            found.append({**one, "values": [pair for pair in one["values"] if pair[1] != "nan"]})
        return Answer(query, "complete", {"resultType": "matrix", "result": found})

    return answer


def given(data: JSON, completeness: str = "complete") -> Answering:
    return lambda query: Answer(query, completeness, data)  # type: ignore[arg-type]


def time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    name: str,
    *,
    ready: bool = True,
    ended: tuple[str, int, float] | None = None,
    waiting: tuple[str, str] | None = None,
    node: str = "node-1",
    conditions: Sequence[JSON] = (),
    replicaset: str = "web-14",
    over: str = "",
) -> JSON:
    """A pod as the API returns it; `ended`: reason, exit code and time of its last container; `over`: why it failed."""
    last = {}
    if ended:
        reason, code, at = ended
        last = {"terminated": {"reason": reason, "exitCode": code, "finishedAt": time(at)}}
    state = {"waiting": {"reason": waiting[0], "message": waiting[1]}} if waiting else {"running": {}}
    told = {"name": "app", "ready": ready, "restartCount": 3 if ended else 0, "state": state, "lastState": last}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": time(ONSET - 3600),
            "ownerReferences": [{"kind": "ReplicaSet", "name": replicaset}],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "app", "image": "shop:1.4", "resources": {"limits": {"memory": "512Mi"}}}],
        },
        "status": {
            **({"phase": "Failed", "reason": over} if over else {"phase": "Running"}),
            "conditions": [{"type": "Ready", "status": str(ready)}, *conditions],
            "containerStatuses": [told],
        },
    }


def cluster(*these: JSON) -> Answering:
    sets = [
        {"metadata": {"name": f"web-{n}", "annotations": {"deployment.kubernetes.io/revision": str(n)}}}
        for n in (13, 14)
    ]
    return given({"pods": list(these), "replicasets": sets})


def judged(check: Check, told: Told, *earlier: Facts, about: Context | None = None) -> Result:
    """A check on these answers, after others that found these facts; the first one found the onset."""
    about = about or context()
    source = Scripted(told)
    answers = {name: source.ask(query) for name, query in check.queries(about).items()}
    return investigator.judge(
        check, about, answers, results_of(facts(instances_down_count.Facts, onset=ONSET), *earlier)
    )


def results_of(*these: Facts) -> Results:
    return Results({check_name(type(one)): Result("abnormal", "", one) for one in these})


def of(kind: type[F], result: Result) -> F:
    """The facts of a result, which has to have some."""
    assert isinstance(result.facts, kind)
    return result.facts


def investigated(told: Told) -> Investigation:
    return Investigator(ALERT, context(), Scripted(told), Frozen(context().now)).investigation()


def down(*names: str, **given: object) -> down_instances.Facts:
    """Of six instances these are down, and one is up."""
    return facts(down_instances.Facts, **{"down": names, "now": names, "all": 6, "up": ("c",), "port": 8080, **given})


def words(*lines: str) -> Answering:
    return given({"previous_logs": [{"pod": "a", "container": "app", "lines": list(lines)}]})


def ended(*names: str) -> pod_states.Facts:
    """These pods crashed, and none was killed."""
    return facts(pod_states.Facts, crashed=names, killed=())


def node(name: str, ready: str = "True", *more: str) -> JSON:
    conditions = [
        {"type": "Ready", "status": ready, "lastTransitionTime": time(ONSET + 40), "message": "Kubelet stopped."},
        *({"type": one, "status": "True"} for one in more),
    ]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}}


def logged(total: int, **counts: int) -> Answering:
    """A count of messages by pod."""
    buckets = [{"key": name, "doc_count": count} for name, count in counts.items()]
    aggregations = {"top": {"buckets": buckets, "sum_other_doc_count": 0}}
    data = {"hits": {"total": {"value": total, "relation": "eq"}, "hits": []}, "aggregations": aggregations}
    return given(data, "complete" if total else "empty")


CALM: dict[type[Facts], dict[str, Any]] = {
    instances_down_count.Facts: {"onset": ONSET},
    down_instances.Facts: {"down": ("a", "b"), "now": ("a", "b"), "all": 6, "up": ("c",), "port": 8080},
    changes.Facts: {
        "near": False,
        "revision": 14,
        "current_revision": 14,
        "previous_revision": 13,
        "distance": 60.0,
    },
    pod_states.Facts: {"killed": (), "crashed": (), "blocked": ()},
    previous_logs.Facts: {},
    nodes.Facts: {},
    policies.Facts: {"port": 8080},
    secrets.Facts: {},
    scrape_only.Facts: {"down": 2, "talking": False, "silent": False},
}
CRASHED = {"crashed": ("a", "b"), "crashed_revisions": (14,), "exits": "Error, exit code 101"}
ROLLED_OUT = {"near": True, "only_new": True, "compared": "its pods miss 90 % of scrapes, the others 0 %"}
SCENES: dict[str, dict[str, dict[str, Any]]] = {
    "deployment": {"changes": ROLLED_OUT, "pod_states": CRASHED},
    "crash": {"pod_states": CRASHED},
    "memory": {"pod_states": {"killed": ("a", "b"), "container": "app", "memory_limit": 512 * 2**20}},
    "node": {"nodes": {"failing": ("n1",), "down_on_failing": ("a", "b")}},
    "network": {
        "policies": {"cuts": ("allow",), "near": True, "newest": "allow"},
        "scrape_only": {"well": 2, "silent": True},
        "pod_states": {"well": ("a", "b")},
    },
    "configuration": {
        "changes": ROLLED_OUT,
        "pod_states": {"blocked": ("a",), "blocked_by": "ImagePullBackOff", "blocked_image": "shop:rc"},
    },
    "scrape": {"scrape_only": {"well": 2, "talking": True, "messages": 90}, "pod_states": {"well": ("a", "b")}},
}


def results(**changed: Mapping[str, Any]) -> Results:
    """What the checks find while only instances are down, but for what is given by the name of its check."""
    assert set(changed) <= {check_name(kind) for kind in CALM}
    return results_of(*(facts(kind, **{**calm, **changed.get(check_name(kind), {})}) for kind, calm in CALM.items()))
