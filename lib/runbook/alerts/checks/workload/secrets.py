"""Were Secrets made anew shortly before it began, or is one missing? Names and ages alone, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import split_time
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Status, Table
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.secrets import Known, secrets_of
from runbook.text.format import clock_text, duration_text

NEAR_SECONDS = 1800  # one made this long before the onset may be its cause: pods read it when they start anew
SLACK_SECONDS = 90  # an onset found this much too early still counts as after it
_EXACT = ((600, 1), (8 * 3600, 60), (8 * 86_400, 3600))  # up to this age kubectl prints it to so many seconds
SHOWN = 12
IN_PLACE = "but one changed in place keeps its age"


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    known: TODO
    referenced: TODO
    missing: TODO
    fresh: TODO
    fresh_distance: TODO
    near: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    return {"secrets": kubernetes.secrets(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    found, began = secrets_of(answers["secrets"]), split_time(c, earlier.onset)
    asked_at = answers["secrets"].data["asked_at"]
    used = [one for one in found.known if not found.referenced or one.name in found.referenced]
    nearness = {one.name: near(one, asked_at, began) for one in used}
    fresh = [name for name, is_near in nearness.items() if is_near]
    made = {one.name: one.created_at for one in found.known}
    facts = Facts(
        known=len(found.known),
        referenced=list(found.referenced),
        missing=list(found.missing),
        fresh=fresh,
        fresh_distance=round(began - max(made[name] or 0.0 for name in fresh)) if fresh else None,
        near=True if fresh else None if None in nearness.values() else False,
    )
    rows = tuple(
        (one.name, one.type, "yes" if one.name in found.referenced else "", made_text(c, one, asked_at))
        for one in sorted(found.known, key=lambda one: (-(one.created_at or 0.0), one.name))[:SHOWN]
    )
    tables = (Table("secrets", ("Name", "Type", "Used by the pods", "Made"), rows),) if rows else ()
    bad = fresh or found.missing
    status: Status = "abnormal" if bad else "unknown" if facts.near is None else "normal"
    return Result(status, _sentence(facts), facts, tables=tables)


def exactness(age: float) -> float:
    """How many seconds younger something may be than the age that kubectl prints of it says."""
    return next((float(step) for limit, step in _EXACT if age < limit), 86_400.0)


def near(one: Known, asked_at: float, began: float) -> bool | None:
    """Whether it was made shortly before the trouble began; None where its age is too coarse to say."""
    if one.created_at is None:
        return None
    latest, earliest = one.created_at, one.created_at - exactness(asked_at - one.created_at)
    first, last = began - NEAR_SECONDS, began + SLACK_SECONDS
    if latest < first or earliest > last:
        return False
    return True if earliest >= first and latest <= last else None


def made_text(c: Context, one: Known, asked_at: float) -> str:
    """The time of day where it is known to the minute; otherwise the age."""
    if one.created_at is None:
        return ""
    age = asked_at - one.created_at
    return clock_text(one.created_at, c.started_at) if exactness(age) <= 60 else f"{duration_text(age)} old"


def _sentence(facts: Facts) -> str:
    parts = []
    if facts.missing:
        parts.append(f"{', '.join(facts.missing)} missing")
    if facts.fresh:
        distance = facts.fresh_distance
        order = "before" if distance >= 0 else "after"
        parts.append(f"{', '.join(facts.fresh)} made {duration_text(abs(distance))} {order} the onset")
    if parts:
        return f"Yes: {'; '.join(parts)}."
    if facts.near is None:
        return "Not known: the ages that Kubernetes prints are too coarse by now to compare with the onset."
    return f"No: none of {facts.known} Secrets and ConfigMaps is missing or was made shortly before it, {IN_PLACE}."


CHECK = Check("secrets", "Was a Secret made anew?", Facts, _queries, _judge, requires=("secrets",))
