"""The procedure's table of severities: how soon somebody responds, and by which means people are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runbook.investigation.definitions import Severity

Means = Literal["PagerDuty", "SMS", "e-mail", "ticket"]


@dataclass(frozen=True)
class Response:
    """What the procedure asks for at a severity; `seconds` is None where it counts in business days."""

    within: str
    means: tuple[Means, ...]
    seconds: int | None = None

    @property
    def told(self) -> str:
        """The means in words."""
        return ", ".join(self.means)


RESPONSES: Mapping[Severity, Response] = {
    "critical": Response("respond at once, at any hour", ("PagerDuty", "SMS", "e-mail"), 0),
    "high": Response("respond within 1 hour", ("PagerDuty", "e-mail"), 3600),
    "medium": Response("respond within 4 hours", ("e-mail",), 4 * 3600),
    "low": Response("respond on the next business day", ("ticket",)),
}
