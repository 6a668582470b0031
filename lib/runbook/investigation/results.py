"""What the checks of one alert found, read by the type of their facts: a wrong name is refused, never ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from runbook.errors import DefinitionError
from runbook.model import AlertFacts, Facts, Result
from runbook.text.suggest import hint

F = TypeVar("F", bound=Facts)


class Asked(Protocol):
    """What is to be known of a check to find its facts."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def question(self) -> str:
        """What it asks."""

    @property
    def facts(self) -> type[Facts]:
        """The type of what it finds."""


def check_name(facts: type[Facts]) -> str:
    """The name of the check whose facts these are: its module's."""
    return facts.__module__.rpartition(".")[2]


def asks(checks: Sequence[Asked], facts: type[Facts]) -> bool:
    """Whether one of the checks finds such facts."""
    return any(issubclass(check.facts, facts) for check in checks)


@dataclass(frozen=True)
class Results(Mapping[str, Result]):
    """Results by the name of their check, in the order of the alert's checks; `checks` are all that the alert has.

    `reads` limits whose facts may be read, for a plan that declares it. Without both nothing is refused.
    """

    found: Mapping[str, Result]
    checks: Sequence[Asked] = ()
    reads: Collection[type[Facts]] | None = None

    def __getitem__(self, name: str) -> Result:
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def result(self, facts: type[F], *, optional: bool = False) -> Result | None:
        """The result of the check that finds such facts; None where it did not run.

        Raises DefinitionError where the alert has no such check, unless that is `optional`.
        """
        self._refuse(facts, optional)
        return self.found.get(self.name_of(facts))

    def facts(self, facts: type[F], *, optional: bool = False) -> F | None:
        """What a check found, also where that is not enough for a status; None where it found nothing."""
        result = self.result(facts, optional=optional)
        return result.facts if result is not None and isinstance(result.facts, facts) else None

    def known(self, facts: type[F], *, optional: bool = False) -> F | None:
        """The same, and None where the check is unknown, so that nothing is concluded from absence."""
        result = self.result(facts, optional=optional)
        known = result is not None and result.status != "unknown"
        return result.facts if result is not None and known and isinstance(result.facts, facts) else None

    def required(self, facts: type[F]) -> F:
        """The facts of a check without which the caller is not asked: a cause's phrase of what the cause requires."""
        found = self.facts(facts)
        if found is None:
            raise LookupError(f"the check {self.name_of(facts)} found nothing")
        return found

    @property
    def onset(self) -> float | None:
        """When the trouble began, as the alert's first check found it, in epoch seconds."""
        first = next(iter(self.found.values()), None)
        return first.facts.onset if first is not None and isinstance(first.facts, AlertFacts) else None

    def name_of(self, facts: type[Facts]) -> str:
        """The name of the check that finds such facts."""
        named = (check.name for check in self.checks if issubclass(check.facts, facts))
        seen = (name for name, result in self.found.items() if isinstance(result.facts, facts))
        return next(named, next(seen, check_name(facts)))

    def question_of(self, facts: type[Facts]) -> str:
        """What that check asks, for a person; its name where that is not known."""
        return next((c.question for c in self.checks if issubclass(c.facts, facts)), self.name_of(facts))

    def limited_to(self, reads: Collection[type[Facts]]) -> Results:
        """The same, refusing to read other facts."""
        return Results(self.found, self.checks, tuple(reads))

    def _refuse(self, facts: type[Facts], optional: bool) -> None:
        if self.reads is not None and not any(issubclass(one, facts) or issubclass(facts, one) for one in self.reads):
            raise DefinitionError(
                f"The facts of {check_name(facts)} are read and not declared; declare what a plan reads."
            )
        if self.checks and not optional and not asks(self.checks, facts):
            known = [check.name for check in self.checks]
            raise DefinitionError(
                f"The alert has no check {check_name(facts)}; {hint(check_name(facts), known)} Or read it as optional."
            )
