"""Memory: what leaks is started anew, what is cached is bounded, what is held is given back, what is needed is granted."""

from __future__ import annotations

from runbook.alerts.checks.memory import memory_correlates, memory_trend
from runbook.alerts.checks.workload import resource_limits
from runbook.alerts.mitigations.capacity import raise_limit, scale_out
from runbook.alerts.mitigations.commands import (
    RESTARTED_ANEW,
    change,
    is_pod,
    kubectl,
    mysql,
    number,
    read,
    restart,
    setting_names,
    until_healthy,
    worst_pod,
)
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.text.format import bytes_text, duration_text

DUMP_SECONDS = 900  # before its limit a pod has so much time for a dump, or none
SHOWN = 6


def restart_leaking(c: Context, results: Results) -> Plan:
    """Evidence first, where the limit leaves the time, then the pod anew: it leaks again, so the time gained is said."""
    left = number(results.facts(memory_trend.Facts).get("seconds_left"))
    short = left is not None and left < DUMP_SECONDS
    anew = _delete(c, results, f"a temporary fix: {_again(results)}")
    return "Restart the affected pod for now, and find the leak", (
        *worst_pod(c, results, _pod(results)),
        *((anew, _dump(_spared(results))) if short else (_dump(_named(results)), anew)),
        *restart(c, results, f"more pods than one leak{_leaking(results)}, and each has been looked at"),
        Step(
            "Give the dump and the time of the onset to the service's authors.",
            "the pods are restarted",
            "none",
            "nothing to undo",
            "a release with the leak fixed",
        ),
    )


def bound_cache(c: Context, results: Results) -> Plan:
    """Shorter lives or a bound in bytes; a restart empties it for now."""
    facts = results.facts(memory_correlates.Facts)
    size = number(facts.cache_height)
    now = f"now {bytes_text(size)} in one pod" if size is not None else "its size is not known"
    return "Bound the cache", (
        read(
            setting_names(c),
            f"the names of the settings for the cache's size and the life (TTL) of its entries ({now})",
        ),
        Step(
            "Lower the cache's TTL or its size limit in the deployment's settings.",
            "such a setting exists",
            "more requests reach the database",
            "set it back",
            until_healthy(c),
        ),
        _delete(c, results, "its cache is empty afterwards: the database gets more queries for a while"),
        Step(
            "Have the cache bounded by memory: it evicts the least used entries beyond a number of bytes.",
            "no setting bounds it",
            "none until it is released",
            "nothing to undo",
            "micro_frontend_cache_size_bytes stays below the bound".replace("micro_frontend_", c.service.metric_prefix),
        ),
    )


def release_connections(c: Context, results: Results) -> Plan:
    """Who keeps them, a pool that fits, and code that gives them back."""
    facts = results.facts(memory_correlates.Facts)
    held = number(facts.connections_height)
    now = f"{held:,.0f} in use in one pod" if held is not None else "their number is not known"
    return "Give the connections back", (
        read(
            setting_names(c),
            f"the names of the settings for the pool's size and for how long a connection may be kept ({now})",
        ),
        read(
            mysql(c, "SHOW FULL PROCESSLIST"),
            "hosts and times of connections that sleep: how many the service holds and does not use, and for how long",
            "you may log in to the database",
        ),
        _delete(c, results, "its connections are closed; they gather again"),
        Step(
            "Lower the pool's size, or the time after which an idle connection is closed, in the deployment's settings.",
            f"such a setting exists; the pool has room for {c.service.database_pool_size} connections in each pod",
            "requests wait for a connection where the pool is too small",
            "set it back",
            until_healthy(c),
        ),
        Step(
            "Have the authors make sure that every connection is closed properly, on every path of an error too.",
            "connections in use grow while requests do not",
            "none until it is released",
            "nothing to undo",
            "connections in use follow the requests again",
        ),
    )


def grant_memory(c: Context, results: Results) -> Plan:
    """The use is legitimate: a higher limit, or more pods that share it."""
    return "Grant the memory that the load needs", (
        raise_limit(c, results.facts(resource_limits.Facts), "memory"),
        scale_out(c, results),
        Step(
            "Raise thresholds.memory_bytes in runbook.toml and print the rules anew.",
            "the load is here to stay, and the limit leaves room above the new threshold",
            "a leak is noticed later",
            "set it back",
            "the alert is quiet at the usual load",
        ),
    )


def _pod(results: Results) -> object:
    return results.facts(memory_trend.Facts).get("pod") or results.facts(memory_correlates.Facts).get("pod")


def _dump(pod: str) -> Step:
    return Step(
        f"Take a heap dump or a memory profile of {pod}, if the service can write one, and copy it out of the pod.",
        "the pod is not restarted yet: its memory is the evidence",
        "a dump may halt the pod and needs room on its disk",
        "delete the dump in the pod",
        "the file is complete outside of the pod",
    )


def _others(results: Results) -> list[str]:
    """The pods that grow besides the fullest."""
    growing = results.facts(memory_trend.Facts).get("growing") or ()
    return [f"pod/{pod}" for pod in growing if is_pod(pod) and pod != _pod(results)]


def _spared(results: Results) -> str:
    """Whose memory is evidence where the fullest pod has no time for it."""
    return next(iter(_others(results)), "the new pod, once it has grown")


def _leaking(results: Results) -> str:
    others = _others(results)
    return f" ({', '.join([_named(results), *others][:SHOWN])})" if others else ""


def _named(results: Results) -> str:
    return f"pod/{pod}" if is_pod(pod := _pod(results)) else "the fullest pod"


def _delete(c: Context, results: Results, risk: str) -> Step:
    """The fullest pod anew; a look for it where it is not known."""
    pod = _pod(results)
    if not is_pod(pod):
        return read(
            kubectl(c, "top", "pods", "--sort-by=memory"),
            f"which pod uses most; then start it anew: `{kubectl(c, 'delete', 'pod')}` and its name",
            "this run does not know which pod is the fullest",
        )
    return change(
        c,
        kubectl(c, "delete", "pod", str(pod)),
        "the other pods are ready and can carry its requests",
        f"its requests under way are lost; {risk}",
        RESTARTED_ANEW,
    )


def _again(results: Results) -> str:
    """How long a fresh pod has, at this pace."""
    facts = results.facts(memory_trend.Facts)
    pace, grown = number(facts.bytes_per_second), number(results.facts(memory_correlates.Facts).get("grown"))
    return (
        f"at this pace it is as full again {duration_text(grown / pace)} later" if pace and grown else "it leaks again"
    )
