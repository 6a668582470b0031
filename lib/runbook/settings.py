"""runbook.toml as typed values, and the only reader of the process environment.

An environment says where to ask; a service profile says what the service calls things. Secrets never stand in
the file: a setting ending in `_env` names an environment variable, one ending in `_file` a file that holds it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from runbook.errors import SettingsError

HERE = Path(__file__).resolve().parent
FILE_NAME = "runbook.toml"


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An unknown key is a typing error of the person, so it is refused."""


class Auth(_Strict):
    """How to prove who we are; at most one of basic, bearer and API key."""

    username: str = ""
    password_env: str = ""
    password_file: str = ""
    bearer_env: str = ""
    bearer_file: str = ""
    api_key_env: str = ""
    api_key_file: str = ""
    headers: dict[str, str] = {}
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""


class Prometheus(_Strict):
    """`gzip`: "auto" asks for compression from far servers only (7x slower on loopback)."""

    url: str
    external_url: str = ""
    auth: Auth = Auth()
    method: Literal["GET", "POST"] = "POST"
    gzip: Literal["auto", "on", "off"] = "auto"


class Elasticsearch(_Strict):
    """`kibana_url`: where links of the report lead to; none without it."""

    url: str
    kibana_url: str = ""
    auth: Auth = Auth()


class Kubernetes(_Strict):
    """Empty `context`: the kubeconfig's current one; `in_cluster`: the pod's own service account."""

    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False


class Thresholds(_Strict):
    """The limits that the alerts fire at; ratios in 0..1, times in seconds."""

    error_ratio: float = 0.05
    auth_failure_ratio: float = 0.20
    latency_p95_seconds: float = 2.0
    memory_bytes: int = 500 * 1024 * 1024


class Service(_Strict):
    """What one service calls things, in metrics, logs and Kubernetes."""

    name: str
    metric_prefix: str
    metric_labels: dict[str, str]
    log_app: str
    deployment: str
    namespace: str
    index: str
    container: str = ""
    time_field: str = "timestamp"
    level_field: str = "level"
    message_field: str = "message"
    app_field: str = "app"
    client_ip_field: str = "client_ip"
    instance_label: str = "instance"
    pod_label: str = "pod"
    health_path: str = "/health"
    probe_path: str = "/api/username/test"
    scrape_interval_seconds: int = 15
    database_pool_size: int = 20
    thresholds: Thresholds = Thresholds()
    redact_emails: bool = True
    redact_patterns: list[str] = []


class Environment(_Strict):
    """Where to ask. A source without a section is not asked and its checks are unknown.

    `recording` replays instead of asking; `evidence` is the folder a run leaves its bundle in.
    """

    service: str
    base_url: str = ""
    prometheus: Prometheus | None = None
    elasticsearch: Elasticsearch | None = None
    kubernetes: Kubernetes | None = None
    recording: str = ""
    evidence: str = ""
    deadline_seconds: float = 20.0
    runbook_base_url: str = ""


class _File(_Strict):
    service: dict[str, Service]
    environment: dict[str, Environment]


def secret(env_name: str, file_name: str) -> str:
    """The secret in that environment variable or else in that file, read now; "" if neither is named.

    One newline at its end is dropped. Raises SettingsError if it is missing, unreadable or empty.
    """
    if env_name:
        where, value = f"The environment variable {env_name}", os.environ.get(env_name, "")
    elif file_name:
        where = f"The secret file {file_name}"
        try:
            value = Path(file_name).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{where} cannot be read ({type(error).__name__}); correct its path or permissions.") from None
    else:
        return ""
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise SettingsError(f"{where} is not set or empty; put the secret there, or take its name out of runbook.toml.")
    return value
