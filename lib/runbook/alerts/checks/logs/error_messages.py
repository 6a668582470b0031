"""What do the logs say? Error messages over time, the newest ones, and message patterns before and since the onset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runbook import model
from runbook.alerts.checks.toolkit.series import number, split_time
from runbook.analysis.log_patterns import Template, group
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import JSON, Answer, Chart, Query, Result, Series, Table
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import count_text, plural, share_text
from runbook.text.time import clock_text

NEWEST, SAMPLE = 20, 2000
BEFORE_ALERT = 900  # seconds: most onsets lie after this and before the alert, so that each side has a sample
USUAL_SECONDS = 300  # less than this before them tells nothing of what is usual
MANY = 2.0  # from twice the messages per minute on, there are more than before
Subject = Literal["database", "authentication", "resources", "traffic", "dependency"]
Subjects = Mapping[str, re.Pattern[str]]
EXPLAINED = 0.08  # of the messages above the usual rate: where fewer are about any subject, they tell nothing
ABOUT: Subjects = {
    "database": re.compile(r"database|mysql|\bsql|deadlock|connection pool|acquire a connection", re.IGNORECASE),
    "authentication": re.compile(
        r"\bjwt|\btoken|signature|public key|authenticat|unauthori[sz]ed|auth service|certificate", re.IGNORECASE
    ),
    "resources": re.compile(
        r"out of memory|\boom|memory limit|cannot allocate|throttl|too many open files|worker .*(timed out|starved)",
        re.IGNORECASE,
    ),
    "traffic": re.compile(
        r"overload|shed|queue (is )?full|too many requests|rate limit|concurrency limit", re.IGNORECASE
    ),
}


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Error messages since the onset: their number, their rate per minute, the rate before, `times` that (None: none
    before), new patterns and their share of all messages.

    `about`: by subject, the share of the messages above the usual rate that are about it; `explained`: of all subjects
    together (None: too few messages are about any).
    """

    since_onset: int
    per_minute: float
    per_minute_before: float
    times: float | None
    new: tuple[str, ...]
    new_share: float
    about: Mapping[str, float]
    explained: float | None


def reading(about: Subjects, says: Mapping[str, str] | None = None) -> Check:
    """The check for an alert whose causes are told apart by these subjects; `says` puts them into the sentence."""
    return Check(
        "error_messages",
        "What do the logs say?",
        Facts,
        _queries,
        lambda context, answers, earlier: _judge(context, answers, earlier, about=about, says=says or {}),
        requires=("over time",),
        optional=("newest",),
    )


def sample_split(c: Context) -> float:
    """The time that splits the samples of messages into before and since, never outside the window."""
    return max(c.start, c.started_at - BEFORE_ALERT)


def usual_gap(c: Context) -> str:
    """Why the time before does not tell what is usual; "" where it does."""
    if sample_split(c) - c.start >= USUAL_SECONDS:
        return ""
    return "the window begins too late to know what is usual; look back 30m or more."


def _queries(c: Context) -> Mapping[str, Query]:
    between = sample_split(c)
    return {
        "newest": elasticsearch.newest_errors(c.service, c.start, c.end, NEWEST),
        "over time": elasticsearch.errors_over_time(c.service, c.start, c.end, max(60, c.step)),
        "sample before": elasticsearch.sample_of_errors(c.service, c.start, between, SAMPLE),
        "sample since": elasticsearch.sample_of_errors(c.service, between, c.end, SAMPLE),
    }


def _judge(c: Context, answers: Answers, earlier: Results, *, about: Subjects, says: Mapping[str, str]) -> Result:
    began = split_time(c, earlier.onset)
    times, counts = elasticsearch.histogram(answers["over time"])
    before, since = per_minute(times, counts, c.start, began), per_minute(times, counts, began, c.end)
    found = group([*messages(c, answers["sample before"]), *messages(c, answers["sample since"])], began)
    more = grown(found, c, began) if answers["sample before"].completeness != "failed" else {}
    new = [t for t in found if t.new]
    shares = {name: share_about(words, more) for name, words in about.items()}
    explained = round(sum(shares.values()), 3)
    facts = Facts(
        since_onset=round(float(np.sum(counts[times >= began]))),
        per_minute=round(since, 1),
        per_minute_before=round(before, 1),
        times=number(since / before, 1) if before else None,
        new=tuple(t.pattern for t in new)[:5],
        new_share=_portion(new, found),
        about=shares,
        explained=explained if explained >= EXPLAINED else None,
    )
    many = since >= 3 and (not before or since / before >= MANY)
    line = Series("error messages", tuple(times), tuple(counts * 60 / max(60, c.step)))
    chart = Chart("error-messages", "Error messages", "messages / min", (line,), kind="bars")
    tables = (patterns(found), newest(c, answers["newest"]))
    return Result(
        "abnormal" if many else "normal",
        f"{_sentence(facts, len(new), answers)}{_mostly(shares, says)}",
        facts,
        (chart,),
        tuple(t for t in tables if t.rows),
    )


def per_minute(times: np.ndarray, counts: np.ndarray, start: float, end: float) -> float:
    """The mean number a minute between two times."""
    inside = (times >= start) & (times < end)
    return float(np.sum(counts[inside])) * 60 / (end - start) if end > start else 0.0


def messages(c: Context, answer: Answer) -> list[tuple[float, str, float]]:
    """(time, message, weight) of a sample; the weight scales the sample up to all messages that matched."""
    if not answer.usable:
        return []
    hits = elasticsearch.hits(answer)
    count, _ = elasticsearch.total(answer)
    weight = max(1.0, count / len(hits)) if hits else 1.0
    return [(hit_time, _field(source, c.service.message_field), weight) for hit_time, source in _timed(c, hits)]


def _field(document: dict[str, JSON], name: str) -> str:
    value = elasticsearch.field(document, name)
    return "" if value is None else str(value)


def _timed(c: Context, hits: Sequence[dict[str, JSON]]) -> list[tuple[float, dict[str, JSON]]]:
    return [(elasticsearch.time_of(hit, c.service.time_field), hit) for hit in hits]


def grown(found: Sequence[Template], c: Context, began: float) -> dict[str, float]:
    """Messages of each pattern since the onset beyond what its rate before would have given."""
    exposure = (c.end - began) / max(1.0, began - c.start)
    return {t.pattern: max(0.0, t.since - t.before * exposure) for t in found}


def share_about(words: re.Pattern[str], more: Mapping[str, float]) -> float:
    """The share of the messages above the usual rate that are about something."""
    total = sum(more.values())
    return round(sum(count for pattern, count in more.items() if words.search(pattern)) / total, 3) if total else 0.0


def _portion(new: Sequence[Template], found: Sequence[Template]) -> float:
    total = sum(t.since for t in found)
    return round(sum(t.since for t in new) / total, 3) if total else 0.0


def _sentence(facts: Facts, new: int, answers: Answers) -> str:
    if not facts.since_onset:
        return "The service logged no error since the onset."
    times = ", none before"
    if facts.times:
        times = f", {facts.times:.0f} times the rate before" if facts.times >= 1.5 else ", at the same rate as before"
    patterns = "; no new pattern"
    if new:
        many = "one new pattern makes" if new == 1 else f"{new} new patterns make"
        patterns = f"; {many} up {share_text(facts.new_share)}"
    count = plural(facts.since_onset, "error message")
    return f"{count} since the onset{times}{patterns if answers['sample since'].usable else ''}."


def _mostly(about: Mapping[str, float], says: Mapping[str, str]) -> str:
    """What most of the messages above the usual rate say."""
    most = max(says, key=lambda name: about[name], default="")
    if not most or about[most] < EXPLAINED:
        return ""
    return f" Of the log messages above the usual rate, {share_text(about[most])} say {says[most]}."


def patterns(found: Sequence[Template], name: str = "message-patterns") -> Table:
    """The most frequent patterns, and how often before (the onset is known to a minute or two) and since."""
    rows = tuple(
        (t.pattern, "new" if t.new and not t.heard else "", count_text(t.heard), count_text(t.since)) for t in found[:8]
    )
    return Table(name, ("Message pattern", "", "Before", "Since onset"), rows)


def newest(c: Context, answer: Answer, name: str = "newest-errors") -> Table:
    """The newest messages, with their pods."""
    hits = elasticsearch.hits(answer) if answer.usable else ()
    rows = tuple(
        (
            clock_text(time, seconds=True).removesuffix(" UTC"),
            _field(hit, c.service.pod_field),
            _field(hit, c.service.message_field),
        )
        for time, hit in _timed(c, hits)
    )
    return Table(name, ("Time (UTC)", "Pod", "Message"), rows)


CHECK = reading(ABOUT)
