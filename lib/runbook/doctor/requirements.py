"""What the checks of the alerts need to find in Prometheus: metrics and labels, read off their queries' text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runbook.investigation.definitions import Alert, Check, Context
from runbook.model import Query

_STRING = r'"(?:[^"\\]|\\.)*"'
_MATCHERS = rf"\{{((?:[^\"}}]|{_STRING})*)\}}"
_LABEL = re.compile(rf"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*{_STRING}", re.ASCII)
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Need:
    """One metric with the labels that queries use, and the checks that ask for it."""

    metric: str
    labels: frozenset[str]
    checks: tuple[str, ...]


def metrics(alerts: Iterable[Alert], context: Context) -> tuple[Need, ...]:
    """The metrics that the alerts' queries ask Prometheus for, in alphabetical order."""
    labels: dict[str, set[str]] = {}
    checks: dict[str, dict[str, None]] = {}
    for alert in alerts:
        for check in alert.checks:
            for query in check.queries(context).values():
                for metric, used in _asked(query, context).items():
                    labels.setdefault(metric, set()).update(used)
                    checks.setdefault(metric, {})[check.name] = None
    return tuple(Need(metric, frozenset(labels[metric]), tuple(checks[metric])) for metric in sorted(labels))


def lost(alerts: Iterable[Alert], context: Context, missing: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """For each missing metric the checks that cannot run because of it; others run without it, and may say less."""
    checks: dict[str, dict[str, None]] = {metric: {} for metric in missing}
    for alert in alerts:
        for check in alert.checks:
            for metric in _stopping(check, context, missing):
                checks[metric][check.name] = None
    return {metric: tuple(names) for metric, names in checks.items()}


def _stopping(check: Check, context: Context, missing: frozenset[str]) -> frozenset[str]:
    """Those of the missing metrics that a needed query asks for; of any query where none of them will have data."""
    if check.empty_is_none:
        return frozenset()
    lacks = {name: missing & _asked(query, context).keys() for name, query in check.queries(context).items()}
    needed = frozenset[str]().union(*(lacks[name] for name in check.requires))
    return needed or (frozenset().union(*lacks.values()) if all(lacks.values()) else needed)


def _asked(query: Query, context: Context) -> Mapping[str, frozenset[str]]:
    return of(query.text, context.service.metric_prefix) if query.source == "prometheus" else {}


def sources(alerts: Iterable[Alert], context: Context) -> frozenset[str]:
    """The sources that the alerts' checks and their verification ask."""
    asked: set[str] = set()
    for alert in alerts:
        groups = [check.queries(context) for check in alert.checks]
        groups += [alert.recovery.queries(context, context.end), alert.recovery.probes(context)]
        asked |= {query.source for group in groups for query in group.values()}
    return frozenset(asked)


def of(text: str, prefix: str) -> Mapping[str, frozenset[str]]:
    """The metrics of one PromQL expression, each with its matchers' labels and those it is grouped by.

    Recognised are names with the service's prefix, process_ metrics and `up`, each with its braces: no parser is
    needed, since the library writes its queries like this.
    """
    name = re.compile(rf"\b((?:{re.escape(prefix)}|process_)\w+|up){_MATCHERS}", re.ASCII)
    grouped = {label.strip() for labels in _GROUPING.findall(text) for label in labels.split(",") if label.strip()}
    found: dict[str, frozenset[str]] = {}
    for metric, matchers in name.findall(text):
        found[metric] = found.get(metric, frozenset()) | grouped | set(_LABEL.findall(matchers))
    return found
