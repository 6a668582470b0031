"""What may stand in runbook.toml: environments say where to ask, service profiles what things are called.

Secrets never stand in the file: a setting ending in `_env` names an environment variable, one ending in `_file` a file
that holds it.
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
    """How to prove who we are; at most one of basic, bearer and API key."""

    username: str = ""
    password_env: Variable = ""
    password_file: str = ""
    bearer_env: Variable = ""
    bearer_file: str = ""
    api_key_env: Variable = ""
    api_key_file: str = ""
    headers: dict[str, str] = {}
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""


class Prometheus(_Strict, frozen=True):
    """`gzip`: "auto" asks for compression from far servers only (7x slower on loopback)."""

    url: Url
    external_url: Url = ""
    auth: Auth = Auth()
    method: Literal["GET", "POST"] = "POST"
    gzip: Literal["auto", "on", "off"] = "auto"


class Elasticsearch(_Strict, frozen=True):
    """`kibana_url`: where links of the report lead to; none without it."""

    url: Url
    kibana_url: Url = ""
    auth: Auth = Auth()


class Kubernetes(_Strict, frozen=True):
    """Empty `context`: the kubeconfig's current one; `in_cluster`: the pod's own service account.

    `exec` allows two commands in the service's pods, which read the head of its public key and its clock.
    """

    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False
    exec: bool = False


class MySQL(_Strict, frozen=True):
    """Where and as whom: by `host`, `user` and a password, or by a DSN, mysql://user:password@host:port.

    `tls`: "required" encrypts and verifies the server, and so does naming a `ca_file`; "auto" encrypts where the server
    offers it, which keeps listeners out and not impostors; "off" never.
    """

    host: Host = ""
    port: Port = 3306
    user: str = ""
    password_env: Variable = ""
    password_file: str = ""
    dsn_env: Variable = ""
    dsn_file: str = ""
    ca_file: str = ""
    tls: Literal["auto", "required", "off"] = "auto"


class Service(_Strict, frozen=True):
    """What one service calls things, in metrics, logs and Kubernetes.

    `login_phrase` is in every message about a login that succeeded; `proxy_deployment` is what clients connect to, if
    that is a deployment of the namespace; `thresholds` are the limits that the alerts fire at, by the names that they
    declare.
    """

    name: str
    metric_prefix: MetricPrefix
    metric_labels: dict[LabelName, str]
    log_app: str
    deployment: ObjectName
    namespace: Namespace
    index: str
    container: str = ""
    jwt_public_key_path: FilePath = ""
    proxy_deployment: ObjectNameOrNone = ""
    time_field: FieldName = "timestamp"
    level_field: FieldName = "level"
    message_field: FieldName = "message"
    app_field: FieldName = "app"
    client_ip_field: FieldName = "client_ip"
    username_field: FieldName = "username"
    login_phrase: str = "login succeeded"
    instance_label: LabelName = "instance"
    pod_label: LabelName = "pod"
    pod_field: FieldName = "pod"
    health_path: UrlPath = "/health"
    probe_path: UrlPath = "/api/username/test"
    login_path: UrlPath = "/edit"
    display_path: UrlPath = "/display?username=test"
    scrape_interval_seconds: Count = 15
    database_pool_size: Count = 20
    thresholds: dict[str, int | float] = {}
    redact_emails: bool = True
    redact_patterns: list[str] = []


class Alerts(_Strict, frozen=True):
    """Alerts of your own, beside those of the package."""

    folder: str
    """Where their modules, notebooks, `recordings/` and `rules/` are; `runbook new` writes there."""


class Environment(_Strict, frozen=True):
    """Where to ask. A source without a section is not asked and its checks are unknown.

    `recording` replays instead of asking: in it {alert} is the alert's name, and {recordings} the folder where those of
    its pack are; `evidence` is the folder a run leaves its bundle in. `database_address` is
    the "host:port" that the service connects to; the probe's token is sent to `base_url` alone, to try a login.
    """

    service: str
    base_url: Url = ""
    probe_token_env: Variable = ""
    probe_token_file: str = ""
    database_address: Address = ""
    prometheus: Prometheus | None = None
    elasticsearch: Elasticsearch | None = None
    kubernetes: Kubernetes | None = None
    mysql: MySQL | None = None
    recording: str = ""
    evidence: str = ""
    base_url_ca_file: str = ""
    seal_key_env: Variable = ""
    seal_key_file: str = ""
    deadline_seconds: Positive = 20.0
    runbook_base_url: Url = ""
