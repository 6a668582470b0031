"""Going back to the release that was healthy."""

from __future__ import annotations

from runbook.alerts.checks.requests import scope
from runbook.alerts.checks.workload import changes, resource_limits
from runbook.alerts.mitigations.commands import (
    by_hand,
    change,
    deployment,
    kubectl,
    number,
    read,
    resume,
    whole,
    worst_pod,
)
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.text.shell import command
from runbook.text.time import clock_text


@plan(changes.Facts, may_read=(scope.Facts, resource_limits.Facts))
def roll_back(c: Context, results: Results) -> Planned:
    """Back to the revision before the suspect, unless somebody went back already."""
    facts, scoped = results.facts(changes.Facts), results.facts(scope.Facts, optional=True)
    pods = worst_pod(c, results, scoped.top_pod if scoped else None)
    if (
        facts is None
        or (suspect := whole(facts.revision)) is None
        or (current := whole(facts.current_revision)) is None
    ):
        return "Roll back to the last healthy revision", (_find_revision(c), *pods)
    if suspect != current:
        return f"Revision {suspect} is out of service already", (*_rolled_back(c, facts, suspect, current), *pods)
    return "Roll back to the previous revision", (*pods, *resume(c, results), *_undo(c, facts, suspect))


def _find_revision(c: Context) -> Step:
    undo = command(kubectl(c, "rollout", "undo", deployment(c), "--to-revision=NUMBER"))
    return read(
        kubectl(c, "rollout", "history", deployment(c)),
        f"Shows the revisions. Find the last healthy one and go back to it by its number: `{undo}`",
        "this run does not know which revision runs and which one is the suspect",
    )


def _rolled_back(c: Context, facts: changes.Facts, suspect: int, current: int) -> tuple[Step, ...]:
    since = number(facts.current_since)
    when = f" since {clock_text(since, c.started_at)}" if since else ""
    return (
        by_hand(
            c,
            f"Do not roll back: revision {suspect} no longer runs; revision {current} does{when}.",
            precondition="none",
            risk="another rollback would replace the revision that was just brought back",
            undo="nothing to undo",
        ),
        rollout_status(c, "none"),
        read(
            kubectl(c, "rollout", "history", deployment(c), f"--revision={current}"),
            f"Shows the image and settings of revision {current}. Check that they are the healthy ones.",
        ),
    )


def _undo(c: Context, facts: changes.Facts, suspect: int) -> tuple[Step, ...]:
    previous = whole(facts.previous_revision)
    history = kubectl(c, "rollout", "history", deployment(c))
    lost = f"what revision {suspect} changed is lost; data that it migrated may not fit the older one"
    if previous is None:
        again = by_hand(
            c,
            f"Deploy the release before revision {suspect} again, with your usual tool: no earlier revision is known.",
            precondition="you know that the older release was healthy",
            risk=lost,
            undo=f"deploy the release of revision {suspect} again",
        )
        return (again, read(history, "Shows whether there is an earlier revision."))
    return (
        change(
            c,
            kubectl(c, "rollout", "undo", deployment(c), f"--to-revision={previous}"),
            precondition=f"nobody has rolled back since {clock_text(c.end, c.started_at)}: "
            f"`{command(history)}` must still list revision {suspect} last",
            risk=lost,
            undo=kubectl(c, "rollout", "undo", deployment(c), f"--to-revision={suspect}"),
        ),
        rollout_status(c, "after the rollback"),
    )


def rollout_status(c: Context, precondition: str) -> Step:
    """Whether a rollout has reached every pod."""
    argv = kubectl(c, "rollout", "status", deployment(c), "--timeout=5m")
    return read(argv, "Waits until every pod is replaced. It ends with “successfully rolled out”.", precondition)
