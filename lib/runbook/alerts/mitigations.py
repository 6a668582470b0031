"""The ready commands for each cause, filled with this run's deployment, namespace, revision and pod; never executed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from runbook.alerts.base import Context, Results
from runbook.model import JSON, Mitigation, Step
from runbook.wording import clock_text

HEALTHY = "failed requests below {threshold:g} % for 5 minutes, then open the notebook again with mitigated_at set"


def mitigate(context: Context, cause: str, results: Results) -> Mitigation:
    """The steps for a cause, the first one first."""
    title, steps = PLAYBOOK[cause]
    return Mitigation(cause, title, steps(context, results))


def kubectl(context: Context, *words: str) -> str:
    """A complete kubectl command for this environment, every word quoted as a shell needs it."""
    cluster = context.environment.kubernetes
    where = ["--context", cluster.context] if cluster and cluster.context else []
    return shlex.join(["kubectl", *where, "-n", context.service.namespace, *words])


def _facts(results: Results, check: str) -> Mapping[str, JSON]:
    return results[check].facts if check in results else {}


def _deployment(context: Context) -> str:
    return f"deployment/{context.service.deployment}"


def _watch(context: Context) -> str:
    return HEALTHY.format(threshold=context.service.thresholds.error_ratio * 100)


def _roll_back(c: Context, results: Results) -> tuple[Step, ...]:
    facts = _facts(results, "changes")
    to = facts.get("previous_revision")
    undo = kubectl(c, "rollout", "undo", _deployment(c), *([f"--to-revision={to}"] if to else []))
    back = kubectl(
        c, "rollout", "undo", _deployment(c), *([f"--to-revision={facts['revision']}"] if facts.get("revision") else [])
    )
    return (
        Step(
            undo,
            f"nobody else rolled back since {clock_text(c.end)}: {kubectl(c, 'rollout', 'history', _deployment(c))}",
            f"what revision {facts.get('revision') or 'now running'} changed is lost; data it migrated may not fit the older one",
            back,
            _watch(c),
        ),
        Step(
            kubectl(c, "rollout", "status", _deployment(c), "--timeout=5m"),
            "after the roll-back",
            "none, it only reads",
            "nothing to undo",
            "ends with “successfully rolled out”",
        ),
    )


def _database(c: Context, results: Results) -> tuple[Step, ...]:
    facts = _facts(results, "database")
    pool = (
        f"now {facts['in_use']:,.0f} of {facts['pool']:,} in use"
        if facts.get("in_use") is not None and facts.get("pool")
        else "its use is not known"
    )
    return (
        Step(
            kubectl(c, "get", "pods,endpoints,networkpolicies"),
            "none",
            "none, it only reads",
            "nothing to undo",
            "the database's endpoints are there and no policy cuts them off",
        ),
        Step(
            kubectl(c, "get", _deployment(c), "-o", "jsonpath={.spec.template.spec.containers[*].env[*].name}"),
            "none",
            "none, it reads names only",
            "nothing to undo",
            f"the pool's size and time-outs are configured as intended ({pool})",
        ),
        Step(
            kubectl(c, "rollout", "restart", _deployment(c)),
            "the database answers again, yet the pods keep broken connections",
            "fewer pods serve for a minute or two",
            kubectl(c, "rollout", "undo", _deployment(c)),
            _watch(c),
        ),
        Step(
            "Ask the database's owners for more capacity (CPU, connections, a read replica).",
            "the database itself is overloaded",
            "costs; a restart of the database drops all connections",
            "scale back",
            _watch(c),
        ),
    )


def _authentication(c: Context, results: Results) -> tuple[Step, ...]:
    return (
        Step(
            kubectl(c, "describe", _deployment(c)),
            "none",
            "none, it only reads",
            "nothing to undo",
            "the JWT public key's Secret or ConfigMap is mounted where the service reads it",
        ),
        Step(
            kubectl(c, "get", "secrets"),
            "your account may list them (names and ages only)",
            "none, it only reads",
            "nothing to undo",
            "the key's age: was it rotated just before the onset? Has its certificate expired?",
        ),
        Step(
            kubectl(c, "rollout", "restart", _deployment(c)),
            "the right key is in place and the pods still hold the old one",
            "fewer pods serve for a minute or two",
            kubectl(c, "rollout", "undo", _deployment(c)),
            _watch(c),
        ),
        Step(
            "Ask the owners of the auth service whether it answers and whether its keys or certificates changed.",
            "the key is right",
            "none",
            "nothing to undo",
            "authentication failures fall to their level before",
        ),
    )


def _resources(c: Context, results: Results) -> tuple[Step, ...]:
    facts = _facts(results, "resources")
    limit = facts.get("memory_limit")
    more = f"--limits=memory={int(limit * 1.5 / 1024 / 1024)}Mi" if limit else "--limits=memory=1Gi"
    former = f"--limits=memory={int(limit / 1024 / 1024)}Mi" if limit else "--limits="
    cores = facts.get("cpu_limit")
    scale = _scale_out(c, results)
    raise_memory = Step(
        kubectl(c, "set", "resources", _deployment(c), more),
        "the nodes have that much memory free",
        "all pods are replaced, one after the other",
        kubectl(c, "set", "resources", _deployment(c), former),
        "no container is killed for its memory, " + _watch(c),
    )
    raise_cpu = Step(
        kubectl(c, "set", "resources", _deployment(c), f"--limits=cpu={int((cores or 1) * 1500)}m"),
        "the nodes have that much CPU free",
        "all pods are replaced, one after the other",
        kubectl(c, "set", "resources", _deployment(c), f"--limits=cpu={int((cores or 1) * 1000)}m"),
        "CPU below its limit, " + _watch(c),
    )
    memory_first = bool(facts.get("memory_reached") or facts.get("oom_kills"))
    return (raise_memory, scale) if memory_first else (scale, raise_cpu)


def _scale_out(c: Context, results: Results) -> Step:
    replicas = _facts(results, "changes").get("replicas")
    wanted = max(3, round(replicas * 1.5)) if replicas else 3
    return Step(
        kubectl(c, "scale", _deployment(c), f"--replicas={wanted}"),
        f"now {replicas} replicas; the nodes have room for more" if replicas else "the nodes have room for more",
        "each new pod opens its own database connections",
        kubectl(c, "scale", _deployment(c), f"--replicas={replicas}")
        if replicas
        else "scale back to the number it had",
        _watch(c),
    )


def _traffic(c: Context, results: Results) -> tuple[Step, ...]:
    return (
        _scale_out(c, results),
        Step(
            "Switch on rate limiting and caching for the busiest path at the proxy.",
            "the surge comes from few clients or asks for the same pages",
            "some real users are refused",
            "switch it off again",
            "requests/s and failed requests fall",
        ),
    )


PLAYBOOK: Mapping[str, tuple[str, Callable[[Context, Results], tuple[Step, ...]]]] = {
    "database": ("Restore the database's connections", _database),
    "authentication": ("Restore the verification of tokens", _authentication),
    "resources": ("Give the pods more room", _resources),
    "deployment": ("Roll back to the previous revision", _roll_back),
    "traffic": ("Serve or shed the additional traffic", _traffic),
}
