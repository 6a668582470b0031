"""The steps of mitigations as they are shown: numbered, each a command to copy or a sentence to a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.model import Mitigation, Step, StepKind
from runbook.text import shell


@dataclass(frozen=True)
class StepView:
    """A step: a `command` or else a `sentence`; undone by `undo_command` or as `undo` says; "" for what it is not."""

    number: int
    kind: StepKind
    command: str
    sentence: str
    precondition: str
    risk: str
    undo_command: str
    undo: str
    watch: str

    @property
    def what(self) -> str:
        """What to do, as text."""
        return self.command or self.sentence

    @property
    def undone(self) -> str:
        """How to undo it, as text."""
        return self.undo_command or self.undo


@dataclass(frozen=True)
class MitigationView:
    """What to do about one cause."""

    cause: str
    title: str
    steps: tuple[StepView, ...]


@dataclass(frozen=True)
class DoNow:
    """The one thing to do: `step`, after `looks`. Where no step is known, `otherwise` says what to do instead."""

    title: str
    looks: tuple[StepView, ...] = ()
    step: StepView | None = None
    otherwise: str = ""


def mitigation_view(mitigation: Mitigation) -> MitigationView:
    """A mitigation with its steps numbered."""
    steps = tuple(_step(number, step) for number, step in enumerate(mitigation.steps, 1))
    return MitigationView(mitigation.cause, mitigation.title, steps)


def _step(number: int, step: Step) -> StepView:
    return StepView(
        number=number,
        kind=step.kind,
        command=shell.command(step.argv),
        sentence=step.text,
        precondition=step.precondition,
        risk=step.risk,
        undo_command=shell.command(step.undo_argv),
        undo=step.undo,
        watch=step.watch,
    )


def first_step(mitigations: Sequence[MitigationView]) -> DoNow | None:
    """The first step against the most probable cause that changes something, and what to look at before it.

    Where all of them only read, the first of those; None where there is no step at all.
    """
    first = next((one for one in mitigations if one.steps), None)
    if first is None:
        return None
    place = next((n for n, step in enumerate(first.steps) if step.kind != "read"), 0)
    return DoNow(first.title, first.steps[:place], first.steps[place])
