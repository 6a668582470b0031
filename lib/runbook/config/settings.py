"""runbook.toml as typed values, and the only reader of the process environment, the kind of terminal excepted.

An environment says where to ask; a service profile says what the service calls things. Secrets never stand in
the file: a setting ending in `_env` names an environment variable, one ending in `_file` a file that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from runbook.config import dsn, toml, validation
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
    Ratio,
    Url,
    UrlPath,
    Variable,
)
from runbook.config.validation import located, names_secret
from runbook.errors import SettingsError
from runbook.text.suggest import hint

PACKAGE = Path(__file__).resolve().parent.parent
FILE_NAME = "runbook.toml"


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


class Thresholds(_Strict, frozen=True):
    """The limits that the alerts fire at; ratios in 0..1, times in seconds."""

    error_ratio: Ratio = 0.05
    auth_failure_ratio: Ratio = 0.20
    database_errors_per_second: Positive = 0.1
    latency_p95_seconds: Positive = 2.0
    memory_bytes: Count = 500 * 1024 * 1024


class Service(_Strict, frozen=True):
    """What one service calls things, in metrics, logs and Kubernetes.

    `login_phrase` is in every message about a login that succeeded; `proxy_deployment` is what clients connect to, if
    that is a deployment of the namespace.
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
    thresholds: Thresholds = Thresholds()
    redact_emails: bool = True
    redact_patterns: list[str] = []


class Environment(_Strict, frozen=True):
    """Where to ask. A source without a section is not asked and its checks are unknown.

    `recording` replays instead of asking; `evidence` is the folder a run leaves its bundle in. `database_address` is
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


@dataclass(frozen=True)
class Settings:
    """The whole file: all paths in it are absolute, every environment names a service that is there."""

    path: Path
    environments: Mapping[str, Environment]
    services: Mapping[str, Service]

    def environment(self, name: str) -> Environment:
        """An environment by its name."""
        if name not in self.environments:
            raise SettingsError(
                f"There is no environment {name[:80]!r} in {self.path}; {hint(name, self.environments)}"
            )
        return self.environments[name]

    def service(self, name: str) -> Service:
        """A service profile by its name."""
        if name not in self.services:
            raise SettingsError(f"There is no service {name[:80]!r} in {self.path}; {hint(name, self.services)}")
        return self.services[name]


def load(path: Path | None = None) -> Settings:
    """The settings of `path`, else of RUNBOOK_SETTINGS, else of the nearest runbook.toml upward, else the shipped one."""
    file = _find() if path is None else path
    file = file.expanduser().absolute()
    raw = toml.read(file)
    toml.known(raw, ("service", "environment"), file)
    tables = {
        name: toml.convert(raw.get(name, {}), dict[str, dict[str, object]], file, name)
        for name in ("service", "environment")
    }
    services = {
        name: toml.convert({"name": name, **table}, Service, file, f"service.{name}")
        for name, table in tables["service"].items()
    }
    environments = {
        name: toml.convert(table, Environment, file, f"environment.{name}")
        for name, table in tables["environment"].items()
    }
    for name, service in services.items():
        validation.check_service(service, file, f"service.{name}")
    for name, environment in environments.items():
        validation.check_environment(environment, services, file, f"environment.{name}")
    here = Path.cwd()
    passing_by = file == shipped() and file.parent not in (here, *here.parents)  # then evidence is not kept beside it
    home = here if passing_by else file.parent
    return Settings(file, {name: located(one, file.parent, home) for name, one in environments.items()}, services)


def shipped() -> Path:
    """The runbook.toml that comes with the package: inside it when installed, at the top of a checkout."""
    return next(
        file
        for file in (PACKAGE / FILE_NAME, PACKAGE.parent.parent / FILE_NAME)
        if file.is_file() or file.parent != PACKAGE
    )


def _find() -> Path:
    named = os.environ.get("RUNBOOK_SETTINGS", "")
    if named:
        return Path(named)
    here = Path.cwd()
    return next((folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()), shipped())


def draft_folder() -> Path | None:
    """Where the runner wants this notebook's evidence; None for a notebook that a person runs."""
    named = os.environ.get("RUNBOOK_BUNDLE", "")
    return Path(named) if named else None


def evidence_folder() -> str:
    """Where bundles are kept instead of in the environment's folder; "" where nobody said."""
    return os.environ.get("RUNBOOK_EVIDENCE", "")


def default_environment() -> str:
    """The environment that this machine is for; "" where nobody said."""
    return os.environ.get("RUNBOOK_ENVIRONMENT", "")


def child_environment(**more: str) -> dict[str, str]:
    """The environment for a process that we start: ours, and what it is told in addition."""
    return {**os.environ, **more}


def secret(env_name: str, file_name: str, setting: str) -> str:
    """The secret in that environment variable or else in that file, read now; "" if neither is named.

    One newline at its end is dropped. Raises SettingsError if it is missing, unreadable or empty, naming `setting`, which
    is without its ending: "password".
    """
    if env_name:
        where, value = f"The environment variable {env_name} of `{setting}_env`", os.environ.get(env_name, "")
    elif file_name:
        where = f"The file {file_name} of `{setting}_file`"
        try:
            value = Path(file_name).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError, RuntimeError) as error:  # the latter: no text or path, no such home folder
            why = error.strerror if isinstance(error, OSError) else "it is no text, or its path is none"
            raise SettingsError(f"{where} cannot be read ({why}); correct its path or permissions.") from None
    else:
        return ""
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise SettingsError(f"{where} is not set or empty; put the secret there, or take its name out of runbook.toml.")
    return value


def seal_key(environment: Environment) -> bytes:
    """The key that signs this environment's bundles; b"" where none is named. Raises SettingsError as `secret` does."""
    return secret(environment.seal_key_env, environment.seal_key_file, "seal_key").encode()


def secrets(environment: Environment) -> tuple[str, ...]:
    """Every secret that the environment's settings name and that can be read, so that none is ever recorded."""
    named = [source.auth for source in (environment.prometheus, environment.elasticsearch) if source]
    pairs = [
        pair
        for auth in named
        for pair in (
            (auth.password_env, auth.password_file),
            (auth.bearer_env, auth.bearer_file),
            (auth.api_key_env, auth.api_key_file),
        )
    ]
    pairs.append((environment.probe_token_env, environment.probe_token_file))
    pairs.append((environment.seal_key_env, environment.seal_key_file))
    mysql = environment.mysql or MySQL()
    pairs.append((mysql.password_env, mysql.password_file))
    found: list[str] = []
    for env_name, file_name in pairs:
        with suppress(SettingsError):  # one that cannot be read will be missed when its source is asked
            found.append(secret(env_name, file_name, ""))
    with suppress(SettingsError):
        found += dsn.spellings(secret(mysql.dsn_env, mysql.dsn_file, "dsn"))
    for header in (auth.headers for auth in named):
        values = [value for name, value in header.items() if names_secret(name)]
        found += [part for value in values for part in (value, value.partition(" ")[2])]
    return tuple(value for value in found if value)
