"""Can the service and its database be reached from where the runbook runs? Name, port and health, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook import model
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Query, Result, Table
from runbook.sources.probe import http as probe
from runbook.sources.probe import network

_STEPS = {
    "service_resolves": "name of the service",
    "service_port_open": "port of the service",
    "health_ok": "health of the service",
    "database_resolves": "name of the database",
    "database_port_open": "port of the database",
}
FACTS = tuple(_STEPS)  # in the order in which one needs the other: first the service's three, then the database's


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Whether the service's name resolves, its port opens and its health path answers well; of the database likewise.

    None is not known: it could not be tried, or the settings do not say where the database is.
    """

    service_resolves: bool | None
    service_port_open: bool | None
    health_ok: bool | None
    database_resolves: bool | None
    database_port_open: bool | None


def _queries(c: Context) -> Mapping[str, Query]:
    """By the fact that each decides; the database's only where the settings give its address."""
    asked = {"health_ok": probe.get(c.service.health_path)}
    addresses = {"service": c.environment.base_url, "database": c.environment.database_address}
    for what, address in addresses.items():
        if where := network.place(address):
            asked |= {f"{what}_resolves": network.resolve(where.host), f"{what}_port_open": network.port(where)}
    return {fact: asked[fact] for fact in FACTS if fact in asked}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    """Abnormal: names the first step that fails for each of the two, since every later step fails with it."""
    holds = {fact: _holds(answers[fact]) if fact in answers else None for fact in FACTS}
    facts = Facts(**holds)
    asked = {fact: answer for fact, answer in answers.items() if answer.usable}
    ways = [way for way in (FACTS[:3], FACTS[3:]) if not holds[way[-1]]]  # what answers is reached, even if by a proxy
    broken = [step for way in ways if (step := next((fact for fact in way if holds[fact] is False), ""))]
    table = Table(
        "reachability",
        ("Step", "Target", "Answer", "Latency (ms)", "Trouble"),
        tuple(_row(fact, answer) for fact, answer in asked.items()),
    )
    if broken:
        said = f"No: {' and '.join(_trouble(step, asked[step]) for step in broken)}."
        return Result("abnormal", said, facts, tables=(table,))
    if facts.health_ok is None:
        return Result("unknown", f"Not known: {answers['health_ok'].error}", facts, tables=(table,))
    database = ", and the database's port is open" if facts.database_port_open else ""
    return Result("normal", f"Yes: {c.service.health_path} answers{database}.", facts, tables=(table,))


def _holds(answer: Answer) -> bool | None:
    if not answer.usable:
        return None
    kind, data = answer.query.kind, answer.data
    return (
        bool(data["addresses"]) if kind == "resolve" else data["open"] if kind == "port" else probe.answers_well(answer)
    )


def _trouble(fact: str, answer: Answer) -> str:
    error = answer.data["error"]
    says = {"resolve": "does not resolve", "port": "does not accept connections"}.get(answer.query.kind)
    if says is None:
        says = f"answers {answer.data['status']}" if answer.data["status"] else "does not answer"
    whose = "the database's " if fact.startswith("database") else ""
    return f"{whose}{answer.query.text} {says}{f' ({error})' if error else ''}"


def _row(fact: str, answer: Answer) -> tuple[str | int | float | None, ...]:
    data = answer.data
    shown = {
        "resolve": ", ".join(data.get("addresses", ())),
        "port": "open" if data.get("open") else "",
        "get": str(data.get("status") or ""),
    }
    return _STEPS[fact], answer.query.text, shown[answer.query.kind], data["latency_ms"], data["error"] or ""


CHECK = Check("reachability", "Can the service be reached?", Facts, _queries, _judge)
