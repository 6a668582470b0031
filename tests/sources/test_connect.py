"""From settings to sources: whoever is asked first, and by however many at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from runbook.model import Query
from runbook.settings import Environment
from runbook.sources.connect import connect

AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from runbook.settings import Elasticsearch, Environment, Kubernetes, Prometheus
from runbook.sources import elasticsearch, kubernetes, probe, prometheus
from runbook.sources.connect import connect

sys.setswitchinterval(1e-5)  # as busy as a machine can be
away, kubeconfig = sys.argv[1:]
environment = Environment(
    service="shop", base_url=away, prometheus=Prometheus(url=away), elasticsearch=Elasticsearch(url=away),
    kubernetes=Kubernetes(kubeconfig=kubeconfig), deadline_seconds=60,
)
sources = connect("here", environment)
queries = 4 * [
    prometheus.instant("up", 0), elasticsearch.search("a", {}), kubernetes.pods("a", "b"), probe.get("/health"),
]
together = threading.Barrier(len(queries))
def ask(query):
    together.wait()
    return sources[query.source].ask(query)
with ThreadPoolExecutor(len(queries)) as pool:
    for told in sorted({answer.error or answer.data["error"] for answer in pool.map(ask, queries)}):
        print(told)
"""


def test_all_sources_can_be_asked_first_at_once(tmp_path: Path) -> None:
    """Client libraries, imported by many threads at the first questions, do not break each other's imports."""
    away = "http://127.0.0.1:9"
    parts = {"clusters": {"cluster": {"server": away}}, "contexts": {"context": {"cluster": "a"}}}
    kubeconfig = {kind: [{"name": "a", **part}] for kind, part in parts.items()}
    (tmp_path / "kubeconfig").write_text(json.dumps({**kubeconfig, "current-context": "a"}))
    command = [sys.executable, "-c", AT_ONCE, away, str(tmp_path / "kubeconfig")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert [line.split(" at ")[0] for line in told] == [
        "Elasticsearch",
        "Kubernetes",
        "Prometheus",
        "connection refused",
    ]
    assert all("connection refused" in line for line in told)


def test_a_source_without_settings_names_its_section() -> None:
    """Nothing is asked where nothing is set up; the sentence says what to add."""
    sources = connect("here", Environment(service="shop"))
    assert sources["probe"].ask(Query("probe", "get", "/")).error == (
        "Probe is not set up; add base_url to [environment.here] in runbook.toml."
    )
    assert "[environment.here.prometheus]" in sources["prometheus"].ask(Query("prometheus", "instant", "up")).error
