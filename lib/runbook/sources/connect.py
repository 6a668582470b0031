"""From an environment's settings to its sources, each with a deadline; client libraries load when first asked."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

from runbook.config import schema
from runbook.config.schema import Environment
from runbook.errors import SourceError
from runbook.model import Answer, Query, Source, SourceName, failed
from runbook.sources.deadline import LONGEST, Deadline
from runbook.text.format import source_text

logger = logging.getLogger(__name__)

# Client libraries import each other's parts in circles: two threads that enter a circle at different places see halves
# of modules ("cannot import name"). So one thread imports at a time, and all that a source needs.
_importing = threading.Lock()
_NEEDED: Mapping[SourceName, tuple[str, ...]] = {
    "prometheus": ("http.timelimit", "prometheus.http"),
    "elasticsearch": ("elasticsearch.http",),
    "kubernetes": ("http.timelimit", "kubernetes.requests", "kubernetes.kubeconfig", "kubernetes.http"),
    "mysql": ("http.timelimit", "mysql.session"),
    "probe": ("http.auth", "http.failures", "http.session", "http.timelimit"),
}


class Lazy:
    """A source made when it is first asked, so that whoever asks another one need not wait for this one's imports.

    Its deadline begins when its libraries are there: it is the server's time.
    """

    def __init__(self, name: SourceName, make: Callable[[], Source], deadline: float) -> None:
        self._name, self._make, self._deadline = name, make, deadline
        self._source: Source | None = None

    def ask(self, query: Query) -> Answer:
        """The made source's answer; a failed one where its libraries cannot be loaded."""
        try:
            source = self._source or self._made()
        except Exception as error:  # an installation that is not whole must cost its checks, never the notebook
            logger.exception("The %s client cannot be loaded", self._name)
            said = f"{type(error).__name__}: {str(error)[:LONGEST]}"
            return failed(
                query, f"{source_text(self._name)} client cannot be loaded ({said}); install the package again."
            )
        return source.ask(query)

    def _made(self) -> Source:
        with _importing:
            if self._source is None:
                began = time.monotonic()
                for module in _NEEDED[self._name]:
                    importlib.import_module(f"runbook.sources.{module}")
                self._source = Deadline(self._make(), self._deadline)
                logger.debug("The %s client is loaded after %.2f s", self._name, time.monotonic() - began)
            return self._source


class Absent:
    """A source without settings: says which section is missing."""

    def __init__(self, section: str) -> None:
        self._section = section

    def ask(self, query: Query) -> Answer:
        """Raises SourceError, always."""
        raise SourceError(
            f"{source_text(query.source)} is not set up; add {self._section} in runbook.toml.", "unreachable"
        )


def connect(name: str, environment: Environment) -> Mapping[str, Source]:
    """All sources of an environment by name; those without settings fail every query in one sentence."""
    prometheus, elasticsearch = environment.prometheus, environment.elasticsearch
    kubernetes, mysql = environment.kubernetes, environment.mysql
    reached = environment.base_url or environment.database_address
    deadline = environment.deadline_seconds
    seconds = 0.9 * deadline  # a little below the deadline: the source's sentence names the address
    made: dict[SourceName, Callable[[], Source] | None] = {
        "prometheus": (lambda: _prometheus(prometheus, seconds)) if prometheus else None,
        "elasticsearch": (lambda: _elasticsearch(elasticsearch, seconds)) if elasticsearch else None,
        "kubernetes": (lambda: _kubernetes(kubernetes, seconds)) if kubernetes else None,
        "mysql": (lambda: _mysql(mysql, seconds)) if mysql else None,
        "probe": (lambda: _probe(environment, seconds)) if reached else None,
    }
    return {
        source: Lazy(source, make, deadline) if make else Deadline(Absent(_section(name, source)), deadline)
        for source, make in made.items()
    }


def _section(environment: str, source: SourceName) -> str:
    return f"base_url to [environment.{environment}]" if source == "probe" else f"[environment.{environment}.{source}]"


def _prometheus(config: schema.Prometheus, seconds: float) -> Source:
    from runbook.sources.prometheus.client import Prometheus

    return Prometheus(config, seconds)


def _elasticsearch(config: schema.Elasticsearch, seconds: float) -> Source:
    from runbook.sources.elasticsearch.client import Elasticsearch

    return Elasticsearch(config, seconds)


def _kubernetes(config: schema.Kubernetes, seconds: float) -> Source:
    from runbook.sources.kubernetes.client import Kubernetes

    return Kubernetes(config, seconds)


def _mysql(config: schema.MySQL, seconds: float) -> Source:
    from runbook.sources.mysql.client import MySQL

    return MySQL(config, seconds)


def _probe(environment: Environment, seconds: float) -> Source:
    from runbook.sources.probe.http import Probe

    auth = schema.Auth(
        bearer_env=environment.probe_token_env,
        bearer_file=environment.probe_token_file,
        ca_file=environment.base_url_ca_file,
    )
    return Probe(environment.base_url, seconds, auth, environment.database_address)
