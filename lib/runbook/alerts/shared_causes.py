"""The causes that several alerts suspect, and the signs that speak for or against more than one cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runbook.alerts.checks.workload.changes import CALM_MINUTES
from runbook.alerts.mitigations.capacity import shed_or_serve
from runbook.alerts.mitigations.releases import roll_back
from runbook.investigation.definitions import Cause, Sign
from runbook.model import JSON
from runbook.text.format import duration_text, plain_text, share_text

Facts = Mapping[str, JSON]


def about(subject: str, share: float = 0.3) -> Callable[[Facts], bool]:
    """Whether the additional log messages speak of a subject."""
    return lambda f: f["about"][subject] >= share


def told(subject: str) -> Callable[[Facts], str]:
    """The clause for it."""
    return lambda f: f"{share_text(f['about'][subject])} of the additional log messages speak of it"


def times_as_many(f: Facts) -> str:
    """How much more traffic there is."""
    return f"{f['times']:.1f} times the usual requests" if f["times"] is not None else "requests where there were none"


ONLY_NEW_PODS = Sign(
    "changes",
    0.6,
    lambda f: f["only_new"] and bool(f["near"]),
    lambda f: f"only the pods of revision {f['revision']} suffer, the others do well",
)


DEPLOYMENT = Cause(
    "deployment",
    "Bad deployment",
    phrase=lambda results: f"a bad deployment: revision {results['changes'].facts['revision']}",
    plan=roll_back,
    needs=("changes",),
    decides=(("changes", "near"),),
    supports=(
        Sign(
            "changes",
            0.4,
            lambda f: f["near"],
            lambda f: (
                f"it began {duration_text(abs(f['distance']))} {'after' if f['distance'] >= 0 else 'before'} revision {f['revision']}"
            ),
        ),
        Sign(
            "changes",
            0.6,
            lambda f: (f["only_new"] and f["near"]) or f["worse"],
            lambda f: f["compared"],
        ),
        Sign("resources", 0.5, lambda f: bool(f.get("heavier")), lambda f: f["heavier"]),
        Sign(
            "logs",
            0.1,
            lambda f: bool(f["new"]) and f["new_share"] >= 0.3,
            lambda f: f"new message “{plain_text(f['new'][0], 100)}”",
        ),
    ),
    refutes=(
        Sign(
            "changes",
            0.9,
            lambda f: f["near"] is False and not f["worse"],
            lambda f: "no rollout shortly before the onset",
        ),
        Sign(
            "changes",
            0.7,
            lambda f: f["near"] and f["calm_minutes"] >= CALM_MINUTES,
            lambda f: f"revision {f['revision']} served {f['calm_minutes']:.0f} min without trouble first",
        ),
        Sign("changes", 0.7, lambda f: f["near"] and f["alike"], lambda f: "the other revision suffers alike"),
    ),
)

TRAFFIC = Cause(
    "traffic",
    "Traffic surge",
    phrase=lambda results: f"a traffic surge: {times_as_many(results['traffic'].facts)}",
    plan=shed_or_serve,
    needs=("traffic",),
    decides=(("traffic", "surge"),),
    supports=(
        Sign("traffic", 0.6, lambda f: f["surge"], times_as_many),
        Sign(
            "scope",
            0.2,
            lambda f: f["overload_share"] >= 0.5,
            lambda f: f"{share_text(f['overload_share'])} of the failures are 503 or 429",
        ),
        Sign("logs", 0.4, about("traffic"), told("traffic")),
    ),
    refutes=(Sign("traffic", 0.9, lambda f: f["surge"] is False, lambda f: "as many requests as usual"),),
)
