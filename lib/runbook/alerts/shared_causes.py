"""The causes that several alerts suspect, and the signs for or against more than one cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import Protocol

from runbook.alerts.checks.logs import error_messages
from runbook.alerts.checks.logs.error_messages import Subject
from runbook.alerts.checks.requests import scope, traffic
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.checks.workload.changes import CALM_MINUTES
from runbook.alerts.mitigations.capacity import shed_or_serve
from runbook.alerts.mitigations.releases import roll_back
from runbook.investigation.definitions import Cause, Conclusive, Sign
from runbook.text.escape import plain_text
from runbook.text.format import share_text
from runbook.text.time import duration_text


class About(Protocol):
    """Facts of log messages: by subject, the share of the messages above the usual rate."""

    @property
    def about(self) -> Mapping[str, float]:
        """0..1; a subject that the check does not read is not there."""


def about(subject: Subject, share: float = 0.3) -> Callable[[About], bool]:
    """Whether the log messages above the usual rate are about a subject."""
    return lambda f: f.about.get(subject, 0.0) >= share


def share_of(subject: Subject) -> Callable[[About], str]:
    """The clause for it."""
    return lambda f: f"{share_text(f.about.get(subject, nan))} of the log messages above the usual rate are about it"


def times_as_many(f: traffic.Facts) -> str:
    """How much more traffic there is."""
    return f"{f.times:.1f} times the usual requests" if f.times is not None else "requests where there were none"


def _began(f: changes.Facts) -> str:
    """How long before or after a rollout."""
    if f.distance is None:
        return f"it began about when revision {f.revision} was rolled out"
    order = "after" if f.distance >= 0 else "before"
    return f"it began {duration_text(abs(f.distance))} {order} revision {f.revision}"


ONLY_NEW_PODS = Sign(
    changes.Facts,
    0.6,
    lambda f: f.only_new and bool(f.near),
    lambda f: f"only the pods of revision {f.revision} are affected, the others are healthy",
)


DEPLOYMENT = Cause(
    "deployment",
    "Bad deployment",
    phrase=lambda results: f"a bad deployment: revision {results.required(changes.Facts).revision}",
    plan=roll_back,
    requires=(changes.Facts,),
    conclusive=(Conclusive(changes.Facts, "near"),),
    supports=(
        Sign(changes.Facts, 0.4, lambda f: f.near, _began),
        Sign(changes.Facts, 0.6, lambda f: (f.only_new and f.near) or f.worse, lambda f: f.compared or ""),
        Sign(resource_limits.Facts, 0.5, lambda f: bool(f.heavier), lambda f: f.heavier or "", optional=True),
        Sign(
            error_messages.Facts,
            0.1,
            lambda f: bool(f.new) and f.new_share >= 0.3,
            lambda f: f"new message “{plain_text(f.new[0], 100)}”",
            optional=True,
        ),
    ),
    refutes=(
        Sign(
            changes.Facts,
            0.9,
            lambda f: f.near is False and not f.worse,
            lambda f: "no rollout shortly before the onset",
        ),
        Sign(
            changes.Facts,
            0.7,
            lambda f: f.near and f.calm_minutes >= CALM_MINUTES,
            lambda f: f"revision {f.revision} served {f.calm_minutes:.0f} min without trouble first",
        ),
        Sign(changes.Facts, 0.7, lambda f: f.near and f.alike, lambda f: "the other revision suffers as much"),
    ),
)

TRAFFIC = Cause(
    "traffic",
    "Traffic surge",
    phrase=lambda results: f"a traffic surge: {times_as_many(results.required(traffic.Facts))}",
    plan=shed_or_serve,
    requires=(traffic.Facts,),
    conclusive=(Conclusive(traffic.Facts, "surge"),),
    supports=(
        Sign(traffic.Facts, 0.6, lambda f: f.surge, times_as_many),
        Sign(
            scope.Facts,
            0.2,
            lambda f: f.overload_share >= 0.5,
            lambda f: f"{share_text(f.overload_share)} of the failures are 503 or 429",
            optional=True,
        ),
        Sign(error_messages.Facts, 0.4, about("traffic"), share_of("traffic"), optional=True),
    ),
    refutes=(Sign(traffic.Facts, 0.9, lambda f: f.surge is False, lambda f: "as many requests as usual"),),
)
