"""Who is affected: failed requests by status code, path and pod since the threshold was passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import FAILED, by_label, metric, over_window, rate_window, series
from runbook.alerts.thresholds import ERROR_RATIO
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Chart, Query, Result, Table
from runbook.sources.prometheus.client import instant, vector
from runbook.text.escape import plain_text
from runbook.text.format import count_text, plural, share_text
from runbook.text.time import clock_text

ALONE = 0.8  # from this share of all failures on, one path or pod has the trouble alone
FEW_PODS = 2


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Failed and all requests since the threshold was passed; the status code, path and pod with most of the failures
    ("none" without any), each with its share; how much of them is overload (503, 429); whether one pod has them.
    """

    failed_requests: int
    requests: int
    top_status_code: str
    top_path: str
    top_pod: str
    top_status_code_share: float
    top_path_share: float
    top_pod_share: float
    overload_share: float
    one_pod: bool


def _queries(c: Context) -> Mapping[str, Query]:
    span = f"{max(60, int(c.end - c.started_at) + c.for_seconds)}s"
    failed = metric(c.service, "http_requests_total", FAILED)
    every = metric(c.service, "http_requests_total")
    labels = {"status code": "status_code", "path": "path", "pod": c.service.pod_label}
    return {
        "over time": over_window(c, f"sum by (status_code) (rate({failed}[{rate_window(c)}]))"),
        **{
            f"failed by {name}": instant(f"sum by ({label}) (increase({failed}[{span}]))", int(c.end))
            for name, label in labels.items()
        },
        **{
            f"all by {name}": instant(f"sum by ({label}) (increase({every}[{span}]))", int(c.end))
            for name, label in labels.items()
        },
    }


def _counts(answer: Answer, label: str) -> dict[str, float]:
    return {labels.get(label, "?"): value for labels, value in vector(answer) if value > 0} if answer.usable else {}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    labels = {"status code": "status_code", "path": "path", "pod": c.service.pod_label}
    failed = {name: _counts(answers[f"failed by {name}"], label) for name, label in labels.items()}
    every = {name: _counts(answers[f"all by {name}"], label) for name, label in labels.items()}
    sum_failed, sum_all = sum(failed["path"].values()), sum(every["path"].values())
    if not sum_all:
        return Result("unknown", "Not known: no requests were counted since the alert.")
    tops = {name: _top(counts) for name, counts in failed.items()}
    overloaded = sum(failed["status code"].get(code, 0) for code in ("503", "429"))
    facts = Facts(
        failed_requests=round(sum_failed),
        requests=round(sum_all),
        top_status_code=tops["status code"][0],
        top_path=tops["path"][0],
        top_pod=tops["pod"][0],
        top_status_code_share=round(tops["status code"][1], 3),
        top_path_share=round(tops["path"][1], 3),
        top_pod_share=round(tops["pod"][1], 3),
        overload_share=round(overloaded / sum_failed, 3) if sum_failed else 0.0,
        one_pod=len(every["pod"]) > FEW_PODS and tops["pod"][1] >= ALONE,
    )
    abnormal = sum_failed / sum_all > ERROR_RATIO.of(c.service.thresholds)
    tables = tuple(
        _table(name, failed[name], every[name], sum_failed) for name in ("status code", "path", "pod") if failed[name]
    )
    lines = tuple(series(c, code, values) for code, values in by_label(answers["over time"], "status_code").items())
    charts = (Chart("failed-by-code", "Failed requests by status code", "requests / s", lines),) if lines else ()
    return Result(
        "abnormal" if abnormal else "normal",
        _sentence(c, facts, tops, _spread(failed["pod"], every["pod"])),
        facts,
        charts,
        tables,
    )


def _top(counts: Mapping[str, float]) -> tuple[str, float]:
    """The key with most of the counts, and its share of them."""
    if not counts:
        return "none", 0.0
    name = max(sorted(counts), key=lambda key: counts[key])
    return name, counts[name] / sum(counts.values())


def _table(name: str, failed: Mapping[str, float], every: Mapping[str, float], total: float) -> Table:
    rows = (
        (key, count_text(count), share_text(count / total), share_text(count / every[key]) if every.get(key) else "")
        for key, count in sorted(failed.items(), key=lambda kv: (-kv[1], kv[0]))[:10]
    )
    own = () if name == "status code" else (f"% of this {name}'s requests",)
    columns = (name.capitalize(), "Failed", "% of all failures", *own)
    return Table(f"failed-by-{name.replace(' ', '-')}", columns, tuple(row[: len(columns)] for row in rows))


def _sentence(c: Context, facts: Facts, tops: Mapping[str, tuple[str, float]], spread: str) -> str:
    since = f"{clock_text(c.started_at - c.for_seconds, c.started_at)}, when the threshold was passed"
    if not facts.failed_requests:
        return f"Nobody: none of {plural(facts.requests, 'request')} failed since {since}."
    (code, code_share), (path, path_share) = tops["status code"], tops["path"]
    shares = [f"{share_text(code_share)} with {plain_text(code, 20)}"] if code_share else []
    shares += [f"{share_text(path_share)} on {plain_text(path)}"] if path_share else []
    failed = f"{count_text(facts.failed_requests)} of {plural(facts.requests, 'request')} failed"
    return f"{failed} since {since}: {', '.join(shares)}{spread}."


def _spread(failed: Mapping[str, float], every: Mapping[str, float]) -> str:
    """How the failures lie over the pods: by each pod's own share of failed requests."""
    own = sorted(failed.get(pod, 0.0) / count for pod, count in every.items())
    if len(own) < 2 or not own[-1]:
        return ""
    name, share = _top(failed)
    if share >= 0.99:
        return f"; only in pod {plain_text(name)}"
    if own[0] >= own[-1] / 2:
        return "; spread evenly over all pods"
    return f"; {share_text(share)} in pod {plain_text(name)}"


CHECK = Check("scope", "Who is affected?", Facts, _queries, _judge, requires=("all by path",))
