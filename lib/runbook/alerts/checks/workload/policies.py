"""Would a network policy cut the service off from its database, or others from the service; was it new when the trouble began?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import number
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Table
from runbook.sources.kubernetes import client as kubernetes
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
from runbook.text.format import clock_text, duration_text

USUAL_PORT = 3306  # MySQL's
NEAR_SECONDS = 900  # one created this long before the onset may be its cause
ELSEWHERE = " (those of other namespaces and other kinds were not looked at)"
SLACK_SECONDS = 90  # an onset found this much too early still counts as after it


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    port: TODO
    policies: TODO
    cuts: TODO
    may_cut: TODO
    newest: TODO
    created: TODO
    distance: TODO
    near: TODO


def database_port(c: Context) -> int:
    """The port that the service's pods have to reach."""
    where = network.place(c.environment.database_address)
    return where.port if where else USUAL_PORT


def served_port(c: Context, earlier: Results) -> int | None:
    """The port at which the service's pods have to be reached: where Prometheus asks them; None where that is not known."""
    port = fact(earlier, "instances", "port")
    return None if port is None else int(port)


@dataclass(frozen=True)
class Way:
    """A way that has to be open: which policies cut it, at which port, and how that is said with the port in `{}`."""

    cuts: Callable[[Iterable[Policy], Labels, int], Cut]
    port: Callable[[Context, Results], int | None]
    closed: str
    partly: str
    keeps: str
    column: str


TO_DATABASE = Way(
    cuts_egress,
    lambda context, earlier: database_port(context),
    closed="lets the service's pods reach no port {}",
    partly="lets them reach port {} of some addresses only",
    keeps="keeps the service's pods from port {}",
    column="Their way to port {}",
)
TO_SERVICE = Way(
    cuts_ingress,
    served_port,
    closed="lets nobody reach port {} of the service's pods",
    partly="lets some addresses only reach port {} of the service's pods",
    keeps="keeps others from port {} of the service's pods",
    column="The way to their port {}",
)


def guarding(way: Way) -> Check:
    """The check for an alert that may come from this way being cut."""
    return Check(
        "policies",
        "Does a network policy cut it off?",
        Facts,
        _queries,
        lambda context, answers, earlier: _judge(context, answers, earlier, way),
        empty_is_none=True,
    )


def _queries(c: Context) -> Mapping[str, Query]:
    return {"policies": kubernetes.policies(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results, way: Way) -> Result:
    port, onset = way.port(c, earlier), earlier.onset
    if port is None:
        return Result("unknown", "Not known: at which port the service's pods are reached is not known.")
    known, labels = policies_of(answers["policies"]), labels_of(answers["policies"])
    cut = way.cuts(known, labels, port)
    named = [one for one in known if one.name in (*cut.certain, *cut.possible)]
    newest = max(named, key=lambda one: one.created_at or 0.0, default=None)
    created = newest.created_at if newest else None
    distance = None if created is None or onset is None else onset - created
    facts = Facts(
        port=port,
        policies=len(known),
        cuts=list(cut.certain),
        may_cut=list(cut.possible),
        newest=newest.name if newest else None,
        created=created,
        distance=number(distance, 0) if distance is not None else None,
        near=distance is not None and -SLACK_SECONDS <= distance <= NEAR_SECONDS,
    )
    abnormal = bool(cut.certain or (cut.possible and facts.near))
    rows = tuple(_row(c, one, labels, facts) for one in known)
    columns = ("Policy", "Created", "Restricts", "The service's pods", way.column.format(port))
    tables = (Table("policies", columns, rows),) if rows else ()
    return Result("abnormal" if abnormal else "normal", _sentence(c, facts, way), facts, tables=tables)


def _row(c: Context, policy: Policy, labels: Labels, facts: Facts) -> tuple[str, ...]:
    directions = [name for name in ("ingress", "egress") if getattr(policy, name) is not None]
    state = "cut" if policy.name in facts.cuts else "for some addresses" if policy.name in facts.may_cut else "open"
    about = policy.selects(labels)
    return (
        policy.name,
        clock_text(policy.created_at, c.started_at) if policy.created_at else "",
        ", ".join(directions),
        "selected" if about else "not selected",
        state if about else "",
    )


def _sentence(c: Context, facts: Facts, way: Way) -> str:
    port, cuts, perhaps = facts.port, facts.cuts, facts.may_cut
    if cuts:
        return f"Yes: {_named(cuts)} {way.closed.format(port)}{_when(c, facts)}."
    if perhaps:
        return f"Perhaps: {_named(perhaps)} {way.partly.format(port)}{_when(c, facts)}."
    if not facts.policies:
        return f"No: the namespace has no NetworkPolicy of its own{ELSEWHERE}."
    return f"No: none of the namespace's {facts.policies} policies {way.keeps.format(port)}{ELSEWHERE}."


def _named(names: Sequence[str]) -> str:
    return f"the policy {names[0]}" if len(names) == 1 else f"the policies {', '.join(names)} together"


def _when(c: Context, facts: Facts) -> str:
    if facts.created is None:
        return ""
    which = f"{facts.newest} " if len(facts.cuts or facts.may_cut) > 1 else ""
    made = f"; {which}created at {clock_text(facts.created, c.started_at)}"
    if facts.distance is None:
        return made
    order = "before" if facts.distance >= 0 else "after"
    return f"{made}, {duration_text(abs(facts.distance))} {order} the onset"


CHECK = guarding(TO_DATABASE)
