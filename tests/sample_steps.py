"""Steps of mitigations: one that only looks, one that changes something, one for a person."""

from __future__ import annotations

from runbook.model import Mitigation, Step
from runbook.text import shell


def rollout_undo(revision: int) -> tuple[str, ...]:
    """The command that rolls back to a revision."""
    where = ("--context", "production", "-n", "web")
    return ("kubectl", *where, "rollout", "undo", "deployment/rust-micro-front-end", f"--to-revision={revision}")


ROLL_BACK = shell.command(rollout_undo(13))
MITIGATIONS = (
    Mitigation(
        "deployment",
        "Roll back to revision 13",
        (
            Step(
                kind="change",
                argv=rollout_undo(13),
                precondition="nobody else has rolled back since 11:10 UTC",
                risk="what revision 14 changed in `/edit` is lost",
                undo_argv=rollout_undo(14),
                watch="failed requests below 5 % for 5 minutes",
            ),
            Step(
                kind="manual",
                text="Tell the authors of revision 14 what was rolled back.",
                precondition="the roll-back is done",
                risk="none",
                undo="nothing to undo",
                watch="they have stopped the next rollout",
            ),
        ),
    ),
)
LOOK = Step(
    kind="read",
    argv=("kubectl", "--context", "production", "-n", "web", "describe", "pod/web-1"),
    precondition="none",
    risk="none, it only reads",
    undo="nothing to undo",
    watch="Shows whether the pod is ready.",
)
