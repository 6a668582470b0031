"""The real servers of the lab start, answer, have a past, and leave nothing behind."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from tests.lab.backdating import NotBackdated
from tests.lab.cluster import KubectlFailed, Kubernetes
from tests.lab.elastic import Elasticsearch
from tests.lab.history import Rollout, aged, rollout_history
from tests.lab.processes import Server, StartFailed
from tests.lab.prometheus import Alertmanager, Prometheus, ToolFailed, amtool, promtool
from tests.lab.servers import Lab

pytestmark = pytest.mark.lab

T = TypeVar("T")
MONDAY = dt.datetime(2024, 5, 6, 9, 0, tzinfo=dt.UTC)
TUESDAY = MONDAY + dt.timedelta(days=1)
PAST_SAMPLES = '# TYPE requests counter\nrequests_total{{pod="a"}} 3 {0}\nrequests_total{{pod="a"}} 9 {1}\n# EOF\n'
PARENT = """
import sys, time
from collections.abc import Callable
from pathlib import Path
from tests.lab.prometheus import Alertmanager
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
        assert _eventually(lambda: _alert_names(alertmanager)) == ["Always"]


def test_prometheus_scrapes_what_it_is_told_to(tmp_path: Path) -> None:
    """A scrape configuration given as a dict is followed every second."""
    with Alertmanager(tmp_path / "target") as target:
        scrape = {"job_name": "am", "static_configs": [{"targets": [target.url.removeprefix("http://")]}]}
        with Prometheus(tmp_path / "prometheus", scrape_configs=[scrape]) as server:
            assert _eventually(lambda: _instant(server, 'up{job="am"} == 1')) == ["1"]


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


def test_a_deployment_becomes_ready(lab: Lab) -> None:
    """Deployment, ReplicaSet, scheduler and the played kubelets work together on two nodes."""
    cluster = _namespace(lab, "ready")
    cluster.apply([_deployment("ready")])
    assert "successfully rolled out" in cluster.kubectl("rollout", "status", "deployment/web", "-n", "ready")
    assert {pod["spec"]["nodeName"] for pod in cluster.get("pods", "ready")} == {"node-1", "node-2"}


def test_rollouts_of_the_past_are_in_the_history(lab: Lab) -> None:
    """Backdated ReplicaSets show their age and revision, and `rollout undo` goes back to one of them."""
    cluster = _namespace(lab, "past")
    rollouts = [Rollout(MONDAY, _template("v1"), "first"), Rollout(TUESDAY, _template("v2"), "second")]
    cluster.backdate(rollout_history(_deployment("past"), rollouts))
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "past")
    sets = sorted(cluster.get("replicasets", "past"), key=lambda one: one["metadata"]["creationTimestamp"])
    assert [one["metadata"]["creationTimestamp"] for one in sets] == ["2024-05-06T09:00:00Z", "2024-05-07T09:00:00Z"]
    assert [one["status"]["replicas"] for one in sets] == [0, 2]
    history = cluster.kubectl("rollout", "history", "deployment/web", "-n", "past")
    assert [line.split() for line in history.splitlines()[2:4]] == [["1", "first"], ["2", "second"]]
    assert "y" in cluster.kubectl("get", "deployment", "web", "-n", "past", "--no-headers").split()[-1]
    cluster.kubectl("rollout", "undo", "deployment/web", "-n", "past", "--to-revision=1")
    assert _eventually(lambda: _images(cluster, "past") == {"web:v1"})


def test_a_running_pod_can_be_aged(lab: Lab) -> None:
    """A live pod gets a past start, and keeps it although kwok and the controllers watch it."""
    cluster = _namespace(lab, "aged")
    cluster.apply([_deployment("aged")])
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "aged")
    cluster.backdate([aged(pod, TUESDAY, created=MONDAY) for pod in cluster.get("pods", "aged")])
    time.sleep(1)
    for pod in cluster.get("pods", "aged"):
        assert pod["metadata"]["creationTimestamp"] == "2024-05-06T09:00:00Z"
        assert pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] == "2024-05-07T09:00:00Z"


def test_an_owner_is_named_without_its_uid(lab: Lab) -> None:
    """A backdated object that names its owner by kind and name is owned by it."""
    cluster = _namespace(lab, "owned")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": "owned"}}
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    past = {"creationTimestamp": "2024-05-06T09:00:00Z", "ownerReferences": [reference]}
    owned = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "namespace": "owned", **past}}
    cluster.backdate([owned, owner])
    uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in cluster.get("configmaps", "owned")}
    live = next(one for one in cluster.get("configmaps", "owned") if one["metadata"]["name"] == "owned")
    assert live["metadata"]["ownerReferences"][0]["uid"] == uids["owner"]
    assert live["metadata"]["creationTimestamp"] == "2024-05-06T09:00:00Z"


def test_a_kind_that_cannot_be_backdated_is_said(lab: Lab) -> None:
    """An object of a kind whose place in etcd is not known is refused by name."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "default"}}
    with pytest.raises(NotBackdated, match="keeps a Lease"):
        lab.kubernetes.backdate([lease])


def test_top_shows_the_usage_that_pods_are_annotated_with(lab: Lab) -> None:
    """metrics-server serves `kubectl top pods` from the annotations of the pods."""
    cluster = _namespace(lab, "top")
    cluster.apply([_deployment("top")])
    cluster.wait_for_metrics("top")
    assert "300Mi" in cluster.kubectl("top", "pods", "-n", "top")


@pytest.mark.parametrize(
    ("fault", "shown"), [("oom", "CrashLoopBackOff"), ("imagepull", "ImagePullBackOff"), ("not-ready", "0/1 .*Running")]
)
def test_a_fault_blocks_a_rollout(lab: Lab, fault: str, shown: str) -> None:
    """Pods with a fault show it in `get pods`, and their rollout does not succeed."""
    namespace = f"fault-{fault}"
    cluster = _namespace(lab, namespace)
    cluster.apply([_deployment(namespace, fault)])
    pods = _eventually(lambda: _matching(cluster.kubectl("get", "pods", "-n", namespace), shown))
    assert pods
    with pytest.raises(KubectlFailed, match=r"timed out|exceeded"):
        cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=2s")


def test_a_pod_killed_for_its_memory_says_so(lab: Lab) -> None:
    """An OOM-killed container has the reason, the exit code and a restart on its record."""
    cluster = _namespace(lab, "oom")
    cluster.apply([_deployment("oom", "oom")])
    status = _eventually(
        lambda: _container(cluster, "oom") if "terminated" in str(_container(cluster, "oom")) else None
    )
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert (status["lastState"]["terminated"]["exitCode"], status["restartCount"]) == (137, 1)


def test_a_node_loses_and_regains_its_readiness(lab: Lab) -> None:
    """A node with the fault is NotReady for as long as it carries the label."""
    cluster = lab.kubernetes
    cluster.kubectl("label", "node", "node-2", "lab.fault=not-ready")
    assert _eventually(lambda: " NotReady " in cluster.kubectl("get", "node", "node-2"))
    cluster.kubectl("label", "node", "node-2", "lab.fault-")
    assert _eventually(lambda: " Ready " in cluster.kubectl("get", "node", "node-2"))


def test_a_pod_logs_what_it_is_given(lab: Lab) -> None:
    """`kubectl logs` prints the lines of a pod, at their time, and `--previous` those before its restart."""
    cluster = _namespace(lab, "logs")
    cluster.apply([_deployment("logs")])
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "logs")
    pod = cluster.get("pods", "logs")[0]["metadata"]["name"]
    cluster.write_logs("logs", pod, current=["served"], previous=["OutOfMemoryError"], at=MONDAY)
    command = ["logs", pod, "-n", "logs", "--timestamps"]
    assert _eventually(lambda: "served" in cluster.kubectl(*command))
    assert cluster.kubectl(*command) == "2024-05-06T09:00:00.000000000Z served\n"
    assert "OutOfMemoryError" in cluster.kubectl(*command, "--previous")


def test_the_user_on_call_has_only_the_rights_given(lab: Lab) -> None:
    """`oncall` is refused until a role is bound, and then still may not do more than the role says."""
    cluster = _namespace(lab, "rights")
    with pytest.raises(KubectlFailed, match="forbidden"):
        cluster.kubectl("get", "pods", "-n", "rights", user="oncall")
    cluster.kubectl("create", "rolebinding", "view", "--clusterrole=view", "--user=oncall", "-n", "rights")
    assert _eventually(lambda: _allowed(cluster, "get", "pods", "-n", "rights"))
    with pytest.raises(KubectlFailed, match="forbidden"):
        cluster.kubectl("delete", "pod", "web", "-n", "rights", user="oncall")


def test_nobody_runs_a_program_through_the_cluster(lab: Lab) -> None:
    """`kubectl exec` does not reach the machine that the test runs on."""
    cluster = _namespace(lab, "exec")
    cluster.apply([_deployment("exec")])
    cluster.kubectl("rollout", "status", "deployment/web", "-n", "exec")
    pod = cluster.get("pods", "exec")[0]["metadata"]["name"]
    with pytest.raises(KubectlFailed):
        cluster.kubectl("exec", pod, "-n", "exec", "--", "true")


def test_the_environment_names_every_server(lab: Lab) -> None:
    """The environment's addresses and files are those of the running servers."""
    environment = lab.environment()
    assert environment["PROMETHEUS_URL"] == lab.prometheus.url
    assert all(Path(environment[name]).is_file() for name in ("KUBECONFIG", "KUBECONFIG_ONCALL"))


def test_stopping_leaves_no_process(tmp_path: Path) -> None:
    """After the end of `with`, none of the processes of any server is there."""
    with Lab(tmp_path) as servers:
        pids = [process.pid for server in _servers(servers) for process in server.processes]
        assert len(pids) == 9
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
    assert _eventually(lambda: not _exists(pid))


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
        "import sys; from pathlib import Path; from tests.lab.cluster import Kubernetes\n"
        "from tests.lab.elastic import Elasticsearch; from tests.lab.cache import Missing\n"
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


def _namespace(lab: Lab, name: str) -> Kubernetes:
    lab.kubernetes.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    return lab.kubernetes


def _deployment(namespace: str, fault: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": _template("v1", fault)},
    }


def _template(version: str, fault: str = "") -> dict[str, Any]:
    labels = {"app": "web", **({"lab.fault": fault} if fault else {})}
    usage = {"kwok.x-k8s.io/usage-cpu": "250m", "kwok.x-k8s.io/usage-memory": "300Mi"}
    containers = [{"name": "web", "image": f"web:{version}"}]
    return {"metadata": {"labels": labels, "annotations": usage}, "spec": {"containers": containers}}


def _container(cluster: Kubernetes, namespace: str) -> dict[str, Any]:
    statuses = [pod["status"].get("containerStatuses", [{}])[0] for pod in cluster.get("pods", namespace)]
    return statuses[0] if statuses else {}


def _images(cluster: Kubernetes, namespace: str) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in cluster.get("pods", namespace)}


def _allowed(cluster: Kubernetes, *arguments: str) -> bool:
    try:
        cluster.kubectl(*arguments, user="oncall")
    except KubectlFailed:
        return False
    return True


def _matching(text: str, pattern: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(pattern, line)]


def _servers(lab: Lab) -> list[Server]:
    return [lab.prometheus, lab.alertmanager, lab.elasticsearch, lab.kubernetes]


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _eventually(ask: Callable[[], T], seconds: float = 30.0) -> T:
    """The first answer that is true in Python's sense, or the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer
