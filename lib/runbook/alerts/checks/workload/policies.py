"""Does a network policy block the service's connections to its database, or connections to the service? Is it new?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import number
from runbook.alerts.checks.workload import down_instances
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.network_policies import (
    Cut,
    Labels,
    Policy,
    cuts_egress,
    cuts_ingress,
    labels_of,
    policies_of,
)
from runbook.sources.probe import network
from runbook.text.time import clock_text, duration_text

USUAL_PORT = 3306  # MySQL's
NEAR_SECONDS = 900  # one created this long before the onset may be its cause
ELSEWHERE = " (policies of other namespaces and of other kinds were not checked)"
SLACK_SECONDS = 90  # an onset that is found this much too early still counts as after it


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many policies the namespace has; by name those that together block the port, and those that may, since they
    allow some addresses only.

    `newest` is the last created of these, `created` when (epoch seconds) and `distance` the seconds from then to the
    onset (negative: after it); None where there is none or that is not known. `near` says that it was created shortly
    before the onset.
    """

    port: int
    policies: int
    cuts: tuple[str, ...]
    may_cut: tuple[str, ...]
    newest: str | None
    created: float | None
    distance: float | None
    near: bool


def database_port(c: Context) -> int:
    """The port of the database, to which the service's pods connect."""
    where = network.place(c.environment.database_address)
    return where.port if where else USUAL_PORT


def served_port(c: Context, earlier: Results) -> int | None:
    """The port of the service's pods, as Prometheus scrapes it; None where that is not known."""
    found = earlier.facts(down_instances.Facts)
    return found.port if found else None


@dataclass(frozen=True)
class Connection:
    """Connections that have to be allowed: which policies block them, and at which port.

    `what` names them, to follow "block" or "allow", with the port in `{}`; `some` limits what is allowed.
    """

    cuts: Callable[[Iterable[Policy], Labels, int], Cut]
    port: Callable[[Context, Results], int | None]
    what: str
    some: str
    column: str
    reads: tuple[type[model.Facts], ...] = ()


TO_DATABASE = Connection(
    cuts_egress,
    lambda context, earlier: database_port(context),
    what="connections from the service's pods to port {}",
    some="to some addresses only",
    column="From them to port {}",
)
TO_SERVICE = Connection(
    cuts_ingress,
    served_port,
    what="connections to port {} of the service's pods",
    some="from some addresses only",
    column="To their port {}",
    reads=(down_instances.Facts,),
)


def guarding(connection: Connection) -> Check:
    """The check for an alert that may come from such connections being blocked."""
    return Check(
        "policies",
        "Does a network policy block connections?",
        Facts,
        _queries,
        lambda context, answers, earlier: _judge(context, answers, earlier, connection),
        empty_is_none=True,
        reads=connection.reads,
    )


def _queries(c: Context) -> Mapping[str, Query]:
    return {"policies": kubernetes.policies(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results, connection: Connection) -> Result:
    port, onset = connection.port(c, earlier), earlier.onset
    if port is None:
        return Result("unknown", "Not known: the port of the service's pods is not known.")
    known, labels = policies_of(answers["policies"]), labels_of(answers["policies"])
    cut = connection.cuts(known, labels, port)
    named = [one for one in known if one.name in (*cut.certain, *cut.possible)]
    newest = max(named, key=lambda one: one.created_at or 0.0, default=None)
    created = newest.created_at if newest else None
    distance = None if created is None or onset is None else onset - created
    facts = Facts(
        port=port,
        policies=len(known),
        cuts=cut.certain,
        may_cut=cut.possible,
        newest=newest.name if newest else None,
        created=created,
        distance=number(distance, 0) if distance is not None else None,
        near=distance is not None and -SLACK_SECONDS <= distance <= NEAR_SECONDS,
    )
    abnormal = bool(cut.certain or (cut.possible and facts.near))
    rows = tuple(_row(c, one, labels, facts) for one in known)
    columns = ("Policy", "Created", "Restricts", "The service's pods", connection.column.format(port))
    tables = (Table("policies", columns, rows),) if rows else ()
    return Result("abnormal" if abnormal else "normal", _sentence(c, facts, connection), facts, tables=tables)


def _row(c: Context, policy: Policy, labels: Labels, facts: Facts) -> tuple[str, ...]:
    directions = [name for name in ("ingress", "egress") if getattr(policy, name) is not None]
    state = "blocked" if policy.name in facts.cuts else "some addresses" if policy.name in facts.may_cut else "allowed"
    about = policy.selects(labels)
    return (
        policy.name,
        clock_text(policy.created_at, c.started_at) if policy.created_at else "",
        ", ".join(directions),
        "selected" if about else "not selected",
        state if about else "",
    )


def _sentence(c: Context, facts: Facts, connection: Connection) -> str:
    what = connection.what.format(facts.port)
    if facts.cuts:
        return f"Yes: {_verb(facts.cuts, 'block')} {what}{_when(c, facts)}."
    if facts.may_cut:
        return f"Perhaps: {_verb(facts.may_cut, 'allow')} {what} {connection.some}{_when(c, facts)}."
    if not facts.policies:
        return f"No: the namespace has no NetworkPolicy of its own{ELSEWHERE}."
    return f"No: none of the namespace's {facts.policies} policies blocks {what}{ELSEWHERE}."


def _verb(names: Sequence[str], verb: str) -> str:
    """The policies and what they do, in the singular or the plural."""
    return f"the policy {names[0]} {verb}s" if len(names) == 1 else f"the policies {', '.join(names)} together {verb}"


def _when(c: Context, facts: Facts) -> str:
    if facts.created is None:
        return ""
    which = f"{facts.newest} " if len(facts.cuts or facts.may_cut) > 1 else ""
    created = f"; {which}created at {clock_text(facts.created, c.started_at)}"
    if facts.distance is None:
        return created
    order = "before" if facts.distance >= 0 else "after"
    return f"{created}, {duration_text(abs(facts.distance))} {order} the onset"


CHECK = guarding(TO_DATABASE)
