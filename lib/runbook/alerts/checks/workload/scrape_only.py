"""Do those that are down live on, unseen by Prometheus alone? By what they log, and by whether the service answers."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.investigation.definitions import Answers, Check, Context, Results
from runbook.model import JSON, Query, Result
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.text.format import count_text, plural

BEFORE_ALERT = 600  # seconds: what was logged before that is usual
TALKING, SILENT = 0.3, 0.1  # of the messages to be expected: from this on they live, up to that they do not
ENOUGH = 5  # messages to be expected: silence tells something
MANY_PODS = 100


def _queries(c: Context) -> Mapping[str, Query]:
    firing, usual = c.started_at - c.hold_seconds, c.started_at - BEFORE_ALERT
    return {
        "logged since": elasticsearch.top_values(c.service, firing, c.end, c.service.pod_field, size=MANY_PODS),
        "logged before": elasticsearch.top_values(c.service, c.start, usual, c.service.pod_field, size=1),
    }


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    pods, instances = (earlier[name].facts if name in earlier else {} for name in ("pods", "instances"))
    if "well" not in pods or "down" not in instances:
        return Result("unknown", "Not known: which of those that are down Kubernetes calls ready is not known.")
    well, health = pods["well"], _health(earlier)
    facts: dict[str, JSON] = {
        "well": len(well),
        "down": len(instances["down"]),
        "nobody_up": not instances["up"],
        "answers": health,
        "messages": None,
        "expected": None,
        "talking": False,
        "silent": False,
    }
    if not well and pods.get("gone"):
        return Result("unknown", "Not known: the pods of those that are down are not there any more.")
    if not well:
        return Result("normal", "No: Kubernetes calls none of those that are down ready without a restart.", facts)
    if answers["logged since"].completeness == "failed" or answers["logged before"].completeness == "failed":
        facts |= {"talking": None, "silent": None}
    elif elasticsearch.total(answers["logged since"])[0] and not elasticsearch.terms(answers["logged since"])[0]:
        facts |= {"talking": None, "silent": None}  # messages, but none that names its pod
    else:
        facts |= _spoken(c, answers, len(well), instances["all"], well)
    lives = facts["talking"] or (facts["nobody_up"] and health)
    return Result("abnormal" if lives else "normal", _sentence(facts), facts)


def _health(earlier: Results) -> bool | None:
    return earlier["reachability"].facts.get("health_ok") if "reachability" in earlier else None


def _spoken(c: Context, answers: Answers, well: int, every: int, names: list[str]) -> dict[str, JSON]:
    """What they logged since the alert held, against what as many instances logged before."""
    counts = dict(elasticsearch.terms(answers["logged since"])[0])
    messages = sum(counts.get(name, 0) for name in names)
    before = elasticsearch.total(answers["logged before"])[0]
    since_seconds = c.end - c.started_at + c.hold_seconds
    before_seconds = c.started_at - BEFORE_ALERT - c.start
    expected = before / before_seconds * since_seconds * well / every if before_seconds > 0 and every else 0.0
    enough = expected >= ENOUGH
    return {
        "messages": messages,
        "expected": round(expected),
        "talking": messages >= TALKING * expected if enough else None,
        "silent": messages <= SILENT * expected if enough else None,
    }


def _sentence(facts: Mapping[str, JSON]) -> str:
    who = f"{facts['well']} of {facts['down']} that are down are ready in Kubernetes"
    health = {True: "the service answers", False: "the service does not answer", None: ""}[facts["answers"]]
    more = f"; {health}" if health else ""
    if facts["messages"] is None:
        return f"Perhaps: {who}; what they log is not known{more}."
    logged = f"logged {plural(facts['messages'], 'message')} since, where {count_text(facts['expected'])} are usual"
    if facts["talking"] is None:
        return f"Perhaps: {who}, but too little is logged to tell ({logged}){more}."
    if facts["talking"] or (facts["nobody_up"] and facts["answers"]):
        return f"Yes: {who} and {logged}{more}."
    return f"No: {who}, but {logged}: nobody reaches them{more}."


CHECK = Check("unseen", "Is it only the scrape?", _queries, _judge, empty_is_none=True)
