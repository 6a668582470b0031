"""docs/coverage.md: what of the runbooks answers each step of the written procedure, proved against the catalogue.

python -m tests.coverage        # writes it; a test holds it fresh
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from runbook.alerts.registry import SHIPPED
from runbook.incident import Incident
from runbook.investigation.definitions import Alert, Context
from runbook.investigation.result import Investigation
from runbook.investigation.results import Results
from runbook.text.shell import command
from tests import ROOT, fakes

PROCEDURE = ROOT / "tests/procedure.toml"
PAGE = ROOT / "docs/coverage.md"
KINDS = ("investigation", "mitigation", "verification")
INTRODUCTION = """\
# What the runbooks cover

Every step of the procedure that these runbooks replace, and what answers it: a check, a plan or the verification,
in which code cell `[n]` of the alert's notebook. Made by `python -m tests.coverage`, which fails where a step is not
answered; a test holds it fresh.
"""


class Gap(Exception):
    """A step of the procedure that no runbook answers."""


@dataclass(frozen=True)
class Row:
    """One step, what answers it, and in which cell of the notebook it is shown."""

    alert: str
    kind: str
    step: str
    answer: str
    cell: int


def rows() -> list[Row]:
    """Every step of the procedure; raises Gap where one is not answered."""
    procedure = tomllib.loads(PROCEDURE.read_text(encoding="utf-8"))
    return [
        row(SHIPPED.load(name), kind, entry)
        for name in procedure
        for kind in KINDS
        for entry in procedure[name].get(kind, ())
    ]


def row(alert: Alert, kind: str, entry: Mapping[str, Any]) -> Row:
    """What answers one entry of the procedure; raises Gap where nothing does."""
    if "check" in entry:
        return _checked(alert, kind, entry["step"], entry["check"])
    if "cause" in entry:
        return _mitigated(alert, kind, entry["step"], entry["cause"], says=entry["says"])
    return _verified(alert, kind, entry["step"], entry["recovery"])


def _checked(alert: Alert, kind: str, step: str, name: str) -> Row:
    found = [check for check in alert.checks if check.name == name]
    if not found:
        raise Gap(f"{alert.name}: no check {name!r} for: {step}")
    return Row(alert.name, kind, step, f"`{name}`: {found[0].question}", _cell(alert, f'"{name}"'))


def _mitigated(alert: Alert, kind: str, step: str, name: str, *, says: Sequence[str]) -> Row:
    cause = next((cause for cause in alert.causes if cause.name == name), None)
    if cause is None:
        raise Gap(f"{alert.name}: no cause {name!r} for: {step}")
    told = "\n".join(_told(cause.plan(context, found)) for context, found in _cases(alert))
    if missing := [words for words in says if words.lower() not in told.lower()]:
        raise Gap(f"{alert.name}: the plan for {name!r} does not say {missing} for: {step}\n{told}")
    return Row(alert.name, kind, step, f"plan for `{name}` ({cause.title})", _cell(alert, "mitigation()"))


def _told(plan: tuple[str, Sequence[Any]]) -> str:
    title, steps = plan
    texts = (
        text
        for s in steps
        for text in (command(s.argv), s.text, s.precondition, s.risk, command(s.undo_argv), s.undo, s.watch)
    )
    return "\n".join([title, *texts])


@cache
def _replayed(name: str) -> Investigation:
    return Incident.replay(ROOT / "notebooks/recordings" / f"{name}.jsonl.gz").investigation()


def _cases(alert: Alert) -> Iterator[tuple[Context, Results]]:
    """The bundled recording's run, and one in which no check ran: what plans say with and without facts."""
    replayed = _replayed(alert.name)
    yield replayed.context, Results({finding.check: finding.result for finding in replayed.findings}, alert.checks)
    yield fakes.context(), Results({}, alert.checks)


def _verified(alert: Alert, kind: str, step: str, says: Sequence[str]) -> Row:
    context = replace(fakes.context(), mitigated_at=fakes.context().end - 400)
    asked = [*alert.recovery.queries(context, context.end).values(), *alert.recovery.probes(context).values()]
    told = "\n".join(json.dumps(query.as_json, ensure_ascii=False) for query in asked)
    told += f"\n{load.requests} requests" if (load := alert.recovery.load) else ""
    if missing := [words for words in says if json.dumps(words)[1:-1] not in told]:
        raise Gap(f"{alert.name}: the verification does not ask {missing} for: {step}\n{told}")
    return Row(alert.name, kind, step, f"verification: {alert.recovery.what}", _cell(alert, "verification()"))


def _cell(alert: Alert, words: str) -> int:
    """The number of the notebook's cell that shows it."""
    notebook = json.loads((ROOT / "notebooks" / f"{alert.name}.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    found = [number for number, source in enumerate(sources, start=1) if "incident." in source and words in source]
    if not found:
        raise Gap(f"{alert.name}: no cell of its notebook shows {words}")
    return found[0]


def page() -> str:
    """The table in Markdown."""
    lines = INTRODUCTION.splitlines()
    table = rows()
    for name in dict.fromkeys(row.alert for row in table):
        lines += ["", f"## {name}", "", "| | step | answered by | cell |", "|---|---|---|---|"]
        lines += [f"| {row.kind} | {row.step} | {row.answer} | [{row.cell}] |" for row in table if row.alert == name]
        causes = ", ".join(f"`{cause.name}`" for cause in SHIPPED.load(name).causes)
        lines += ["", f"Candidate causes: {causes}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} holds {len(rows())} steps.")
