"""Whether an environment is fit for a run: each source reachable, allowed, and holding what the checks ask for.

All questions go out in parallel, through the same sources and deadlines as a run's. Nothing is changed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from runbook.config.schema import Environment, Service
from runbook.config.settings import Settings
from runbook.doctor import requirements
from runbook.doctor.requirements import Need
from runbook.investigation.definitions import Alert, Context
from runbook.model import Answer, Query
from runbook.recording.replay import Replay
from runbook.sources.base import Source
from runbook.sources.connect import connect
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.mysql import client as mysql
from runbook.sources.probe import http as probe
from runbook.sources.prometheus import client as prometheus
from runbook.text.format import source_text

State = Literal["ok", "optional", "missing", "failed"]
RECENT_SECONDS = 3600
FIELD_TYPES = {  # what the checks can do with a field of the logs
    "time_field": ("date", "date_nanos"),
    "level_field": ("keyword", "text", "constant_keyword", "wildcard", "match_only_text"),
    "message_field": ("text", "match_only_text", "keyword", "wildcard"),
    "app_field": ("keyword", "constant_keyword"),  # text holds words: "shop" is in "shop-admin" too
    "client_ip_field": ("ip", "keyword"),
    "username_field": ("keyword",),
    "pod_field": ("keyword",),
}


@dataclass(frozen=True)
class Line:
    """One thing looked at. `says` is what was found or, where the state is not ok, what is wrong and what to do.

    What is missing costs a check, or makes one wrong; without what is optional every check runs, and some say less.
    """

    source: str
    about: str
    state: State
    says: str


Sources = Mapping[str, Source]


def examine(
    name: str, settings: Settings, alerts: Iterable[Alert], now: float, sources: Sources | None = None
) -> tuple[Line, ...]:
    """All that there is to say about an environment, for each source that the alerts ask. `sources` stand in for its own."""
    environment = settings.environment(name)
    service = settings.service(environment.service)
    catalogue = tuple(alerts)
    if environment.recording:
        return tuple(_recording(environment, alert) for alert in catalogue)
    asked = sources if sources is not None else connect(name, environment)
    context = _context(name, environment, service, now)
    every: Mapping[str, Callable[[], list[Line]]] = {
        "prometheus": lambda: _prometheus(asked["prometheus"], catalogue, context, int(now)),
        "elasticsearch": lambda: _elasticsearch(asked["elasticsearch"], service, now),
        "kubernetes": lambda: _kubernetes(asked["kubernetes"], service, inside=_may_exec(environment)),
        "mysql": lambda: _mysql(asked["mysql"]),
        "probe": lambda: _probe(asked["probe"], service),
    }
    needed = requirements.sources(catalogue, context)
    looks = [look for source, look in every.items() if source in needed]
    with ThreadPoolExecutor(len(looks)) as pool:
        return tuple(line for lines in pool.map(lambda look: look(), looks) for line in lines)


def fit(lines: Iterable[Line]) -> bool:
    """Whether every check can run: all is there but, perhaps, what they do without."""
    return all(line.state in ("ok", "optional") for line in lines)


def _context(name: str, environment: Environment, service: Service, now: float) -> Context:
    """An incident that never was: its queries say what is needed."""
    start = now - RECENT_SECONDS
    return Context("", "INC-2000-01-01-01", name, environment, service, now, start, now, 60, now, 300, "")


def _recording(environment: Environment, alert: Alert) -> Line:
    path = environment.recording.format(alert=alert.name)
    try:
        replay = Replay(path)
    except Exception as error:
        return Line("recording", alert.name, "failed", str(error))
    return Line(
        "recording",
        alert.name,
        "ok",
        f"{sum(1 for _ in replay.answers)} recorded answers are replayed; nobody is asked",
    )


def _ask(source: Source, queries: Iterable[Query]) -> list[Answer]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(source.ask, queries))


def _failed(answer: Answer, about: str) -> Line:
    return Line(answer.query.source, about, "failed", answer.error or _foreign(answer))


def _foreign(answer: Answer) -> str:
    return f"answered, but not as {source_text(answer.query.source)} does; check its URL in runbook.toml"


# --- Prometheus ------------------------------------------------------------------------------------------------


def _prometheus(source: Source, catalogue: tuple[Alert, ...], context: Context, now: int) -> list[Line]:
    hello = source.ask(prometheus.instant("vector(1)", now))
    if not hello.usable:
        return [_failed(hello, "connection")]
    build = source.ask(prometheus.build_info())
    version = prometheus.version(build) if build.usable else ""
    first = Line(
        "prometheus", "connection", "ok", f"reachable, {f'version {version}' if version else 'of unknown version'}"
    )
    service, needed = context.service, requirements.metrics(catalogue, context)
    found = _ask(source, (_labels(need, service, now) for need in needed))
    absent = frozenset(
        need.metric
        for need, answer in zip(needed, found, strict=True)
        if answer.completeness != "failed" and not answer.data
    )
    lost = requirements.lost(catalogue, context, absent)
    with ThreadPoolExecutor(16) as pool:
        return [first, *pool.map(lambda need, answer: _metric(source, need, answer, lost, service, now), needed, found)]


def _labels(need: Need, service: Service, now: int) -> Query:
    selector = f"{need.metric}{{{prometheus.label_matchers(service.metric_labels)}}}"
    return prometheus.label_names(selector, now - RECENT_SECONDS, now)


def _metric(
    source: Source, need: Need, answer: Answer, lost: Mapping[str, tuple[str, ...]], service: Service, now: int
) -> Line:
    if answer.completeness == "failed":
        return _failed(answer, need.metric)
    if need.metric in lost:
        why = _why_none(source, need.metric, service, now)
        if stopped := lost[need.metric]:
            return Line("prometheus", need.metric, "missing", f"{why}; without it: {', '.join(stopped)}")
        less = f"all checks run without it, but these say less: {', '.join(need.checks)}"
        return Line("prometheus", need.metric, "optional", f"{why}; {less}")
    lacking = sorted(need.labels - set(answer.data))
    if lacking:
        advice = "set instance_label or pod_label of the service in runbook.toml, or let the service export it"
        cost = f"asked for by: {', '.join(need.checks)}"
        return Line("prometheus", need.metric, "missing", f"has no label {', '.join(lacking)}: {advice}; {cost}")
    return Line("prometheus", need.metric, "ok", "there, with all its labels")


def _why_none(source: Source, metric: str, service: Service, now: int) -> str:
    """Whether the metric itself is unknown, or our labels do not fit it."""
    for name, value in service.metric_labels.items():
        found = source.ask(prometheus.label_values(name, metric, now - RECENT_SECONDS, now))
        if found.usable and value not in found.data:
            others = ", ".join(map(str, sorted(found.data)[:5]))
            return f'is there, but with {name} {others} instead of "{value}": correct metric_labels in runbook.toml'
    return "was not seen in the last hour: check metric_prefix in runbook.toml, and that the service is scraped and exports it"


# --- Elasticsearch ---------------------------------------------------------------------------------------------


def _elasticsearch(source: Source, service: Service, now: float) -> list[Line]:
    hello = source.ask(elasticsearch.info())
    if not hello.usable:
        return [_failed(hello, "connection")]
    first = Line("elasticsearch", "connection", "ok", f"reachable, version {elasticsearch.version(hello) or 'unknown'}")
    names = {setting: str(getattr(service, setting)) for setting in FIELD_TYPES}
    fields, recent = _ask(
        source,
        (
            elasticsearch.fields(service.index, sorted(set(names.values()))),
            elasticsearch.newest_errors(service, now - RECENT_SECONDS, now, 1, level=""),
        ),
    )
    if fields.completeness == "failed":
        return [first, _failed(fields, service.index)]
    if fields.completeness == "empty":
        return [
            first,
            Line(
                "elasticsearch",
                service.index,
                "missing",
                "no index of that name: correct `index` of the service in runbook.toml",
            ),
        ]
    types = elasticsearch.field_types(fields)
    return [
        first,
        _logs(recent, service),
        *(_field(setting, name, types.get(name, ())) for setting, name in names.items()),
    ]


def _field(setting: str, name: str, types: tuple[str, ...]) -> Line:
    if not types:
        return Line(
            "elasticsearch",
            f"field {name}",
            "missing",
            f"no index has it: correct {setting} of the service in runbook.toml",
        )
    unfit = [one for one in types if one not in FIELD_TYPES[setting]]
    if unfit:
        wanted = " or ".join(FIELD_TYPES[setting][:2])
        whole = f" (perhaps {name}.keyword)" if "text" in unfit and "keyword" in FIELD_TYPES[setting] else ""
        return Line(
            "elasticsearch",
            f"field {name}",
            "missing",
            f"is of type {', '.join(unfit)}, the checks need {wanted}: correct {setting} in runbook.toml{whole}, or the mapping",
        )
    return Line("elasticsearch", f"field {name}", "ok", f"there, of type {', '.join(types)}")


def _logs(recent: Answer, service: Service) -> Line:
    if recent.completeness == "failed":
        return _failed(recent, service.index)
    if not elasticsearch.hits(recent):
        return Line(
            "elasticsearch",
            service.index,
            "missing",
            f"no message of {service.log_app} in the last hour: check log_app and index in runbook.toml, and the shipping of logs",
        )
    return Line("elasticsearch", service.index, "ok", f"has messages of {service.log_app} from the last hour")


# --- Kubernetes, MySQL and the service itself ------------------------------------------------------------------


def _kubernetes(source: Source, service: Service, inside: bool) -> list[Line]:
    hello, access, deployment = _ask(
        source,
        (
            kubernetes.version(),
            kubernetes.access(service.namespace, service.deployment),
            kubernetes.deployment(service.namespace, service.deployment),
        ),
    )
    if not hello.usable and not access.usable:
        return [_failed(hello, "connection")]
    first = Line("kubernetes", "connection", "ok", f"reachable, version {kubernetes.version_of(hello) or 'unknown'}")
    if not access.usable:
        return [first, _failed(access, "access")]
    lines = [_permission(one) for one in kubernetes.access_of(access)]
    if not inside:
        off = "switched off, so neither the public key nor the clock in the pods is looked at; `exec = true` allows it"
        lines.append(Line("kubernetes", "commands in pods", "ok", off))
    name = f"deployment {service.namespace}/{service.deployment}"
    if deployment.usable:
        return [first, *lines, Line("kubernetes", name, "ok", "there")]
    return [first, *lines]


def _may_exec(environment: Environment) -> bool:
    return environment.kubernetes is not None and environment.kubernetes.exec


def _permission(one: kubernetes.Permission) -> Line:
    well = one.allowed and not one.error
    state: State = "ok" if well else "missing" if one.optional else "failed"
    return Line("kubernetes", f"{one.verb} {one.resource}", state, one.error or "allowed")


def _mysql(source: Source) -> list[Line]:
    hello = source.ask(mysql.info())
    if not hello.usable:
        return [_failed(hello, "connection")]
    first = Line("mysql", "connection", "ok", f"reachable, version {mysql.version_of(hello)}")
    lines = [
        Line("mysql", one.what, "failed" if one.error else "ok", one.error or "allowed")
        for one in mysql.access_of(hello)
    ]
    return [first, *lines]


def _probe(source: Source, service: Service) -> list[Line]:
    answers = _ask(source, (probe.get(path) for path in dict.fromkeys((service.health_path, service.probe_path))))
    return [_path(answer) for answer in answers]


def _path(answer: Answer) -> Line:
    if answer.completeness == "failed":
        return _failed(answer, answer.query.text)
    status, error = answer.data["status"], answer.data["error"]
    if status is None:
        return Line(
            "probe", answer.query.text, "failed", f"{error}: correct base_url in runbook.toml, or look at the service"
        )
    if status >= 400:
        return Line(
            "probe",
            answer.query.text,
            "failed",
            f"answers {status}: correct its path in runbook.toml, or look at the service",
        )
    return Line("probe", answer.query.text, "ok", f"answers {status}")
