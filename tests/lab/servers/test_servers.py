"""The real servers of the lab start, answer, have a past, and leave nothing behind."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.lab.servers.cluster import Kubernetes
from tests.lab.servers.elastic import Elasticsearch
from tests.lab.servers.lab import Lab
from tests.lab.servers.processes import Server, StartFailed, eventually
from tests.lab.servers.prometheus import Alertmanager, Prometheus, ToolFailed, amtool, promtool

pytestmark = pytest.mark.lab

MONDAY = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
PAST_SAMPLES = '# TYPE requests counter\nrequests_total{{pod="a"}} 3 {0}\nrequests_total{{pod="a"}} 9 {1}\n# EOF\n'
PARENT = """
import sys, time
from collections.abc import Callable
from pathlib import Path
from tests.lab.servers.prometheus import Alertmanager
with Alertmanager(Path(sys.argv[1])) as server:
    print(server.processes[0].pid, flush=True)
    time.sleep(60)
"""


def test_prometheus_answers_about_a_time_before_its_start(past_samples: Path, tmp_path: Path) -> None:
    """Loaded samples of long ago are there at their own times, in Debian's Prometheus."""
    with Prometheus(tmp_path, openmetrics=past_samples) as server:
        assert _instant(server, "requests_total", MONDAY + dt.timedelta(seconds=20)) == ["9"]


def test_prometheus_3_answers_about_a_time_before_its_start(past_samples: Path, tmp_path: Path) -> None:
    """Loaded samples of long ago are there at their own times, in Prometheus 3 as well."""
    with Prometheus(tmp_path, version="3", openmetrics=past_samples) as server:
        assert _instant(server, "requests_total", MONDAY + dt.timedelta(seconds=20)) == ["9"]


def test_a_firing_rule_reaches_alertmanager(tmp_path: Path) -> None:
    """A rule file is evaluated, and what fires arrives at the Alertmanager of the configuration."""
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "g", "rules": [{"alert": "Always", "expr": "vector(1)"}]}]}))
    with (
        Alertmanager(tmp_path / "alertmanager") as alertmanager,
        Prometheus(tmp_path / "prometheus", rule_files=[rules], alertmanager_url=alertmanager.url),
    ):
        assert eventually(lambda: _alert_names(alertmanager)) == ["Always"]


def test_prometheus_scrapes_what_it_is_told_to(tmp_path: Path) -> None:
    """A scrape configuration given as a dict is followed every second."""
    with Alertmanager(tmp_path / "target") as target:
        scrape = {"job_name": "am", "static_configs": [{"targets": [target.url.removeprefix("http://")]}]}
        with Prometheus(tmp_path / "prometheus", scrape_configs=[scrape]) as server:
            assert eventually(lambda: _instant(server, 'up{job="am"} == 1')) == ["1"]


def test_elasticsearch_finds_what_was_indexed(lab: Lab) -> None:
    """A document sent with the official client is found by a query."""
    with lab.elasticsearch.client() as client:
        client.index(index="logs", document={"level": "ERROR", "@timestamp": MONDAY.isoformat()}, refresh=True)
        found = client.search(index="logs", query={"range": {"@timestamp": {"lte": "2024-05-07"}}})
    assert found["hits"]["total"]["value"] == 1


def test_elasticsearch_keeps_its_documents_over_a_restart(tmp_path: Path) -> None:
    """A second start in the same directory has the documents of the first one."""
    server = Elasticsearch(tmp_path)
    with server, server.client() as client:
        client.index(index="logs", document={"level": "ERROR"}, refresh=True)
    with server, server.client() as client:
        assert client.count(index="logs")["count"] == 1


def test_the_environment_names_every_server(lab: Lab) -> None:
    """The environment's addresses and files are those of the running servers."""
    environment = lab.environment()
    assert environment["PROMETHEUS_URL"] == lab.prometheus.url
    assert all(Path(environment[name]).is_file() for name in ("KUBECONFIG", "KUBECONFIG_ONCALL"))


def test_stopping_leaves_no_process(tmp_path: Path) -> None:
    """After the end of `with`, none of the processes of any server is there."""
    with Lab(tmp_path) as servers:
        pids = [process.pid for server in _servers(servers) for process in server.processes]
        assert len(pids) == 10
        assert all(_exists(pid) for pid in pids)
    assert not any(_exists(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_does_not_outlive_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """However the Python process ends, the kernel ends its servers."""
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _exists(pid)
        parent.send_signal(number)
        parent.wait(20)
    assert eventually(lambda: not _exists(pid))


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    """A server that refuses its configuration is reported with its own words, and its log stays."""
    server = Alertmanager(tmp_path, {"nonsense": True})
    with pytest.raises(StartFailed, match=r"alertmanager ended while starting(?s:.*)nonsense"):
        server.start()
    assert "nonsense" in (tmp_path / "alertmanager.log").read_text()
    assert server.processes == []


@pytest.mark.parametrize("kind", [Kubernetes, Elasticsearch])
def test_a_missing_build_is_one_sentence(tmp_path: Path, kind: type[Server]) -> None:
    """Without the setup, starting says what is missing and which command gets it, and starts nothing."""
    script = (
        "import sys; from pathlib import Path; from tests.lab.servers.cluster import Kubernetes\n"
        "from tests.lab.servers.elastic import Elasticsearch; from tests.lab.servers.cache import Missing\n"
        f"try: {kind.__name__}(Path(sys.argv[1])).start()\n"
        "except Missing as missing: print(missing)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "empty")}
    command = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.count("\n") == 1
    assert said.endswith("is missing; `make lab-setup` gets it.\n")


def test_the_tools_are_found() -> None:
    """`promtool` and `amtool` run, and say what is wrong when they fail."""
    assert promtool("--version").startswith("promtool, version 2.")
    assert amtool("--version").startswith("amtool, version 0.")
    with pytest.raises(ToolFailed, match="nowhere"):
        promtool("check", "rules", "nowhere.yml")


@pytest.fixture
def past_samples(tmp_path: Path) -> Path:
    """Two samples of a Monday in 2024."""
    file = tmp_path / "samples.om"
    file.write_text(PAST_SAMPLES.format(int(MONDAY.timestamp()), int(MONDAY.timestamp()) + 15))
    return file


def _instant(server: Prometheus, query: str, at: dt.datetime | None = None) -> list[str]:
    parameters = {"query": query, **({"time": str(at.timestamp())} if at else {})}
    answer = requests.get(f"{server.url}/api/v1/query", params=parameters, timeout=10).json()
    return [one["value"][1] for one in answer["data"]["result"]]


def _alert_names(server: Alertmanager) -> list[str]:
    alerts = requests.get(f"{server.url}/api/v2/alerts", timeout=10).json()
    return [alert["labels"]["alertname"] for alert in alerts]


def _servers(lab: Lab) -> list[Server]:
    return [lab.prometheus, lab.alertmanager, lab.elasticsearch, lab.kubernetes, lab.mariadb]


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
