"""What may stand in runbook.toml: environments say where to ask, service profiles what things are called.

Secrets never stand in the file: a setting ending in `_env` names an environment variable, one ending in `_file` a file
that holds it. The text below each setting is its line in docs/settings.md (`python -m tests.settings_reference`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from runbook.config.types import (
    Address,
    Count,
    FieldName,
    FilePath,
    Host,
    LabelName,
    MetricPrefix,
    Namespace,
    ObjectName,
    ObjectNameOrNone,
    Port,
    Positive,
    Url,
    UrlPath,
    Variable,
)

Thresholds = Mapping[str, int | float]  # what a profile sets, by name; the rest is as the alerts declare it


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An unknown key is a typing error of the person, so it is refused."""


class Auth(_Strict, frozen=True):
    """How to prove who we are; at most one of password (basic), bearer token and API key.

    Each request reads its secret anew, so a rotated one needs no restart.
    """

    username: str = ""
    """The user of basic authentication; needs a password."""
    password_env: Variable = ""
    """The environment variable that holds the password."""
    password_file: str = ""
    """The file that holds the password."""
    bearer_env: Variable = ""
    """The environment variable that holds a bearer token."""
    bearer_file: str = ""
    """The file that holds a bearer token."""
    api_key_env: Variable = ""
    """The environment variable that holds an API key, in the encoded (base64) form that Elasticsearch gives out."""
    api_key_file: str = ""
    """The file that holds an API key."""
    headers: dict[str, str] = {}
    """More headers for each request, as a tenant's name; `Authorization`, `Cookie` and the like are refused here."""
    ca_file: str = ""
    """The authority that signed the server's certificate (PEM); without it the usual ones are trusted."""
    client_cert_file: str = ""
    """The certificate that we show to the server (PEM)."""
    client_key_file: str = ""
    """The key of that certificate, where it is not in the same file."""


class Prometheus(_Strict, frozen=True):
    """The metrics: Prometheus, or what speaks its API."""

    url: Url
    """The address; the checks add `/api/v1/…`."""
    external_url: Url = ""
    """Where a person's browser finds it: the links of a report lead there; without it they lead to `url`."""
    auth: Auth = Auth()
    """How to log in; see the table `auth`."""
    method: Literal["GET", "POST"] = "POST"
    """How queries are sent; GET for a proxy that refuses POST."""
    gzip: Literal["auto", "on", "off"] = "auto"
    """Whether answers are compressed; "auto" asks for it from far servers only (7 times slower on loopback)."""


class Elasticsearch(_Strict, frozen=True):
    """The logs: Elasticsearch 8 or 9."""

    url: Url
    """The address."""
    kibana_url: Url = ""
    """Where Kibana is: the links of a report lead there; without it there are none."""
    auth: Auth = Auth()
    """How to log in; see the table `auth`."""


class Kubernetes(_Strict, frozen=True):
    """The cluster that the service runs in. An empty table, `kubernetes = {}`, is the kubeconfig's current context."""

    kubeconfig: str = ""
    """The kubeconfig file; without it `KUBECONFIG`, else `~/.kube/config`."""
    context: str = ""
    """The context in it; without it the current one."""
    in_cluster: bool = False
    """Whether to log in with the service account of the pod that the runbook runs in, instead of a kubeconfig."""
    exec: bool = False
    """Whether two commands may run in the service's pods: `head` of the public key and `date`."""


class MySQL(_Strict, frozen=True):
    """The database server, MySQL or MariaDB: by `host`, `user` and a password, or by a DSN alone."""

    host: Host = ""
    """The server's name or address."""
    port: Port = 3306
    """Its port."""
    user: str = ""
    """The account; deploy/mysql-grants.sql creates one that suffices."""
    password_env: Variable = ""
    """The environment variable that holds the password."""
    password_file: str = ""
    """The file that holds the password."""
    dsn_env: Variable = ""
    """The environment variable that holds all of it as one text: mysql://user:password@host:port."""
    dsn_file: str = ""
    """The file that holds such a text."""
    ca_file: str = ""
    """The authority that signed the server's certificate; naming one makes TLS required."""
    tls: Literal["auto", "required", "off"] = "auto"
    """With "required" it is encrypted and the server verified; with "auto" it is encrypted where the server offers it,
    which keeps listeners out and not impostors; with "off" never."""


class Service(_Strict, frozen=True):
    """What one service calls things, in metrics, logs and Kubernetes. The table's own name is the service's name."""

    name: str
    """Comes from the table's name: `[service.NAME]`."""
    metric_prefix: MetricPrefix
    """What the names of the service's own metrics begin with; may be empty."""
    metric_labels: dict[LabelName, str]
    """The labels that choose this service's series; every metric carries them, `process_…` and `up` included."""
    log_app: str
    """What the field `app_field` of every log line of the service holds."""
    deployment: ObjectName
    """The service's Deployment."""
    namespace: Namespace
    """The namespace of that Deployment."""
    index: str
    """The index of the logs, or a pattern of indices."""
    container: str = ""
    """The container that commands in pods run in; without it a pod's first one."""
    jwt_public_key_path: FilePath = ""
    """Where the JWT public key lies in a pod; its head is read where the environment says `exec = true`."""
    proxy_deployment: ObjectNameOrNone = ""
    """The Deployment of the namespace that clients connect to; ready commands block an address there."""
    time_field: FieldName = "timestamp"
    """The field of a log line with its time."""
    level_field: FieldName = "level"
    """The field with its level: error, warn, info."""
    message_field: FieldName = "message"
    """The field with its text."""
    app_field: FieldName = "app"
    """The field with the name of the service that wrote it."""
    client_ip_field: FieldName = "client_ip"
    """The field with the address of the client."""
    username_field: FieldName = "username"
    """The field with the account of a login."""
    login_phrase: str = "login succeeded"
    """A phrase that every message about a successful login holds."""
    instance_label: LabelName = "instance"
    """The label of a metric with the instance that was scraped."""
    pod_label: LabelName = "pod"
    """The label of a metric with the pod."""
    pod_field: FieldName = "pod"
    """The field of a log line with the pod."""
    health_path: UrlPath = "/health"
    """The path that says whether the service is well."""
    probe_path: UrlPath = "/api/username/test"
    """A path that does real work; also the one of the load test after a mitigation."""
    login_path: UrlPath = "/edit"
    """A path that wants a login; it is tried with the probe token."""
    display_path: UrlPath = "/display?username=test"
    """A page for users, asked for after a mitigation of HighMemoryUsage."""
    scrape_interval_seconds: Count = 15
    """How often Prometheus scrapes the service; the steps of charts are multiples of it."""
    database_pool_size: Count = 20
    """How many connections one pod's pool may hold."""
    thresholds: dict[str, int | float] = {}
    """What the alerts fire at, by the names that they declare; see the table `thresholds`."""
    redact_emails: bool = True
    """Whether e-mail addresses are redacted as well."""
    redact_patterns: list[str] = []
    """Regular expressions of your own; what they find is redacted."""


class Alerts(_Strict, frozen=True):
    """Alerts of your own, beside those of the package."""

    folder: str
    """Where their modules, notebooks, `recordings/` and `rules/` are; `runbook new` writes there."""


class Environment(_Strict, frozen=True):
    """Where to ask. A source without a table is not asked, and the checks that need it are unknown."""

    service: str
    """The service profile that this environment runs: NAME of `[service.NAME]`."""
    base_url: Url = ""
    """Where the service answers; probes go to paths below it and nowhere else."""
    probe_token_env: Variable = ""
    """The environment variable that holds the token of a test user, sent to `base_url` alone, to try a login."""
    probe_token_file: str = ""
    """The file that holds this token."""
    database_address: Address = ""
    """What the service itself connects to; its name and port are tried."""
    prometheus: Prometheus | None = None
    """Where the metrics are; see the table `prometheus`."""
    elasticsearch: Elasticsearch | None = None
    """Where the logs are; see the table `elasticsearch`."""
    kubernetes: Kubernetes | None = None
    """Where the pods are; see the table `kubernetes`."""
    mysql: MySQL | None = None
    """Where the database is; see the table `mysql`."""
    recording: str = ""
    """A recording or bundle to replay instead of asking; `{alert}` in it stands for the alert's name, `{recordings}`
    for the folder with the recordings that came with the alert."""
    evidence: str = ""
    """The folder that runs leave their bundles in; without it `evidence` beside runbook.toml, or in the current
    folder where the shipped runbook.toml is used."""
    base_url_ca_file: str = ""
    """The authority that signed the certificate of `base_url` (PEM)."""
    seal_key_env: Variable = ""
    """The environment variable that holds the key which signs bundles; `runbook audit --environment` checks it."""
    seal_key_file: str = ""
    """The file that holds this key."""
    deadline_seconds: Positive = 20.0
    """How long one question to a source may take, in all."""
    runbook_base_url: Url = ""
    """Where the notebooks can be read; alerting rules link to `<this>/<alert>.ipynb`, without it to nothing."""
