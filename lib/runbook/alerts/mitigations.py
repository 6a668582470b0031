"""The ready commands for each cause, filled with this run's deployment, namespace, revision and pod; never executed.

A number that this run does not know is not printed: in its place stands the command that reads it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from math import ceil, isfinite

from runbook.alerts.base import Context, Results
from runbook.model import JSON, Mitigation, Step
from runbook.wording import clock_text

HEALTHY = "failed requests below {threshold:g} % for 5 minutes, then open the notebook again with mitigated_at set"
RESTARTED_ANEW = "nothing to undo: the pods start anew from the same template"
MORE = 1.5  # by so much a limit or the number of pods is raised
MIB = 1024 * 1024
_POD = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_LIMITS = '{range .spec.template.spec.containers[*]}{.name}{": "}{.resources}{"\\n"}{end}'

Plan = tuple[str, tuple[Step, ...]]


def mitigate(context: Context, cause: str, results: Results) -> Mitigation:
    """The steps for a cause, the first one first."""
    title, steps = PLAYBOOK[cause](context, results)
    return Mitigation(cause, title, steps)


def kubectl(context: Context, *words: str) -> str:
    """A complete kubectl command for this environment, every word quoted as a shell needs it."""
    return f"kubectl {_cluster(context)}{shlex.join(['-n', context.service.namespace, *words])}"


def _cluster(context: Context) -> str:
    """The options that choose the cluster, as far as they are known."""
    file, name = _known(context, "kubeconfig"), _known(context, "context")
    where = f"--kubeconfig {_quoted(file)} " if file else ""
    return f"{where}--context {shlex.quote(name)} " if name else where


def _known(context: Context, setting: str) -> str:
    """A setting of the cluster; "" where there is none, or where it had to be redacted."""
    value: str = getattr(context.environment.kubernetes, setting, "")
    return "" if "[redacted " in value else value


def _quoted(path: str) -> str:
    """Quoted, but for the home folder's `~/`, which the shell has to expand."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") and path != "~/" else shlex.quote(path)


def _read(command: str, watch: str, precondition: str = "none") -> Step:
    return Step(command, precondition, "none, it only reads", "nothing to undo", watch)


def _change(c: Context, command: str, precondition: str, risk: str, undo: str, watch: str = "") -> Step:
    """A command that changes something; where no context is known, what is current must be looked at first."""
    if not _known(c, "context"):
        shown = f"kubectl {_cluster(c)}config current-context"
        precondition = f"{precondition}; the cluster is that of {c.environment_name}: {shown}"
    return Step(command, precondition, risk, undo, watch or _watch(c))


def _facts(results: Results, check: str) -> Mapping[str, JSON]:
    return results[check].facts if check in results else {}


def _number(value: JSON) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0
    return value if known else None


def _whole(value: JSON) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _deployment(context: Context) -> str:
    return f"deployment/{context.service.deployment}"


def _watch(context: Context) -> str:
    return HEALTHY.format(threshold=context.service.thresholds.error_ratio * 100)


def _roll_back(c: Context, results: Results) -> Plan:
    facts = _facts(results, "changes")
    suspect, current = _whole(facts.get("revision")), _whole(facts.get("current_revision"))
    pods = _pods(c, results, _facts(results, "scope").get("top_pod"))
    if suspect is None or current is None:
        return "Roll back to the revision that did well", (_find_revision(c), *pods)
    if suspect != current:
        return f"Revision {suspect} is out of service already", (*_rolled_back(c, facts, suspect, current), *pods)
    return "Roll back to the previous revision", (*_undo(c, facts, suspect), *pods)


def _find_revision(c: Context) -> Step:
    return _read(
        kubectl(c, "rollout", "history", _deployment(c)),
        "the last revision that did well; go back to it by its number: "
        f"{kubectl(c, 'rollout', 'undo', _deployment(c), '--to-revision=')}",
        "which revision runs and which is to blame is not known",
    )


def _rolled_back(c: Context, facts: Mapping[str, JSON], suspect: int, current: int) -> tuple[Step, ...]:
    since = _number(facts.get("current_since"))
    when = f" since {clock_text(since, c.started_at)}" if since else ""
    return (
        Step(
            f"Do not roll back: revision {suspect} no longer runs; revision {current} does{when}.",
            "none",
            "one more roll-back would replace the revision that was just brought back",
            "nothing to undo",
            _watch(c),
        ),
        _rollout_status(c, "none"),
        _read(
            kubectl(c, "rollout", "history", _deployment(c), f"--revision={current}"),
            f"the image and settings of revision {current} are those that did well",
        ),
    )


def _undo(c: Context, facts: Mapping[str, JSON], suspect: int) -> tuple[Step, ...]:
    previous = _whole(facts.get("previous_revision"))
    if previous is None:
        again = Step(
            f"Deploy the release before revision {suspect} again, the way it was deployed: no earlier revision is known.",
            "you know that it did well",
            f"what revision {suspect} changed is lost; data it migrated may not fit the older one",
            f"deploy the release of revision {suspect} again",
            _watch(c),
        )
        return (again, _read(kubectl(c, "rollout", "history", _deployment(c)), "whether it lists an earlier revision"))
    return (
        _change(
            c,
            kubectl(c, "rollout", "undo", _deployment(c), f"--to-revision={previous}"),
            f"nobody rolled back since {clock_text(c.end, c.started_at)}: revision {suspect} is still the last one of "
            f"{kubectl(c, 'rollout', 'history', _deployment(c))}",
            f"what revision {suspect} changed is lost; data it migrated may not fit the older one",
            kubectl(c, "rollout", "undo", _deployment(c), f"--to-revision={suspect}"),
        ),
        _rollout_status(c, "after the roll-back"),
    )


def _rollout_status(c: Context, precondition: str) -> Step:
    command = kubectl(c, "rollout", "status", _deployment(c), "--timeout=5m")
    return _read(command, "ends with “successfully rolled out”", precondition)


def _pods(c: Context, results: Results, *tops: JSON) -> tuple[Step, ...]:
    """What to read about one pod: of the restarted ones the worst, else the worst of all; none where none is known."""
    restarted = [name for name in _facts(results, "changes").get("restarted_pods") or () if _is_pod(name)]
    worst = [name for name in tops if _is_pod(name)]
    both = [name for name in worst if name in restarted]
    if not (ranked := [*both, *restarted, *worst]):
        return ()
    pod = ranked[0]
    there = f"the pod is not replaced yet (read it before the fix if there is time): {kubectl(c, 'get', 'pods')}"
    described = _read(
        kubectl(c, "describe", f"pod/{pod}"), "its last state, its events, and whether it is ready", there
    )
    if pod not in restarted:
        return (described,)
    container = _container(c, results)
    command = kubectl(c, "logs", f"pod/{pod}", *(["-c", container] if container else []), "--previous", "--tail=100")
    return (described, _read(command, "what the container said last before it ended", there))


def _is_pod(name: JSON) -> bool:
    """A pod's name; “none” and “?” stand for no pod."""
    return isinstance(name, str) and name != "none" and bool(_POD.fullmatch(name))


def _container(c: Context, results: Results) -> str:
    """The service's container: as found in its pods, else as the settings name it; "" where neither is known."""
    return _facts(results, "resources").get("container") or c.service.container


def _restart(c: Context, precondition: str) -> Step:
    command = kubectl(c, "rollout", "restart", _deployment(c))
    return _change(c, command, precondition, "fewer pods serve for a minute or two", RESTARTED_ANEW)


def _database(c: Context, results: Results) -> Plan:
    facts = _facts(results, "database")
    used, pool = _number(facts.get("in_use")), _number(facts.get("pool"))
    use = f"now {used:,.0f} of {pool:,.0f} in use" if used is not None and pool else "its use is not known"
    names = "jsonpath={.spec.template.spec.containers[*].env[*].name}"
    return "Restore the database's connections", (
        _read(
            kubectl(c, "get", "pods,endpoints,networkpolicies"),
            "the database's endpoints are there and no policy cuts them off",
        ),
        _read(
            kubectl(c, "get", _deployment(c), "-o", names),
            f"the names of the settings for the pool's size and time-outs; check that their values are as intended ({use})",
        ),
        _restart(c, "the database answers again, yet the pods keep broken connections"),
        Step(
            "Ask the database's owners for more capacity (CPU, connections, a read replica).",
            "the database itself is overloaded",
            "costs; a restart of the database drops all connections",
            "scale back",
            _watch(c),
        ),
        *_pods(c, results, _facts(results, "scope").get("top_pod")),
    )


def _authentication(c: Context, results: Results) -> Plan:
    return "Restore the verification of tokens", (
        _read(
            kubectl(c, "describe", _deployment(c)),
            "the JWT public key's Secret or ConfigMap is mounted where the service reads it",
        ),
        _read(
            kubectl(c, "get", "secrets"),
            "the key's age: was it rotated just before the onset? Has its certificate expired?",
            "your account may list them (names and ages only)",
        ),
        _restart(c, "the right key is in place and the pods still hold the old one"),
        Step(
            "Ask the owners of the auth service whether it answers and whether its keys or certificates changed.",
            "the key is right",
            "none",
            "nothing to undo",
            "authentication failures fall to their level before",
        ),
    )


def _resources(c: Context, results: Results) -> Plan:
    facts = _facts(results, "resources")
    memory_first = bool(facts.get("memory_reached") or facts.get("oom_kills"))
    tops = [facts.get("memory_top_pod"), facts.get("cpu_top_pod")][:: 1 if memory_first else -1]
    scale, raised = _scale_out(c, results), _raise_limit(c, facts, "memory" if memory_first else "cpu")
    steps = (raised, scale) if memory_first else (scale, raised)
    return "Give the pods more room", (*steps, *_pods(c, results, *tops))


def _raise_limit(c: Context, facts: Mapping[str, JSON], what: str) -> Step:
    """More memory or CPU for the one container whose limit is known; otherwise a look at all limits."""
    limit, container = _number(facts.get(f"{what}_limit")), facts.get("container")
    words = {"memory": "memory", "cpu": "CPU"}[what]
    if not limit or not container:
        return _read(
            kubectl(c, "get", _deployment(c), "-o", f"jsonpath={_LIMITS}"),
            f"the limit of {words} of the service's container; where it has one, half as much again gives it room",
            f"this run does not know the limit of {words} of the service's container",
        )
    memory = what == "memory"
    more = f"memory={ceil(limit * MORE / MIB)}Mi" if memory else f"cpu={ceil(round(limit * MORE * 1000, 3))}m"
    now = f"{limit / MIB:,.4g} MiB of memory" if memory else f"{limit:,.4g} CPU cores"
    return _change(
        c,
        kubectl(c, "set", "resources", _deployment(c), "-c", container, f"--limits={more}"),
        f"the limit is still {now}; the nodes and the namespace's quota have that much more for every pod",
        "all pods are replaced, one after the other",
        kubectl(c, "rollout", "undo", _deployment(c)),
        f"{words} below its limit, {_watch(c)}",
    )


def _scale_out(c: Context, results: Results) -> Step:
    """Half as many pods again, refused by Kubernetes where their number has changed since; a look where it is not known."""
    wanted = _whole(_facts(results, "changes").get("wanted"))
    alone = f"no HorizontalPodAutoscaler sets it: {kubectl(c, 'get', 'hpa')}"
    if wanted is None:
        return _read(
            kubectl(c, "get", _deployment(c)),
            "how many replicas it has (READY); then scale it to half as many again, at least one more",
            f"this run does not know how many replicas are wanted; {alone}",
        )
    more = max(wanted + 1, ceil(wanted * MORE))

    def scale(now: int, then: int) -> str:
        return kubectl(c, "scale", _deployment(c), f"--current-replicas={now}", f"--replicas={then}")

    return _change(
        c,
        scale(wanted, more),
        f"the deployment still wants {wanted} replicas; {alone}; the nodes have room for more",
        "each new pod opens its own database connections",
        scale(more, wanted),
    )


def _traffic(c: Context, results: Results) -> Plan:
    return "Serve or shed the additional traffic", (
        _scale_out(c, results),
        Step(
            "Switch on rate limiting and caching for the busiest path at the proxy.",
            "the surge comes from few clients or asks for the same pages",
            "some real users are refused",
            "switch it off again",
            "requests/s and failed requests fall",
        ),
    )


PLAYBOOK: Mapping[str, Callable[[Context, Results], Plan]] = {
    "database": _database,
    "authentication": _authentication,
    "resources": _resources,
    "deployment": _roll_back,
    "traffic": _traffic,
}
