"""The limits that alerts fire at: an alert declares each by its name, a service's profile may set another value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from math import inf

from runbook.config.schema import Thresholds
from runbook.errors import DefinitionError

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """A limit, by its name in `[service.NAME.thresholds]`: its value where a profile sets none, its unit, its meaning.

    A value is above 0, below `less_than`, and a `whole` number where nothing else makes sense. A default that is none
    of these is refused when the alert is imported.
    """

    name: str
    default: int | float
    unit: str
    meaning: str
    _: KW_ONLY
    less_than: float = inf
    whole: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DefinitionError(f"{self.name[:80]!r} is no name for a threshold; write it like queue_length.")
        if self.problem(self.default):
            raise DefinitionError(f"The default of the threshold {self.name} {self.problem(self.default)}")

    def of(self, thresholds: Thresholds) -> int | float:
        """Its value in a profile."""
        return thresholds.get(self.name, self.default)

    def problem(self, value: int | float) -> str:
        """What is wrong with a value, as the end of a sentence; "" where nothing is."""
        if self.whole and not isinstance(value, int):
            return f"should be a whole number ({self.unit})."
        if not 0 < value < self.less_than:
            below = "" if self.less_than == inf else f" and below {self.less_than:g}"
            return f"should be a number above 0{below} ({self.unit})."
        return ""


def effective(declared: Iterable[Threshold], thresholds: Thresholds) -> dict[str, int | float]:
    """A profile's thresholds, completed by the defaults of those declared: what a recording keeps."""
    return {**thresholds, **{one.name: one.of(thresholds) for one in declared}}
