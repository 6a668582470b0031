"""The queries of one run go out together: as long as about the slowest takes, not as their sum."""

from __future__ import annotations

import time
from pathlib import Path

from runbook.alerts.high_error_rate import ALERT
from runbook.clock import Frozen
from runbook.investigation.investigator import Investigator
from runbook.model import Answer, Query, failed
from tests.bench.timing import Row, compare
from tests.fakes import context

SECONDS = {"prometheus": 0.05, "elasticsearch": 0.2, "kubernetes": 0.1, "probe": 0.02}
TITLE = f"the queries of HighErrorRate, at sources that take {SECONDS}"


class Slow:
    """Takes its time, as a network does."""

    def ask(self, query: Query) -> Answer:
        time.sleep(SECONDS[query.source])
        return failed(query, "asked")


def measure(directory: Path) -> list[Row]:
    """The slowest query alone, all of them as a run sends them, and one after the other."""
    asked = [query for check in ALERT.checks for query in check.queries(context()).values()]

    def together() -> None:
        Investigator(ALERT, context(), Slow(), Frozen(0)).results()

    return compare(
        {
            "the slowest query alone": lambda: Slow().ask(max(asked, key=lambda query: SECONDS[query.source])),
            f"all {len(asked)}, as a run sends them": together,
            "one after the other": lambda: [Slow().ask(query) for query in asked],
        },
        rounds=3,
    )
