"""What every plan is written with: complete kubectl commands, steps that read or change, facts that may be missing.

A number that a run does not know is not printed: in its place stands the command that reads it.
"""

from __future__ import annotations

import re
from math import isfinite

from runbook.alerts.checks.workload import changes, resource_limits
from runbook.config.kubectl import cluster_options, known_setting
from runbook.investigation.definitions import Context
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.sources.probe import network
from runbook.text.shell import command
from runbook.text.time import iso

RESTARTED_ANEW = "nothing to undo: the pods start anew from the same template"
NO_RISK = "none, it only reads"
_POD = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
Command = tuple[str, ...]


def kubectl(context: Context, *words: str) -> Command:
    """A complete kubectl command for this environment: its cluster as far as that is known, and its namespace."""
    return ("kubectl", *cluster_options(context.environment.kubernetes), "-n", context.service.namespace, *words)


def read(argv: Command, watch: str, precondition: str = "none") -> Step:
    """A command that only reads."""
    return Step(kind="read", argv=argv, precondition=precondition, risk=NO_RISK, undo="nothing to undo", watch=watch)


def look(text: str, watch: str, precondition: str = "none") -> Step:
    """Something that a person looks at, without a command of ours."""
    return Step(kind="read", text=text, precondition=precondition, risk=NO_RISK, undo="nothing to undo", watch=watch)


def change(c: Context, argv: Command, *, precondition: str, risk: str, undo: Command | str, watch: str = "") -> Step:
    """A command that changes something; where no context is known, what is current must be looked at first."""
    cluster = c.environment.kubernetes
    if argv[0] == "kubectl" and not known_setting(cluster, "context"):
        shown = command(("kubectl", *cluster_options(cluster), "config", "current-context"))
        precondition = f"{precondition}; the cluster is that of {c.environment_name}: `{shown}`"
    back = {"undo": undo} if isinstance(undo, str) else {"undo_argv": undo}
    return Step(kind="change", argv=argv, precondition=precondition, risk=risk, watch=watch or until_healthy(c), **back)


def by_hand(c: Context, text: str, *, precondition: str, risk: str, undo: str, watch: str = "") -> Step:
    """A change that a person makes, without a command of ours."""
    return Step(
        kind="manual", text=text, precondition=precondition, risk=risk, undo=undo, watch=watch or until_healthy(c)
    )


def until_healthy(context: Context) -> str:
    """What to watch after a mitigation."""
    where = ("--environment", context.environment_name, "--incident", context.incident)
    again = ("runbook", "run", context.alert, *where, "--started-at", iso(context.started_at), "--mitigated-at", "TIME")
    return f"{context.healthy[0].upper()}{context.healthy[1:]}. Then run: `{command(again)}`"


def number(value: JSON) -> float | None:
    """A fact that is a number, not negative; None where it is not known."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0
    return value if known else None


def whole(value: JSON) -> int | None:
    """The same as a whole number."""
    known = number(value)
    return None if known is None else int(known)


def mysql(context: Context, statement: str, user: str = "USER") -> Command:
    """A complete command of the database's own client, with its address where the settings know it."""
    where = network.place(context.environment.database_address)
    address = ("-h", where.host, "-P", str(where.port)) if where else ()
    return ("mysql", *address, "-u", user, "-p", "-e", statement)


def deployment(context: Context) -> str:
    """The service's deployment as kubectl takes it."""
    return f"deployment/{context.service.deployment}"


def setting_names(context: Context) -> Command:
    """The command that prints the names of the deployment's settings, and none of their values."""
    names = "jsonpath={.spec.template.spec.containers[*].env[*].name}"
    return kubectl(context, "get", deployment(context), "-o", names)


def worst_pod(c: Context, results: Results, *tops: JSON) -> tuple[Step, ...]:
    """What to read about one pod: of the restarted ones the worst, else the worst of all; none where none is known."""
    found = results.facts(changes.Facts, optional=True)
    restarted = [name for name in (found.restarted_pods if found else ()) if is_pod(name)]
    worst = [name for name in tops if is_pod(name)]
    both = [name for name in worst if name in restarted]
    if not (ranked := [*both, *restarted, *worst]):
        return ()
    pod = ranked[0]
    there = f"the pod is not replaced yet: `{command(kubectl(c, 'get', 'pods'))}`"
    what = "Shows the pod's last state, its events, and whether it is ready."
    described = read(kubectl(c, "describe", f"pod/{pod}"), what, there)
    if pod not in restarted:
        return (described,)
    name = container(c, results)
    logs = kubectl(c, "logs", f"pod/{pod}", *(("-c", name) if name else ()), "--previous", "--tail=100")
    return (described, read(logs, "Shows what the container said last before it ended.", there))


def is_pod(name: JSON) -> bool:
    """A pod's name; “none” and “?” stand for no pod."""
    return isinstance(name, str) and name != "none" and bool(_POD.fullmatch(name))


def inside(c: Context, where: str, *words: str) -> Command:
    """The command that runs another one in one of the service's pods."""
    return kubectl(c, "exec", where, *in_container(c), "--", *words)


def in_container(c: Context) -> tuple[str, ...]:
    """The option that names the service's container where the profile does: a sidecar may come first in its pods."""
    return ("-c", c.service.container) if c.service.container else ()


def container(c: Context, results: Results) -> str:
    """The service's container: as found in its pods, else as the settings name it; "" where neither is known."""
    found = results.facts(resource_limits.Facts, optional=True)
    return (found.container if found else None) or c.service.container


def restart(c: Context, results: Results, precondition: str) -> tuple[Step, ...]:
    """All pods anew, one after the other."""
    argv = kubectl(c, "rollout", "restart", deployment(c))
    anew = change(c, argv, precondition=precondition, risk="fewer pods serve for a minute or two", undo=RESTARTED_ANEW)
    return (*resume(c, results), anew)


def resume(c: Context, results: Results) -> tuple[Step, ...]:
    """What has to come before a roll-back or a restart where the deployment is paused: kubectl refuses both."""
    found = results.facts(changes.Facts, optional=True)
    if found is None or not found.paused:
        return ()
    described = command(kubectl(c, "describe", deployment(c)))
    return (
        change(
            c,
            kubectl(c, "rollout", "resume", deployment(c)),
            precondition=f"it is still paused, and whoever paused it agrees: `{described}`",
            risk="what was changed while it was paused is rolled out at once",
            undo=kubectl(c, "rollout", "pause", deployment(c)),
            watch="the next command is not refused",
        ),
    )
