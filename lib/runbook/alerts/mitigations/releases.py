"""Going back to the release that did well."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.alerts.checks.requests import scope
from runbook.alerts.checks.workload import changes
from runbook.alerts.mitigations.commands import (
    change,
    deployment,
    kubectl,
    number,
    read,
    resume,
    until_healthy,
    whole,
    worst_pod,
)
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.text.format import clock_text


def roll_back(c: Context, results: Results) -> Plan:
    """Back to the revision before the suspect, unless somebody went back already."""
    facts = results.facts(changes.Facts)
    suspect, current = whole(facts.revision), whole(facts.current_revision)
    pods = worst_pod(c, results, results.facts(scope.Facts).get("top_pod"))
    if suspect is None or current is None:
        return "Roll back to the revision that did well", (_find_revision(c), *pods)
    if suspect != current:
        return f"Revision {suspect} is out of service already", (*_rolled_back(c, facts, suspect, current), *pods)
    return "Roll back to the previous revision", (*pods, *resume(c, results), *_undo(c, facts, suspect))


def _find_revision(c: Context) -> Step:
    return read(
        kubectl(c, "rollout", "history", deployment(c)),
        "the last revision that did well; go back to it by its number: "
        f"{kubectl(c, 'rollout', 'undo', deployment(c), '--to-revision=')}",
        "which revision runs and which is to blame is not known",
    )


def _rolled_back(c: Context, facts: Mapping[str, JSON], suspect: int, current: int) -> tuple[Step, ...]:
    since = number(facts.current_since)
    when = f" since {clock_text(since, c.started_at)}" if since else ""
    return (
        Step(
            f"Do not roll back: revision {suspect} no longer runs; revision {current} does{when}.",
            "none",
            "one more roll-back would replace the revision that was just brought back",
            "nothing to undo",
            until_healthy(c),
        ),
        rollout_status(c, "none"),
        read(
            kubectl(c, "rollout", "history", deployment(c), f"--revision={current}"),
            f"the image and settings of revision {current} are those that did well",
        ),
    )


def _undo(c: Context, facts: Mapping[str, JSON], suspect: int) -> tuple[Step, ...]:
    previous = whole(facts.previous_revision)
    if previous is None:
        again = Step(
            f"Deploy the release before revision {suspect} again, the way it was deployed: no earlier revision is known.",
            "you know that it did well",
            f"what revision {suspect} changed is lost; data it migrated may not fit the older one",
            f"deploy the release of revision {suspect} again",
            until_healthy(c),
        )
        return (again, read(kubectl(c, "rollout", "history", deployment(c)), "whether it lists an earlier revision"))
    return (
        change(
            c,
            kubectl(c, "rollout", "undo", deployment(c), f"--to-revision={previous}"),
            f"nobody rolled back since {clock_text(c.end, c.started_at)}: revision {suspect} is still the last one of "
            f"`{kubectl(c, 'rollout', 'history', deployment(c))}`",
            f"what revision {suspect} changed is lost; data it migrated may not fit the older one",
            kubectl(c, "rollout", "undo", deployment(c), f"--to-revision={suspect}"),
        ),
        rollout_status(c, "after the roll-back"),
    )


def rollout_status(c: Context, precondition: str) -> Step:
    """Whether a rollout has reached every pod."""
    command = kubectl(c, "rollout", "status", deployment(c), "--timeout=5m")
    return read(command, "ends with “successfully rolled out”", precondition)
