"""Real servers on loopback for tests and trials: Prometheus, Alertmanager, Elasticsearch, Kubernetes, MariaDB.

`python -m tests.lab.setup` (or `make lab-setup`) fetches and builds what they need, once. Then::

    from tests.lab.servers.lab import Lab

    with Lab(directory) as lab:                      # all five, in parallel, on free ports of 127.0.0.1
        lab.prometheus.url; lab.alertmanager.url; lab.elasticsearch.url; lab.kubernetes.url
        lab.mariadb.settings()
        lab.environment()                            # {"PROMETHEUS_URL": ..., "KUBECONFIG": ..., ...}

Each one alone, all used by `with` (or `.start()` and `.stop()`), each with a `directory` of its own::

    from tests.lab.servers.prometheus import Alertmanager, Prometheus, promtool, amtool
    from tests.lab.servers.elastic import Elasticsearch
    from tests.lab.servers.cluster import Kubernetes
    from tests.lab.servers.mariadb import MariaDB

    Prometheus(directory, version="debian" | "3", scrape_configs=[{...}], rule_files=[path],
               alertmanager_url=None, openmetrics=path, interval="1s")             .url
    Alertmanager(directory, config={...} | None)                                   .url
    Elasticsearch(directory)                                                       .url  .client()
    Kubernetes(directory, nodes=2)                                                 .url
        .kubeconfig(user="admin")                    # or "oncall": a user without any right until you bind one
        .kubectl("get", "pods", user="admin", given="")   # stdout; KubectlFailed on another exit code; given: stdin
        .get("pods", "namespace", "--selector=app=web")   # the objects as dicts
        .apply([{...}, ...])                         # objects as dicts; returns what the API server made of them
        .backdate([{...}, ...])                      # the same, with their past metadata.creationTimestamp and status
        .store([{...}, ...])                         # new objects past the API server, as they are: events
        .write_logs("namespace", "pod", current=["line"], previous=["line"], at=datetime | None)
        .wait_for_metrics("namespace")               # until `top pods` has all; 20 to 40 s after a start
    MariaDB(directory, max_connections=151, certificate=(pem, key) | None)         .address
        .settings(user="oncall")                     # the runbooks' settings.MySQL; "web" is the service's account
        .connect("web")                              # a PyMySQL connection, autocommit, rows as dicts
        .as_root("SELECT 1", ...)                    # rows of the last one; gets in even where no connection is left
        with .limited(10):  with .occupied(5):       # max_connections; idle connections, without a number all there are
        with .locked(waiting=2):  with .slow_queries(count=2, seconds=3600):  with .denied():
    promtool("check", "rules", str(path))            # stdout; ToolFailed(output) on another exit code

Past rollouts and pods that started long ago, as objects for `backdate`: `tests.lab.service.history`. A pytest fixture
`lab` of all five servers, one per session: `tests/lab/conftest.py`. By hand: `python -m tests.lab`.

Faults of a pod: the label `lab.fault: oom | imagepull | held | not-ready`; of a node: the label `lab.fault: not-ready`.
Usage that `top` shows: the pod annotations `kwok.x-k8s.io/usage-cpu` and `kwok.x-k8s.io/usage-memory`.

A server that cannot start raises `StartFailed` with the end of its log; `Missing` names what `make lab-setup` gets.
Logs stay in `directory`. No server outlives the Python process that started it, however that one ends.
"""
