"""From settings to sources: whoever is asked first, and by however many at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from runbook.model import Query
from runbook.settings import Environment
from runbook.sources.connect import connect
from tests.faulty import Faulty

AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from runbook.settings import Elasticsearch, Environment, Kubernetes, MySQL, Prometheus
from runbook.sources import elasticsearch, kubernetes, mysql, probe, prometheus
from runbook.sources.connect import connect

sys.setswitchinterval(1e-5)  # as busy as a machine can be
away, kubeconfig = sys.argv[1:]
environment = Environment(
    service="shop", base_url=away, prometheus=Prometheus(url=away), elasticsearch=Elasticsearch(url=away),
    kubernetes=Kubernetes(kubeconfig=kubeconfig), mysql=MySQL(host="127.0.0.1", port=9, user="oncall", password_file=kubeconfig), deadline_seconds=60,
)
sources = connect("here", environment)
queries = 4 * [
    prometheus.instant("up", 0), elasticsearch.search("a", {}), kubernetes.pods("a", "b"), mysql.status(),
    probe.get("/health"),
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
        "MySQL",
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
    assert sources["mysql"].ask(Query("mysql", "status", "")).error == (
        "MySQL is not set up; add [environment.here.mysql] in runbook.toml."
    )
    assert "[environment.here.prometheus]" in sources["prometheus"].ask(Query("prometheus", "instant", "up")).error


def test_a_library_that_is_missing_costs_its_checks(tmp_path: Path) -> None:
    """An installation that is not whole gives a failed answer in one sentence, and no exception."""
    code = (
        "import sys; sys.modules['elasticsearch'] = None\n"
        "from runbook.settings import Elasticsearch, Environment\n"
        "from runbook.sources import elasticsearch\n"
        "from runbook.sources.connect import connect\n"
        "known = Environment(service='shop', elasticsearch=Elasticsearch(url='http://127.0.0.1:9'))\n"
        "print(connect('here', known)['elasticsearch'].ask(elasticsearch.search('a', {})).error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Elasticsearch client cannot be loaded (ModuleNotFoundError: ")
    assert done.stdout.endswith("; install the package again.\n")


SLOW_IMPORT = """
import sys, time
class Slowly:
    def find_spec(self, name, *_):
        if name == "prometheus_api_client":
            time.sleep(2)
sys.meta_path.insert(0, Slowly())
from runbook.settings import Environment, Prometheus
from runbook.sources import prometheus
from runbook.sources.connect import connect
known = Environment(service="shop", prometheus=Prometheus(url=sys.argv[1]), deadline_seconds=1.5)
print(connect("here", known)["prometheus"].ask(prometheus.instant("up", 0)).error)
"""


def test_the_deadline_begins_when_the_libraries_are_there() -> None:
    """However long the first import takes, the server has its time, and the sentence is the source's own."""
    with Faulty("403") as server:
        command = [sys.executable, "-c", SLOW_IMPORT, server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"Prometheus at {server.url} answered 403"), done.stdout
