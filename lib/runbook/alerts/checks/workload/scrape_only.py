"""Whether only the scrape is broken: do pods that Prometheus cannot reach still log, and does the service answer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runbook import model
from runbook.alerts.checks.requests import reachability
from runbook.alerts.checks.workload import down_instances, pod_states
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Query, Result
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import count_text, plural

BEFORE_ALERT = 600  # seconds: what was logged earlier than that before the alert is the usual rate
TALKING, SILENT = 0.3, 0.1  # of the expected messages: from TALKING on the pods still work, up to SILENT they do not
ENOUGH = 5  # expected messages: with fewer, silence says nothing
MANY_PODS = 100


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """How many instances are `down` for Prometheus, and how many of them `well`: ready in Kubernetes, not restarted.

    `messages` is how many those logged since the alert, `expected` how many they would usually have logged; None where
    that was not counted. `talking` and `silent` compare the two; None where that is not known. `nobody_up`: Prometheus
    reaches no instance at all; `answers`: the service does on its health path, None where that is not known.
    """

    well: int
    down: int
    nobody_up: bool
    answers: bool | None
    messages: int | None
    expected: int | None
    talking: bool | None
    silent: bool | None


def _queries(c: Context) -> Mapping[str, Query]:
    firing, usual = c.started_at - c.for_seconds, c.started_at - BEFORE_ALERT
    return {
        "logged since": elasticsearch.top_values(c.service, firing, c.end, c.service.pod_field, size=MANY_PODS),
        "logged before": elasticsearch.top_values(c.service, c.start, usual, c.service.pod_field, size=1),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    pods, instances = earlier.facts(pod_states.Facts), earlier.facts(down_instances.Facts)
    if pods is None or instances is None:
        return Result("unknown", "Not known: there is no data on which of the pods that are down are ready.")
    if not pods.well and pods.gone:
        return Result("unknown", "Not known: the pods that are down no longer exist.")
    reached = earlier.facts(reachability.Facts)
    facts = Facts(
        well=len(pods.well),
        down=len(instances.down),
        nobody_up=not instances.up,
        answers=reached.health_ok if reached else None,
        messages=None,
        expected=None,
        talking=False,
        silent=False,
    )
    if not pods.well:
        return Result("normal", "No: the pods that are down are not ready in Kubernetes either.", facts)
    facts = _with_messages(c, answers, facts, names=pods.well, every=instances.all)
    works = facts.talking or (facts.nobody_up and facts.answers)
    return Result("abnormal" if works else "normal", _sentence(facts), facts)


def _with_messages(c: Context, answers: Answers, facts: Facts, *, names: Sequence[str], every: int) -> Facts:
    """The same with what these pods logged since the alert, against what as many instances logged before."""
    since, before = answers["logged since"], answers["logged before"]
    if "failed" in (since.completeness, before.completeness):
        return replace(facts, talking=None, silent=None)
    counts = dict(elasticsearch.terms(since)[0])
    if elasticsearch.total(since)[0] and not counts:  # there are messages, but none names its pod
        return replace(facts, talking=None, silent=None)
    messages = sum(counts.get(name, 0) for name in names)
    since_seconds = c.end - c.started_at + c.for_seconds
    before_seconds = c.started_at - BEFORE_ALERT - c.start
    usual, known = elasticsearch.total(before)[0], before_seconds > 0 and every
    expected = usual / before_seconds * since_seconds * len(names) / every if known else 0.0
    enough = expected >= ENOUGH
    return replace(
        facts,
        messages=messages,
        expected=round(expected),
        talking=messages >= TALKING * expected if enough else None,
        silent=messages <= SILENT * expected if enough else None,
    )


def _sentence(facts: Facts) -> str:
    are = "is" if facts.well == 1 else "are"
    who = f"{facts.well} of {plural(facts.down, 'pod')} that Prometheus cannot reach {are} ready in Kubernetes"
    health = {True: "; the service answers", False: "; the service does not answer", None: ""}[facts.answers]
    if facts.messages is None or facts.expected is None:
        return f"Perhaps: {who}; how much they log is not known{health}."
    logged = f"logged {plural(facts.messages, 'message')} since the alert (usual: {count_text(facts.expected)})"
    if facts.talking is None:
        return f"Perhaps: {who}, but log too little to tell: they {logged}{health}."
    if facts.talking or (facts.nobody_up and facts.answers):
        return f"Yes: {who} and {logged}{health}."
    return f"No: {who}, but {logged}, so no requests reach them{health}."


CHECK = Check(
    "scrape_only",
    "Is only the scrape broken?",
    Facts,
    _queries,
    _judge,
    empty_is_none=True,
    reads=(pod_states.Facts, down_instances.Facts, reachability.Facts),
)
