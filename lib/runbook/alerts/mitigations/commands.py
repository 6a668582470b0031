"""What every plan is written with: complete kubectl commands, steps that read or change, facts that may be missing.

A number that a run does not know is not printed: in its place stands the command that reads it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from math import isfinite

from runbook.investigation.definitions import Context, Results
from runbook.model import JSON, Step
from runbook.sources.probe import network

ONLY_READS = "none, it only reads"
RESTARTED_ANEW = "nothing to undo: the pods start anew from the same template"
_POD = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


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


def read(command: str, watch: str, precondition: str = "none") -> Step:
    """A command that only reads."""
    return Step(command, precondition, ONLY_READS, "nothing to undo", watch)


def change(c: Context, command: str, precondition: str, risk: str, undo: str, watch: str = "") -> Step:
    """A command that changes something; where no context is known, what is current must be looked at first."""
    if not _known(c, "context"):
        shown = f"kubectl {_cluster(c)}config current-context"
        precondition = f"{precondition}; the cluster is that of {c.environment_name}: `{shown}`"
    return Step(command, precondition, risk, undo, watch or until_healthy(c))


def until_healthy(context: Context) -> str:
    """What to watch after a mitigation."""
    return f"{context.healthy}, then run again with mitigated_at set"


def facts_of(results: Results, check: str) -> Mapping[str, JSON]:
    """What a check found; nothing where it did not run."""
    return results[check].facts if check in results else {}


def number(value: JSON) -> float | None:
    """A fact that is a number, not negative; None where it is not known."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0
    return value if known else None


def whole(value: JSON) -> int | None:
    """The same as a whole number."""
    known = number(value)
    return None if known is None else int(known)


def mysql(context: Context, statement: str, user: str = "USER") -> str:
    """A complete command of the database's own client, with its address where the settings know it."""
    where = network.place(context.environment.database_address)
    address = ["-h", where.host, "-P", str(where.port)] if where else []
    client = shlex.join(["mysql", *address, "-u", user, "-p", "-e"])
    return f"{client} {_statement(statement)}"


def _statement(text: str) -> str:
    """Quoted for a shell, so that its own single quotes stay readable where nothing in it means anything to the shell."""
    return f'"{text}"' if "'" in text and not re.search(r'[$`"\\!]', text) else shlex.quote(text)


def deployment(context: Context) -> str:
    """The service's deployment as kubectl takes it."""
    return f"deployment/{context.service.deployment}"


def setting_names(context: Context) -> str:
    """The command that prints the names of the deployment's settings, and none of their values."""
    names = "jsonpath={.spec.template.spec.containers[*].env[*].name}"
    return kubectl(context, "get", deployment(context), "-o", names)


def worst_pod(c: Context, results: Results, *tops: JSON) -> tuple[Step, ...]:
    """What to read about one pod: of the restarted ones the worst, else the worst of all; none where none is known."""
    restarted = [name for name in facts_of(results, "changes").get("restarted_pods") or () if is_pod(name)]
    worst = [name for name in tops if is_pod(name)]
    both = [name for name in worst if name in restarted]
    if not (ranked := [*both, *restarted, *worst]):
        return ()
    pod = ranked[0]
    there = f"the pod is not replaced yet: `{kubectl(c, 'get', 'pods')}`"
    described = read(kubectl(c, "describe", f"pod/{pod}"), "its last state, its events, and whether it is ready", there)
    if pod not in restarted:
        return (described,)
    name = container(c, results)
    command = kubectl(c, "logs", f"pod/{pod}", *(["-c", name] if name else []), "--previous", "--tail=100")
    return (described, read(command, "what the container said last before it ended", there))


def is_pod(name: JSON) -> bool:
    """A pod's name; “none” and “?” stand for no pod."""
    return isinstance(name, str) and name != "none" and bool(_POD.fullmatch(name))


def inside(c: Context, where: str, *command: str) -> str:
    """The command that runs another one in one of the service's pods."""
    return kubectl(c, "exec", where, *in_container(c), "--", *command)


def in_container(c: Context) -> tuple[str, ...]:
    """The option that names the service's container where the profile does: a sidecar may come first in its pods."""
    return ("-c", c.service.container) if c.service.container else ()


def container(c: Context, results: Results) -> str:
    """The service's container: as found in its pods, else as the settings name it; "" where neither is known."""
    return facts_of(results, "resources").get("container") or c.service.container


def restart(c: Context, results: Results, precondition: str) -> tuple[Step, ...]:
    """All pods anew, one after the other."""
    command = kubectl(c, "rollout", "restart", deployment(c))
    anew = change(c, command, precondition, "fewer pods serve for a minute or two", RESTARTED_ANEW)
    return (*resume(c, results), anew)


def resume(c: Context, results: Results) -> tuple[Step, ...]:
    """What has to come before a roll-back or a restart where the deployment is paused: kubectl refuses both."""
    if not facts_of(results, "changes").get("paused"):
        return ()
    return (
        change(
            c,
            kubectl(c, "rollout", "resume", deployment(c)),
            f"it is still paused, and whoever paused it agrees: {kubectl(c, 'describe', deployment(c))}",
            "what was changed while it was paused is rolled out at once",
            kubectl(c, "rollout", "pause", deployment(c)),
            "the next command is not refused",
        ),
    )
