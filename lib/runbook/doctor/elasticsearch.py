"""Elasticsearch: reachable, with fields of fitting types, and with messages of the service."""

from __future__ import annotations

from runbook.config.schema import Service
from runbook.doctor.line import RECENT_SECONDS, Diagnosis, ask_all, failed
from runbook.model import Answer, Source
from runbook.sources.elasticsearch import client as elasticsearch

FIELD_TYPES = {  # what the checks can do with a field of the logs
    "time_field": ("date", "date_nanos"),
    "level_field": ("keyword", "text", "constant_keyword", "wildcard", "match_only_text"),
    "message_field": ("text", "match_only_text", "keyword", "wildcard"),
    "app_field": ("keyword", "constant_keyword"),  # text holds words: "shop" is in "shop-admin" too
    "client_ip_field": ("ip", "keyword"),
    "username_field": ("keyword",),
    "pod_field": ("keyword",),
}


def look(source: Source, service: Service, now: float) -> list[Diagnosis]:
    """A line for the connection, one for the recent messages, and one for each field."""
    hello = source.ask(elasticsearch.info())
    if not hello.usable:
        return [failed(hello, "connection")]
    first = Diagnosis(
        "elasticsearch", "connection", "ok", f"reachable, version {elasticsearch.version(hello) or 'unknown'}"
    )
    names = {setting: str(getattr(service, setting)) for setting in FIELD_TYPES}
    fields, recent = ask_all(
        source,
        (
            elasticsearch.fields(service.index, sorted(set(names.values()))),
            elasticsearch.newest_errors(service, now - RECENT_SECONDS, now, 1, level=""),
        ),
    )
    if fields.completeness == "failed":
        return [first, failed(fields, service.index)]
    if fields.completeness == "empty":
        return [
            first,
            Diagnosis(
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


def _field(setting: str, name: str, types: tuple[str, ...]) -> Diagnosis:
    if not types:
        return Diagnosis(
            "elasticsearch",
            f"field {name}",
            "missing",
            f"no index has it: correct {setting} of the service in runbook.toml",
        )
    unfit = [one for one in types if one not in FIELD_TYPES[setting]]
    if unfit:
        wanted = " or ".join(FIELD_TYPES[setting][:2])
        whole = f" (perhaps {name}.keyword)" if "text" in unfit and "keyword" in FIELD_TYPES[setting] else ""
        return Diagnosis(
            "elasticsearch",
            f"field {name}",
            "missing",
            f"is of type {', '.join(unfit)}, the checks need {wanted}: "
            f"correct {setting} in runbook.toml{whole}, or the mapping",
        )
    return Diagnosis("elasticsearch", f"field {name}", "ok", f"there, of type {', '.join(types)}")


def _logs(recent: Answer, service: Service) -> Diagnosis:
    if recent.completeness == "failed":
        return failed(recent, service.index)
    if not elasticsearch.hits(recent):
        return Diagnosis(
            "elasticsearch",
            service.index,
            "missing",
            f"no message of {service.log_app} in the last hour: "
            "check log_app and index in runbook.toml, and the shipping of logs",
        )
    return Diagnosis("elasticsearch", service.index, "ok", f"has messages of {service.log_app} from the last hour")
