"""Memory: a leaking pod is restarted, a cache bounded, connections closed, and memory that the load needs granted."""

from __future__ import annotations

from runbook.alerts.checks.memory import memory_correlates, memory_trend
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.capacity import raise_limit, scale_out
from runbook.alerts.mitigations.commands import (
    RESTARTED_ANEW,
    by_hand,
    change,
    is_pod,
    kubectl,
    mysql,
    number,
    read,
    restart,
    setting_names,
    worst_pod,
)
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.text.format import bytes_text
from runbook.text.shell import command
from runbook.text.time import duration_text

DUMP_SECONDS = 900  # with less time until its limit a pod is restarted without a dump
SHOWN = 6


@plan(memory_trend.Facts, memory_correlates.Facts, may_read=(changes.Facts, resource_limits.Facts))
def restart_leaking(c: Context, results: Results) -> Planned:
    """Evidence first where there is time before the limit, then a restart, which says when the pod is full again."""
    trend = results.facts(memory_trend.Facts)
    left = number(trend.seconds_left) if trend else None
    short = left is not None and left < DUMP_SECONDS
    restarted = _delete(c, results, f"a temporary fix: {_full_again(results)}")
    return "Restart the affected pod for now, and find the leak", (
        *worst_pod(c, results, _pod(results)),
        *((restarted, _dump(c, _spared(results))) if short else (_dump(c, _named(results)), restarted)),
        *restart(c, results, f"more than one pod leaks{_leaking(results)}, and each has been looked at"),
        by_hand(
            c,
            "Give the dump and the time of the onset to the service's authors.",
            precondition="the pods are restarted",
            risk="none",
            undo="nothing to undo",
            watch="The authors release a version with the leak fixed.",
        ),
    )


@plan(memory_correlates.Facts, may_read=(memory_trend.Facts,))
def bound_cache(c: Context, results: Results) -> Planned:
    """A shorter lifetime of its entries or a limit in bytes; a restart empties it for now."""
    facts = results.facts(memory_correlates.Facts)
    size = number(facts.cache_height) if facts else None
    now = f"The cache of one pod holds {bytes_text(size)}." if size is not None else "The cache's size is not known."
    metric = f"{c.service.metric_prefix}cache_size_bytes"
    return "Bound the cache", (
        read(
            setting_names(c),
            f"Shows the names of the settings for the cache's size and the lifetime (TTL) of its entries. {now}",
        ),
        by_hand(
            c,
            "Lower the cache's TTL or its size limit in the deployment's settings.",
            precondition="such a setting exists",
            risk="more requests reach the database",
            undo="set it back",
        ),
        _delete(c, results, "its cache is empty afterwards, so the database gets more queries for a while"),
        by_hand(
            c,
            "Ask the authors to limit the cache in bytes: above the limit it evicts the least used entries.",
            precondition="no setting limits it",
            risk="none until it is released",
            undo="nothing to undo",
            watch=f"{metric} stays below the limit.",
        ),
    )


@plan(memory_correlates.Facts, may_read=(memory_trend.Facts,))
def release_connections(c: Context, results: Results) -> Planned:
    """Who holds connections, a pool that fits, and code that closes them."""
    facts = results.facts(memory_correlates.Facts)
    held = number(facts.connections_height) if facts else None
    now = f"One pod has {held:,.0f} in use." if held is not None else "The number in use is not known."
    return "Close the connections that are not released", (
        read(
            setting_names(c),
            f"Shows the names of the settings for the pool's size and for how long a connection may be kept. {now}",
        ),
        read(
            mysql(c, "SHOW FULL PROCESSLIST"),
            "Shows the host and time of each sleeping connection: how many the service holds unused, and for how long.",
            "you may log in to the database",
        ),
        _delete(c, results, "its connections are closed, and accumulate again"),
        by_hand(
            c,
            "Lower the pool's size or the idle timeout of its connections in the deployment's settings.",
            precondition=(
                f"such a setting exists; the pool has room for {c.service.database_pool_size} connections in each pod"
            ),
            risk="requests wait for a connection where the pool is too small",
            undo="set it back",
        ),
        by_hand(
            c,
            "Ask the authors to make sure that every connection is closed, also on each error path.",
            precondition="connections in use grow while requests do not",
            risk="none until it is released",
            undo="nothing to undo",
            watch="Connections in use follow the requests again.",
        ),
    )


@plan(resource_limits.Facts, may_read=(changes.Facts,))
def grant_memory(c: Context, results: Results) -> Planned:
    """The load is legitimate: a higher limit, or more pods that share it."""
    return "Grant the memory that the load needs", (
        raise_limit(c, results.facts(resource_limits.Facts), "memory"),
        scale_out(c, results),
        by_hand(
            c,
            "Raise thresholds.memory_bytes in runbook.toml and print the rules again.",
            precondition="the load will stay, and the limit leaves room above the new threshold",
            risk="a leak is noticed later",
            undo="set it back",
            watch="The alert does not fire at the usual load.",
        ),
    )


def _pod(results: Results) -> str | None:
    """The fullest pod."""
    trend = results.facts(memory_trend.Facts, optional=True)
    found = results.facts(memory_correlates.Facts, optional=True)
    return (trend.pod if trend else None) or (found.pod if found else None)


def _dump(c: Context, pod: str) -> Step:
    return by_hand(
        c,
        f"Take a heap dump or a memory profile of {pod}, if the service can write one, and copy it out of the pod.",
        precondition="the pod is not restarted yet: its memory is the evidence",
        risk="a dump may halt the pod and needs room on its disk",
        undo="delete the dump in the pod",
        watch="The copy outside the pod is complete.",
    )


def _others(results: Results) -> list[str]:
    """The pods that grow besides the fullest."""
    trend = results.facts(memory_trend.Facts, optional=True)
    return [f"pod/{pod}" for pod in (trend.growing if trend else ()) if is_pod(pod) and pod != _pod(results)]


def _spared(results: Results) -> str:
    """The pod to take evidence from where the fullest has no time left for it."""
    return next(iter(_others(results)), "the new pod, once it has grown")


def _leaking(results: Results) -> str:
    others = _others(results)
    return f" ({', '.join([_named(results), *others][:SHOWN])})" if others else ""


def _named(results: Results) -> str:
    return f"pod/{pod}" if is_pod(pod := _pod(results)) else "the fullest pod"


def _delete(c: Context, results: Results, risk: str) -> Step:
    """Deletes the fullest pod, so that a new one starts; where it is not known, reads which one it is."""
    pod = _pod(results)
    if pod is None or not is_pod(pod):
        delete = command(kubectl(c, "delete", "pod"))
        return read(
            kubectl(c, "top", "pods", "--sort-by=memory"),
            f"Shows which pod uses most memory. Then restart it: `{delete}` and its name.",
            "this run does not know which pod is the fullest",
        )
    return change(
        c,
        kubectl(c, "delete", "pod", pod),
        precondition="the other pods are ready and can carry its requests",
        risk=f"its requests under way are lost; {risk}",
        undo=RESTARTED_ANEW,
    )


def _full_again(results: Results) -> str:
    """How long a new pod has at this rate."""
    trend = results.facts(memory_trend.Facts)
    found = results.facts(memory_correlates.Facts)
    rate, grown = number(trend.bytes_per_second) if trend else None, number(found.grown) if found else None
    return (
        f"at this rate the pod is full again in {duration_text(grown / rate)}" if rate and grown else "it leaks again"
    )
