"""A hand-made investigation, for the tests of everything that shows or keeps one."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec

from runbook.config.schema import Elasticsearch, Environment, Kubernetes, Prometheus
from runbook.investigation.definitions import Alert, Check, Context, Recovering
from runbook.investigation.result import Investigation
from runbook.model import (
    Answer,
    Chart,
    Event,
    Finding,
    Query,
    Recovery,
    Result,
    Series,
    Table,
    Verdict,
    failed,
)
from tests import fakes
from tests.sample_facts import Changes, Errors, Latency, Messages
from tests.sample_steps import MITIGATIONS

ALERTED = 1768474020.0  # 2026-01-15 10:47:00 UTC
START, END, STEP = ALERTED - 3900, ALERTED + 1500, 15
ROLLOUT, ONSET = ALERTED - 540, ALERTED - 420
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf500f0003030101b4e6c7be0000000049454e44ae426082"
)

SERVICE = msgspec.structs.replace(fakes.SERVICE, name="rust-micro-front-end")
ENVIRONMENT = Environment(
    service="rust-micro-front-end",
    prometheus=Prometheus(url="http://prometheus:9090", external_url="https://prometheus.example"),
    elasticsearch=Elasticsearch(url="http://elasticsearch:9200", kibana_url="https://kibana.example"),
    kubernetes=Kubernetes(context="production"),
)
CONTEXT = Context(
    alert="HighErrorRate",
    incident="INC-2026-01-15-01",
    environment_name="production",
    environment=ENVIRONMENT,
    service=SERVICE,
    started_at=ALERTED,
    start=START,
    end=END,
    step=STEP,
    now=END,
    for_seconds=300,
    healthy="failed requests at or below 5 % of requests for 5 min",
)
EVENTS = (
    Event(ROLLOUT, "revision 14", "rollout"),
    Event(ONSET, "onset", "onset"),
    Event(ALERTED, "alert", "alert"),
)
SHARE = Query(
    "prometheus",
    "range",
    'sum(rate(micro_frontend_http_requests_total{app="micro-frontend", status_code=~"5.."}[5m]))\n'
    '/ sum(rate(micro_frontend_http_requests_total{app="micro-frontend"}[5m]))',
    {"start": START, "end": END, "step": STEP},
)
LOGS = Query("elasticsearch", "search", '{"query":{"match":{"level":"error"}},"size":20}', {"index": "micro-apps-*"})
USAGE = Query("kubernetes", "usage", "kubectl -n web top pods | grep '^rust-micro-front-end-'", {"namespace": "web"})
REFUSED = failed(USAGE, "Kubernetes refused /apis/metrics.k8s.io (403); grant the Role in `deploy/rbac.yaml`.", 0.1)


def line(label: str, base: float, risen: float, role: str = "now") -> Series:
    """A line that rises at the onset."""
    times = [START + STEP * i for i in range(int((END - START) / STEP) + 1)]
    values = [
        base + 0.2 * math.sin(t / 300) + (risen * (1 - math.exp((ONSET - t) / 200)) if t > ONSET else 0) for t in times
    ]
    return Series(label, tuple(times), tuple(values), "reference" if role == "reference" else "now")


def no_recovering(*_: object) -> Series:
    """The samples' alert is never asked."""
    return Series("now", (), ())


def never_judged(*_: object) -> Result:
    """The samples' results are made by hand."""
    raise AssertionError


ALERT = Alert(
    name="HighErrorRate",
    summary=lambda limits: "More than 5 % of requests fail",
    meaning=lambda limits: "More than 5 % of requests fail with a 5xx status for five minutes.",
    impact="Users get error pages instead of what they asked for.",
    severity="high",
    for_seconds=300,
    expression=lambda service: "vector(1)",
    checks=(Check("errors", "Is it real?", Errors, lambda context: {}, never_judged),),
    causes=(),
    recovery=Recovering(
        "Failed requests", "%", 300, lambda service: 5.0, lambda context, end: {}, no_recovering, lambda context: {}
    ),
    escalate_if=(
        "the share of failed requests still rises 15 minutes after the mitigation",
        "no cause is supported and another team owns the database",
    ),
)
REAL = Finding(
    "errors",
    "Is it real?",
    Result(
        "abnormal",
        "Yes. 15.1 % of requests fail (threshold 5 %), against 0.7 % at this hour last week.",
        Errors(
            onset=ONSET,
            impact="4,812 of 31,868 requests failed in 32 minutes, 16.8 % at the peak.",
            ratio=0.151,
            last_week=0.007,
        ),
        (
            Chart(
                "failed-requests",
                "Failed requests (5xx)",
                "% of requests",
                (line("same hour last week", 0.7, 0, "reference"), line("now", 0.7, 14.4)),
                threshold=5.0,
                events=EVENTS,
            ),
        ),
    ),
    (Answer(SHARE, "complete", {"result": []}, seconds=0.2),),
)
REVISIONS = Finding(
    "changes",
    "Do all revisions fail alike?",
    Result(
        "abnormal",
        "No: only revision 14 fails.",
        Changes(14, True),
        (
            Chart(
                "failed-by-revision",
                "Failed requests by revision",
                "% of requests",
                (line("revision 14 (3 pods)", 0.7, 25), line("revision 13 (3 pods)", 0.4, 0)),
                events=EVENTS,
            ),
        ),
    ),
    (Answer(SHARE, "partial", {"result": []}, ("the answer is cut at 500 series",), seconds=0.3),),
)
MESSAGES = Finding(
    "logs",
    "What do the logs say?",
    Result(
        "abnormal",
        "1,902 error messages since onset, 13x before; one new pattern makes up 94 %.",
        Messages(1902),
        (
            Chart(
                "error-messages",
                "Error messages",
                "messages / min",
                (
                    Series(
                        "error messages",
                        tuple(START + 60 * i for i in range(90)),
                        tuple(12.0 if i < 58 else 120.0 + i % 7 for i in range(90)),
                    ),
                ),
                kind="bars",
                events=EVENTS,
            ),
        ),
        (
            Table(
                "message-patterns",
                ("Message pattern", "", "Before", "Since onset"),
                (
                    ("render failed: template not found: <*>", "new", 0, 1788),
                    ("upstream timeout after <*> ms", "", 141, 114),
                ),
            ),
        ),
    ),
    (Answer(LOGS, "complete", {"hits": {}}, seconds=0.1),),
)
DATABASE = Finding(
    "database",
    "Is the database well?",
    Result("normal", "Yes: no connection errors, 41 of 100 connections in use, p95 of queries 12 ms.", Latency(0.012)),
    (Answer(SHARE, "complete", {"result": []}),),
)
LIMITS = Finding(
    "resources",
    "Do pods reach their limits?",
    Result(
        "unknown", "Not known: Kubernetes refused /apis/metrics.k8s.io (403); grant the Role in `deploy/rbac.yaml`."
    ),
    (REFUSED,),
)
VERDICTS = (
    Verdict(
        "deployment",
        "Bad deployment",
        "supported",
        0.92,
        "onset 2 min after revision 14; only its pods fail",
        ("changes",),
    ),
    Verdict(
        "database", "Database", "refuted", 0.06, "no connection errors; queries as fast as last week", ("database",)
    ),
    Verdict("resources", "Resources exhausted", "not tested", None, "no data from: resources", ("resources",)),
)


NOT_MITIGATED = Recovery("not mitigated", "Not yet: apply a mitigation, then run again with mitigated_at set.")
MITIGATED = ALERTED + 600
RECOVERED = Recovery(
    "recovered",
    "Recovered: at or below 5 % of requests for the last 5 min; /health answers.",
    (
        Chart(
            "recovery",
            "Share of failed requests since the mitigation",
            "% of requests",
            (
                Series(
                    "now",
                    tuple(MITIGATED + 15 * i for i in range(40)),
                    tuple(15.0 if i < 8 else 0.5 for i in range(40)),
                ),
            ),
            threshold=5.0,
            events=(Event(MITIGATED, "mitigation", "mitigation"),),
        ),
    ),
    (Answer(SHARE, "complete", {"result": []}),),
)
FINDINGS = (REAL, REVISIONS, MESSAGES, DATABASE, LIMITS)
INVESTIGATION = Investigation(
    ALERT,
    CONTEXT,
    FINDINGS,
    VERDICTS,
    MITIGATIONS,
    NOT_MITIGATED,
    "Probably a bad deployment: revision 14.",
    "15.1 % of requests fail. It began at 10:40 UTC, 2 min after revision 14 reached its first pod.",
    EVENTS,
    tuple(answer for finding in FINDINGS for answer in finding.answers),
)
RESTORED = replace(INVESTIGATION, context=replace(CONTEXT, mitigated_at=MITIGATED), recovery=RECOVERED)
FAULTY = replace(
    INVESTIGATION,
    verdicts=(
        Verdict("database", "Database", "not tested", None, "its signs could not be read", (), "KeyError: 'p95'"),
    ),
)
NOTHING = replace(
    INVESTIGATION,
    findings=(),
    verdicts=(),
    mitigations=(),
    headline="Nothing was found.",
    why="",
    events=(),
    answers=(),
)
