"""From settings to sources: whoever is asked first, and by however many at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runbook.config.schema import Auth, Elasticsearch, Environment, Kubernetes, MySQL, Prometheus
from runbook.model import Query
from runbook.sources.connect import connect
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.mysql import client as mysql
from runbook.sources.probe import http as probe
from runbook.sources.prometheus import client as prometheus
from tests.faulty import Faulty

AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from runbook.config.schema import Elasticsearch, Environment, Kubernetes, MySQL, Prometheus
from runbook.sources.elasticsearch import client as elasticsearch
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.mysql import client as mysql
from runbook.sources.probe import http as probe
from runbook.sources.prometheus import client as prometheus
from runbook.sources.connect import connect

sys.setswitchinterval(1e-5)  # as busy as a machine can be
away, kubeconfig = sys.argv[1:]
environment = Environment(
    service="shop", base_url=away, prometheus=Prometheus(url=away), elasticsearch=Elasticsearch(url=away),
    kubernetes=Kubernetes(kubeconfig=kubeconfig), deadline_seconds=60,
    mysql=MySQL(host="127.0.0.1", port=9, user="oncall", password_file=kubeconfig),
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


def bad_files(file: str) -> dict[str, Environment]:
    """An environment for each setting that names a file: this one."""
    url, host = "https://127.0.0.1:9", {"host": "127.0.0.1", "port": 9, "user": "oncall"}
    ways = ("ca_file", "bearer_file", "api_key_file", "client_cert_file")
    by_way = {way: Auth(**{way: file}) for way in ways} | {"password_file": Auth(username="u", password_file=file)}
    named: dict[str, dict[str, object]] = {
        **{f"prometheus {way}": {"prometheus": Prometheus(url=url, auth=auth)} for way, auth in by_way.items()},
        **{
            f"elasticsearch {way}": {"elasticsearch": Elasticsearch(url=url, auth=auth)} for way, auth in by_way.items()
        },
        "kubernetes kubeconfig": {"kubernetes": Kubernetes(kubeconfig=file)},
        "mysql password_file": {"mysql": MySQL(**host, password_file=file)},
        "mysql dsn_file": {"mysql": MySQL(dsn_file=file)},
        "mysql ca_file": {"mysql": MySQL(**host, password_file=__file__, ca_file=file)},
        "probe base_url_ca_file": {"base_url": url, "base_url_ca_file": file},
        "probe probe_token_file": {"base_url": url, "probe_token_file": file},
    }
    return {name: Environment(service="shop", deadline_seconds=10, **more) for name, more in named.items()}


@pytest.mark.parametrize("name", bad_files(""))
@pytest.mark.parametrize("file", ["absent", "."])
def test_a_file_that_cannot_be_read_is_named_with_its_setting(name: str, file: str, tmp_path: Path) -> None:
    """Whatever the settings name and is not there, or is a folder: one sentence with the setting and the path."""
    path = str(tmp_path / file)
    source, setting = name.split()
    queries = {
        "prometheus": prometheus.instant("up", 0),
        "elasticsearch": elasticsearch.info(),
        "kubernetes": kubernetes.version(),
        "mysql": mysql.info(),
        "probe": probe.login("/me") if setting == "probe_token_file" else probe.get("/health"),
    }
    error = connect("here", bad_files(path)[name])[source].ask(queries[source]).error
    assert f"`{setting}`" in error
    assert path in error
    assert "Error" not in error
    assert error.endswith(".")
    assert "\n" not in error


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
        "from runbook.config.schema import Elasticsearch, Environment\n"
        "from runbook.sources.elasticsearch import client as elasticsearch\n"
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
from runbook.config.schema import Environment, Prometheus
from runbook.sources.prometheus import client as prometheus
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
