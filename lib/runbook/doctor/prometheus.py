"""Prometheus: reachable, and with every metric and label that the checks ask for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from runbook.config.schema import Service
from runbook.doctor import requirements
from runbook.doctor.line import RECENT_SECONDS, Diagnosis, ask_all, failed
from runbook.doctor.requirements import Need
from runbook.investigation.definitions import Alert, Context
from runbook.model import Answer, Query, Source
from runbook.sources.prometheus import client as prometheus


def look(source: Source, catalogue: tuple[Alert, ...], context: Context, now: int) -> list[Diagnosis]:
    """A line for the connection, and for each metric of the catalogue's checks."""
    hello = source.ask(prometheus.instant("vector(1)", now))
    if not hello.usable:
        return [failed(hello, "connection")]
    build = source.ask(prometheus.build_info())
    version = prometheus.version(build) if build.usable else ""
    first = Diagnosis(
        "prometheus", "connection", "ok", f"reachable, {f'version {version}' if version else 'of unknown version'}"
    )
    service, needed = context.service, requirements.metrics(catalogue, context)
    found = ask_all(source, (_labels(need, service, now) for need in needed))
    absent = frozenset(
        need.metric
        for need, answer in zip(needed, found, strict=True)
        if answer.completeness != "failed" and not answer.data
    )
    lost = requirements.lost(catalogue, context, absent)

    def line(need: Need, answer: Answer) -> Diagnosis:
        if answer.completeness == "failed":
            return failed(answer, need.metric)
        if need.metric in lost:
            return _absent(need, lost[need.metric], _why_none(source, need.metric, service, now))
        return _present(need, answer)

    with ThreadPoolExecutor(16) as pool:
        return [first, *pool.map(line, needed, found)]


def _labels(need: Need, service: Service, now: int) -> Query:
    selector = f"{need.metric}{{{prometheus.label_matchers(service.metric_labels)}}}"
    return prometheus.label_names(selector, now - RECENT_SECONDS, now)


def _absent(need: Need, stopped: tuple[str, ...], why: str) -> Diagnosis:
    if stopped:
        return Diagnosis("prometheus", need.metric, "missing", f"{why}; without it: {', '.join(stopped)}")
    less = f"all checks run without it, but these say less: {', '.join(need.checks)}"
    return Diagnosis("prometheus", need.metric, "optional", f"{why}; {less}")


def _present(need: Need, answer: Answer) -> Diagnosis:
    lacking = sorted(need.labels - set(answer.data))
    if lacking:
        advice = "set instance_label or pod_label of the service in runbook.toml, or let the service export it"
        cost = f"asked for by: {', '.join(need.checks)}"
        return Diagnosis("prometheus", need.metric, "missing", f"has no label {', '.join(lacking)}: {advice}; {cost}")
    return Diagnosis("prometheus", need.metric, "ok", "there, with all its labels")


def _why_none(source: Source, metric: str, service: Service, now: int) -> str:
    """Whether the metric itself is unknown, or our labels do not fit it."""
    for name, value in service.metric_labels.items():
        found = source.ask(prometheus.label_values(name, metric, now - RECENT_SECONDS, now))
        if found.usable and value not in found.data:
            others = ", ".join(map(str, sorted(found.data)[:5]))
            return f'is there, but with {name} {others} instead of "{value}": correct metric_labels in runbook.toml'
    return (
        "was not seen in the last hour: "
        "check metric_prefix in runbook.toml, and that the service is scraped and exports it"
    )
