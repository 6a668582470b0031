"""The queries behind what is shown, as a person reads and copies them; as recorded they stay. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runbook.config.kubectl import cluster_options
from runbook.investigation.definitions import Context
from runbook.model import Answer, Query
from runbook.reporting.links import link, page
from runbook.text import shell, time
from runbook.text.format import plural, source_text

_KUBECTL = re.compile(r"(?:^|(?<=&& )|(?<=\| ))kubectl(?P<namespace> -n \S+)?(?= )")


@dataclass(frozen=True)
class QueryView:
    """A query: what was asked of whom, the text to copy, where to see it, and what was wrong with its answer."""

    caption: str
    text: str
    link: str
    page: str
    problem: str

    @property
    def heading(self) -> str:
        """The caption, and what was wrong."""
        return f"{self.caption} · {self.problem}" if self.problem else self.caption


@dataclass(frozen=True)
class Queries:
    """Queries under one title, e.g. "8 queries · Prometheus"."""

    title: str
    asked: tuple[QueryView, ...]


def queries(answers: Sequence[Answer], context: Context) -> Queries:
    """The queries behind these answers."""
    asked = tuple(query_view(answer, context) for answer in answers)
    pages = dict.fromkeys(one.page for one in asked if one.link)
    return Queries(" · ".join([plural(len(asked), "query"), *pages]), asked)


def query_view(answer: Answer, context: Context) -> QueryView:
    """The query behind an answer."""
    query = answer.query
    problem = answer.error or ", ".join(answer.warnings)
    if answer.completeness != "complete":
        problem = f"{answer.completeness}: {problem}" if problem else answer.completeness
    return QueryView(_caption(query), text_to_copy(query, context), link(query, context), page(query), problem)


def text_to_copy(query: Query, context: Context) -> str:
    """The query's text; kubectl with the cluster and the namespace that were asked."""
    if query.source != "kubernetes":
        return query.text
    kubectl = shell.command(("kubectl", *cluster_options(context.environment.kubernetes)))
    own = shell.command(("-n", str(query.params.get("namespace") or context.service.namespace)))
    return _KUBECTL.sub(lambda found: f"{kubectl}{found['namespace'] or f' {own}'}", query.text)


def _caption(query: Query) -> str:
    words = [f"{source_text(query.source)}, {query.kind}"]
    if query.params.get("index"):
        words.append(f"in {query.params['index']}")
    start, end, step = (query.params.get(name) for name in ("start", "end", "step"))
    if isinstance(start, int | float) and isinstance(end, int | float):
        words.append(time.window(start, end))
    if isinstance(step, int | float):
        words.append(f"every {step:g} s")
    return ", ".join(words)
