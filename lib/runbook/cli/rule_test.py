"""The unit test of a new alert's rule, for promtool: made-up series on both sides of its limit."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.alerts.checks.toolkit.series import metric
from runbook.cli.frame import Frame
from runbook.config.schema import Service
from runbook.model import JSON
from runbook.monitoring.yaml_text import as_yaml

MINUTES, EARLY, LATE = 30, "4m", "20m"  # the alert fires after five minutes
Samples = Mapping[tuple[str, ...], str]  # by metric and further matchers, in promtool's notation


def rule_test(frame: Frame, service: Service, environment: str) -> str:
    """The text of the file; its series have the service's prefix and labels."""
    beyond, calm = (_samples(frame, above=side != frame.below) for side in (True, False))
    cases = [
        (f"fires once it was {frame.side} the limit for five minutes", beyond, {EARLY: False, LATE: True}),
        ("is quiet on the other side of the limit", calm, {LATE: False}),
        ("is quiet without any series", {}, {LATE: False}),
    ]
    if frame.kind == "ratio":
        whole = {key: values for key, values in calm.items() if key[0] == frame.of}
        cases.append(("takes a part that was never counted for none of its whole", whole, {LATE: frame.below}))
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "name": name,
                "interval": "1m",
                "input_series": [
                    {"series": metric(service, *key), "values": values} for key, values in samples.items()
                ],
                "promql_expr_test": [_expected(frame.name, when, fires) for when, fires in times.items()],
            }
            for name, samples, times in cases
        ],
    }
    printed = f"`runbook rules {frame.name} --environment {environment}`"
    return f"# Unit tests of the alerting rule; `rules.yml` is what {printed} prints.\n{as_yaml(document)}"


def _expected(alert: str, when: str, fires: bool) -> JSON:
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
        "eval_time": when,
        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
    }


def _samples(frame: Frame, *, above: bool) -> Samples:
    """Series of two pods that are, together, well above or below the limit all the time."""
    limit, name = frame.limit, frame.histogram
    if frame.kind == "quantile":  # nearly all observations are in the bucket below the limit, or many beyond it
        counts = {limit / 2: 0 if above else 100, limit: 0 if above else 100, 2 * limit: 100}
        buckets = {**{_number(bound): count for bound, count in counts.items()}, "+Inf": 100}
        return {
            (f"{name}_bucket", f'pod="{pod}"', f'le="{bound}"'): _counted(count)
            for pod in "ab"
            for bound, count in buckets.items()
        }
    high = (1 + limit) / 2 if frame.kind == "ratio" else 2 * limit
    value = high if above else limit / 2
    if frame.kind == "ratio":
        of_60 = {name: 60 * value, frame.of: 60.0}
        return {(one, f'pod="{pod}"'): _counted(count) for one, count in of_60.items() for pod in "ab"}
    if frame.kind == "counter":
        return {(name, f'pod="{pod}"'): _counted(60 * value / 2) for pod in "ab"}
    pods = {"a": value, "b": value / 2} if frame.kind == "pod-maximum" else {"a": value / 2, "b": value / 2}
    return {(name, f'pod="{pod}"'): f"{_number(one)}x{MINUTES}" for pod, one in pods.items()}


def _counted(a_minute: float) -> str:
    """A counter that rises by so much a minute."""
    return f"0+{_number(a_minute)}x{MINUTES}"


def _number(value: float) -> str:
    return f"{value:.15g}"
