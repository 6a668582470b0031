"""From an environment's settings to its sources, each with a deadline; client libraries load when first asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runbook import settings
from runbook.errors import SourceError
from runbook.model import Answer, Query, SourceName
from runbook.settings import Environment
from runbook.sources.base import Deadline, Source


class Lazy:
    """A source made when it is first asked, so that its client's import runs beside the others'."""

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make
        self._source: Source | None = None

    def ask(self, query: Query) -> Answer:
        """The made source's answer."""
        if self._source is None:
            self._source = self._make()
        return self._source.ask(query)


class Absent:
    """A source without settings: says which section is missing."""

    def __init__(self, section: str) -> None:
        self._section = section

    def ask(self, query: Query) -> Answer:
        """Raises SourceError, always."""
        raise SourceError(
            f"{query.source.capitalize()} is not set up; add {self._section} to runbook.toml.", "unreachable"
        )


def connect(name: str, environment: Environment) -> Mapping[str, Source]:
    """All sources of an environment by name; those without settings fail every query in one sentence."""
    prometheus, elasticsearch, kubernetes = environment.prometheus, environment.elasticsearch, environment.kubernetes
    seconds = 0.9 * environment.deadline_seconds  # a little below the deadline: the source's sentence names the address
    made: dict[SourceName, Callable[[], Source] | None] = {
        "prometheus": (lambda: _prometheus(prometheus, seconds)) if prometheus else None,
        "elasticsearch": (lambda: _elasticsearch(elasticsearch, seconds)) if elasticsearch else None,
        "kubernetes": (lambda: _kubernetes(kubernetes, seconds)) if kubernetes else None,
        "probe": (lambda: _probe(environment.base_url, seconds)) if environment.base_url else None,
    }
    return {
        source: Deadline(Lazy(make) if make else Absent(_section(name, source)), environment.deadline_seconds)
        for source, make in made.items()
    }


def _section(environment: str, source: SourceName) -> str:
    return f"base_url to [environment.{environment}]" if source == "probe" else f"[environment.{environment}.{source}]"


def _prometheus(config: settings.Prometheus, seconds: float) -> Source:
    from runbook.sources.prometheus import Prometheus

    return Prometheus(config, seconds)


def _elasticsearch(config: settings.Elasticsearch, seconds: float) -> Source:
    from runbook.sources.elasticsearch import Elasticsearch

    return Elasticsearch(config, seconds)


def _kubernetes(config: settings.Kubernetes, seconds: float) -> Source:
    from runbook.sources.kubernetes import Kubernetes

    return Kubernetes(config, seconds)


def _probe(base_url: str, seconds: float) -> Source:
    from runbook.sources.probe import Probe

    return Probe(base_url, seconds)
