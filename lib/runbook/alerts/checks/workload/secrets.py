"""Was a Secret created shortly before the onset, or is one missing? Reads names and ages, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import split_time
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result, Status, Table
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.secrets import Known, secrets_of
from runbook.text.time import clock_text, duration_text

NEAR_SECONDS = 1800  # one created this long before the onset may be its cause: pods read it when they restart
SLACK_SECONDS = 90  # an onset that is found this much too early still counts as after it
_EXACT = ((600, 1), (8 * 3600, 60), (8 * 86_400, 3600))  # up to this age kubectl prints it to so many seconds
SHOWN = 12
IN_PLACE = "A Secret edited in place keeps its age, so a change is not excluded"


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many Secrets and ConfigMaps are known; by name ("secret/x") those that the pods refer to, those of them that
    are missing, and those created near the onset (`fresh`), with the seconds from the newest of these to the onset
    (negative: after it; None without any).

    `near` says whether any was; None where the ages that Kubernetes prints are too coarse to say.
    """

    known: int
    referenced: tuple[str, ...]
    missing: tuple[str, ...]
    fresh: tuple[str, ...]
    fresh_distance: int | None
    near: bool | None


def _queries(c: Context) -> Mapping[str, Query]:
    return {"secrets": kubernetes.secrets(c.service.namespace, c.service.deployment)}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    found, began = secrets_of(answers["secrets"]), split_time(c, earlier.onset)
    asked_at = answers["secrets"].data["asked_at"]
    used = [one for one in found.known if not found.referenced or one.name in found.referenced]
    nearness = {one.name: near(one, asked_at, began) for one in used}
    fresh = tuple(name for name, is_near in nearness.items() if is_near)
    created = {one.name: one.created_at for one in found.known}
    facts = Facts(
        known=len(found.known),
        referenced=found.referenced,
        missing=found.missing,
        fresh=fresh,
        fresh_distance=round(began - max(created[name] or 0.0 for name in fresh)) if fresh else None,
        near=True if fresh else None if None in nearness.values() else False,
    )
    rows = tuple(
        (one.name, one.type, "yes" if one.name in found.referenced else "", made_text(c, one, asked_at))
        for one in sorted(found.known, key=lambda one: (-(one.created_at or 0.0), one.name))[:SHOWN]
    )
    tables = (Table("secrets", ("Name", "Type", "Used by the pods", "Created"), rows),) if rows else ()
    bad = fresh or found.missing
    status: Status = "abnormal" if bad else "unknown" if facts.near is None else "normal"
    return Result(status, _sentence(facts), facts, tables=tables)


def exactness(age: float) -> float:
    """By how many seconds the age that kubectl prints may be too low: it leaves out the smaller units."""
    return next((float(step) for limit, step in _EXACT if age < limit), 86_400.0)


def near(one: Known, asked_at: float, began: float) -> bool | None:
    """Whether it was created shortly before the onset; None where its age is too coarse to say."""
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


def fresh_text(facts: Facts) -> str:
    """What was created near the onset, and how long before or after it; "" without any."""
    if facts.fresh_distance is None:
        return ""
    order = "before" if facts.fresh_distance >= 0 else "after"
    created = "was created" if len(facts.fresh) == 1 else "were created, the newest"
    return f"{', '.join(facts.fresh)} {created} {duration_text(abs(facts.fresh_distance))} {order} the onset"


def missing_text(facts: Facts) -> str:
    """What the pods need and the namespace does not have; "" where nothing is missing."""
    if not facts.missing:
        return ""
    return f"{', '.join(facts.missing)} {'is' if len(facts.missing) == 1 else 'are'} missing"


def _sentence(facts: Facts) -> str:
    found = [text for text in (missing_text(facts), fresh_text(facts)) if text]
    if found:
        return f"Yes: {'; '.join(found)}."
    if facts.near is None:
        return "Not known: by now the ages that Kubernetes prints are too coarse to compare with the onset."
    none = f"none of {facts.known} Secrets and ConfigMaps is missing or was created shortly before the onset"
    return f"No: {none}. {IN_PLACE}."


CHECK = Check("secrets", "Is a Secret new or missing?", Facts, _queries, _judge, requires=("secrets",))
