"""Whether an environment is fit for a run: each source reachable, allowed, and holding what the checks ask for.

All questions go out in parallel, through the same sources and deadlines as a run's. Nothing is changed anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from runbook.alerts import registry
from runbook.alerts.registry import Catalogue
from runbook.config.schema import Environment, Service
from runbook.config.settings import Settings
from runbook.doctor import elasticsearch, kubernetes, mysql, probe, prometheus, requirements
from runbook.doctor.line import RECENT_SECONDS, Diagnosis
from runbook.investigation.definitions import Alert, Context
from runbook.model import Source
from runbook.recording.replay import Replay
from runbook.sources.connect import connect

logger = logging.getLogger(__name__)
Sources = Mapping[str, Source]


def examine(
    name: str, settings: Settings, alerts: Iterable[Alert], now: float, *, sources: Sources | None = None
) -> tuple[Diagnosis, ...]:
    """What there is to say about an environment, source by source as the alerts ask them.

    `sources` stand in for its own.
    """
    environment = settings.environment(name)
    service = settings.service(environment.service)
    wanted, catalogue = tuple(alerts), registry.of(settings)
    catalogue.check(service, settings.path, wanted)
    if environment.recording:
        return tuple(_recording(catalogue, environment, alert) for alert in wanted)
    asked = sources if sources is not None else connect(name, environment)
    context = _context(name, environment, service, now)
    every: Mapping[str, Callable[[], list[Diagnosis]]] = {
        "prometheus": lambda: prometheus.look(asked["prometheus"], wanted, context, int(now)),
        "elasticsearch": lambda: elasticsearch.look(asked["elasticsearch"], service, now),
        "kubernetes": lambda: kubernetes.look(asked["kubernetes"], service, inside=_may_exec(environment)),
        "mysql": lambda: mysql.look(asked["mysql"]),
        "probe": lambda: probe.look(asked["probe"], service),
    }
    needed = requirements.sources(wanted, context)
    looks = [look for source, look in every.items() if source in needed]
    with ThreadPoolExecutor(len(looks)) as pool:
        return tuple(line for lines in pool.map(lambda look: look(), looks) for line in lines)


def fit(lines: Iterable[Diagnosis]) -> bool:
    """Whether every check can run: all is there but, perhaps, what they do without."""
    return all(line.state in ("ok", "optional") for line in lines)


def _context(name: str, environment: Environment, service: Service, now: float) -> Context:
    """An incident that never was: its queries say what is needed."""
    start = now - RECENT_SECONDS
    return Context("", "INC-2000-01-01-01", name, environment, service, now, start, now, 60, now, 300, "")


def _recording(known: Catalogue, environment: Environment, alert: Alert) -> Diagnosis:
    try:
        replay = Replay(known.replayed(alert.name, environment) or "")
    except Exception as error:
        logger.exception("The recording of %s cannot be read", alert.name)
        return Diagnosis("recording", alert.name, "failed", str(error))
    return Diagnosis(
        "recording",
        alert.name,
        "ok",
        f"{sum(1 for _ in replay.answers)} recorded answers are replayed; nobody is asked",
    )


def _may_exec(environment: Environment) -> bool:
    return environment.kubernetes is not None and environment.kubernetes.exec
