"""findings.json: an investigation's outcome without a clock or a timing, so that two runs can be compared.

Equal investigations give equal values and, by `model.canonical`, equal bytes. `findings.schema.json` describes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from runbook.investigation.definitions import Context
from runbook.investigation.result import Investigation
from runbook.model import JSON, Answer, Chart, Event, Facts, Finding, Recovery, Result, Table, Verdict, digest
from runbook.reporting.presentation import Presentation, present
from runbook.reporting.steps import MitigationView
from runbook.text.escape import json_text, shortened
from runbook.text.time import iso

FORMAT = "runbook.findings/1"
_NAMES = ("check", "cause", "name", "key")  # what an item of a list is known by


def findings_json(investigation: Investigation) -> dict[str, JSON]:
    """The outcome as JSON."""
    context, shown = investigation.context, present(investigation)
    outcome = {
        "format": FORMAT,
        "alert": shown.header.alert,
        "incident": shown.header.incident,
        "severity": shown.header.severity,
        "context": _context(context),
        "parameters": {
            "started_at": iso(context.started_at),
            "mitigated_at": None if context.mitigated_at is None else iso(context.mitigated_at),
        },
        "headline": shown.verdict.headline,
        "why": shown.verdict.why,
        "ledger": _ledger(shown),
        "findings": [_finding(finding) for finding in investigation.findings],
        "verdicts": [_verdict(verdict) for verdict in investigation.verdicts],
        "mitigations": [_mitigation(mitigation) for mitigation in shown.mitigations],
        "recovery": _recovery(investigation.recovery),
        "events": [_event(event) for event in investigation.events],
        "answers": len(investigation.answers),
    }
    return {name: _plain(value) for name, value in outcome.items()}


def _context(context: Context) -> dict[str, JSON]:
    return {
        "service": context.service.name,
        "environment": context.environment_name,
        "window": {"start": iso(context.start), "end": iso(context.end), "step_seconds": context.step},
    }


def _ledger(shown: Presentation) -> dict[str, JSON]:
    return {
        "sentence": shown.ledger.sentence,
        "checks": shown.ledger.checks,
        "ran": shown.ledger.ran,
        "unknown": [one.check for one in shown.findings if one.status == "unknown"],
        "partial": [one.check for one in shown.findings if one.gap],
    }


def _finding(finding: Finding) -> dict[str, JSON]:
    result = finding.result
    return {
        "check": finding.check,
        "question": finding.question,
        "status": result.status,
        "sentence": result.sentence,
        "facts": _facts(result),
        "completeness": finding.completeness,
        "errors": list(dict.fromkeys(a.error for a in finding.answers if a.error)),
        "charts": [_chart(chart) for chart in result.charts],
        "tables": [_table(table) for table in result.tables],
        "queries": [_answer(answer) for answer in finding.answers],
    }


def _facts(result: Result) -> dict[str, JSON]:
    """What was found, without what has its default; and the error of a check that failed itself."""
    facts = {} if result.facts is None else _fields(result.facts)
    return {**facts, **({"fault": result.fault} if result.fault else {})}


def _fields(facts: Facts) -> dict[str, Any]:
    found = {field.name: (getattr(facts, field.name), field) for field in fields(facts)}
    return {name: value for name, (value, field) in found.items() if not _has_default(value, field)}


def _has_default(value: Any, field: Field[Any]) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return default is not MISSING and bool(value == default)


def _verdict(verdict: Verdict) -> dict[str, JSON]:
    return {
        "cause": verdict.cause,
        "title": verdict.title,
        "state": verdict.state,
        "score": verdict.score,
        "because": verdict.because,
        "checks": list(verdict.checks),
        **({"fault": verdict.fault} if verdict.fault else {}),
    }


def _mitigation(mitigation: MitigationView) -> dict[str, JSON]:
    steps = [
        {
            "command": step.what,
            "precondition": step.precondition,
            "risk": step.risk,
            "undo": step.undone,
            "watch": step.watch,
        }
        for step in mitigation.steps
    ]
    return {"cause": mitigation.cause, "title": mitigation.title, "steps": steps}


def _recovery(recovery: Recovery) -> dict[str, JSON]:
    return {
        "state": recovery.state,
        "sentence": recovery.sentence,
        "charts": [_chart(chart) for chart in recovery.charts],
        "queries": [_answer(answer) for answer in recovery.answers],
    }


def _answer(answer: Answer) -> dict[str, JSON]:
    return {
        **_plain(answer.query.as_json),
        "key": _key(answer),
        "completeness": answer.completeness,
        "warnings": list(answer.warnings),
        "error": answer.error,
    }


def _key(answer: Answer) -> str:
    try:
        return answer.query.key
    except UnicodeEncodeError:  # a lone surrogate, which the recording cannot hold either
        return digest(_plain(answer.query.as_json))


def _chart(chart: Chart) -> dict[str, JSON]:
    """What a chart draws, by a digest of its points; the points themselves are in data/."""
    points = [[s.label, s.role, [float(t) for t in s.times], [float(v) for v in s.values]] for s in chart.series]
    return {
        "name": chart.name,
        "title": chart.title,
        "unit": chart.unit,
        "threshold": _plain(chart.threshold),
        "series": [s.label for s in chart.series],
        "sha256": digest(_plain(points)),
    }


def _table(table: Table) -> dict[str, JSON]:
    return {"name": table.name, "columns": list(table.columns), "rows": [_plain(list(row)) for row in table.rows]}


def _event(event: Event) -> dict[str, JSON]:
    return {"time": iso(event.time), "label": event.label, "kind": event.kind}


def _plain(value: Any) -> JSON:
    """JSON of a value; numbers rounded to what two machines agree on, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return json_text(value) if isinstance(value, str) else value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    number = float(value)
    return float(f"{number:.12g}") if math.isfinite(number) else None


def compare(a: Mapping[str, JSON], b: Mapping[str, JSON]) -> list[str]:
    """How two outcomes differ, a sentence for each place; empty when they are equal."""
    return _differences("", dict(a), dict(b))


def _differences(place: str, a: JSON, b: JSON) -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [line for key in dict.fromkeys([*a, *b]) for line in _item(_join(place, key), key, a, b)]
    if isinstance(a, list) and isinstance(b, list):
        return _list_differences(place, a, b)
    return [] if a == b and type(a) is type(b) else [f"{place} was {_brief(a)}, is {_brief(b)}."]


def _item(place: str, key: str, a: Mapping[str, JSON], b: Mapping[str, JSON]) -> list[str]:
    if key not in a:
        return [f"{place} is new: {_brief(b[key])}."]
    if key not in b:
        return [f"{place} is gone; it was {_brief(a[key])}."]
    return _differences(place, a[key], b[key])


def _list_differences(place: str, a: list[JSON], b: list[JSON]) -> list[str]:
    named_a, named_b = _named(a), _named(b)
    if named_a is None or named_b is None:
        if len(a) == len(b):
            return [
                line
                for i, (x, y) in enumerate(zip(a, b, strict=True))
                for line in _differences(f"{place}[{i + 1}]", x, y)
            ]
        return [f"{place} was {_brief(a)}, is {_brief(b)}."]
    order = [n for n in named_a if n in named_b] != [n for n in named_b if n in named_a]
    moved = [f"{place}: the order was {', '.join(named_a)}, is {', '.join(named_b)}."] if order else []
    return moved + _differences(place, named_a, named_b)


def _named(items: list[JSON]) -> dict[str, JSON] | None:
    """The items by their names; None if they have none or share one."""
    names = [
        next((shortened(str(i[n]), 40) for n in _NAMES if n in i), None) if isinstance(i, dict) else None for i in items
    ]
    known = {name: item for name, item in zip(names, items, strict=True) if name is not None}
    return known if len(known) == len(items) else None


def _join(place: str, key: str) -> str:
    return f"{place} › {key}" if place else key


def _brief(value: JSON) -> str:
    text = "nothing" if value is None or value == "" else f"“{value}”" if isinstance(value, str) else str(value)
    return shortened(text, 160)
