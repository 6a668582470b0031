"""What settings must be besides well-formed: the parts have to fit together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from pathlib import Path

from runbook.config import toml
from runbook.config.paths import RECORDINGS
from runbook.config.schema import Auth, Elasticsearch, Environment, MySQL, Prometheus, Service
from runbook.config.types import leaves
from runbook.text.suggest import hint


def check_service(service: Service, file: Path, key: str) -> None:
    """Refuse what no type can express, for one service profile."""
    if not re.fullmatch(r"[\w.*,:-]+", service.index, re.ASCII):  # it becomes a part of a path
        toml.refuse(file, f"{key}.index", "should be the name or pattern of an index, e.g. micro-apps-*.")
    for number, pattern in enumerate(service.redact_patterns):
        try:
            re.compile(pattern)
        except re.error as error:
            toml.refuse(file, f"{key}.redact_patterns[{number}]", f"is not a regular expression: {error}.")
    for name in ("health_path", "probe_path", "login_path", "display_path"):
        if trouble := leaves(getattr(service, name)):
            toml.refuse(file, f"{key}.{name}", f"{trouble}; it is asked below base_url, write it like /health.")


def check_thresholds(limits: Mapping[str, object], file: Path, key: str) -> None:
    """Refuse what can be no limit of any alert; which names there are, and how far each may go, the alerts declare."""
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
            toml.refuse(file, f"{key}.{name}", "should be a number above 0.")


def check_environment(environment: Environment, services: Mapping[str, Service], file: Path, key: str) -> None:
    """Refuse what no type can express, for one environment."""
    if environment.service not in services:
        toml.refuse(file, f"{key}.service", f"names no service of this file; {hint(environment.service, services)}")
    plain = environment.recording.removeprefix(RECORDINGS).replace("{alert}", "")
    if "{" in plain or "}" in plain:
        told = "may begin with {recordings}/, the folder of the alert's own recordings, and hold {alert}, its name"
        toml.refuse(file, f"{key}.recording", f"{told}, and no other braces.")
    for name in ("probe_token", "seal_key"):
        if getattr(environment, f"{name}_env") and getattr(environment, f"{name}_file"):
            toml.refuse(file, key, f"names the same secret twice; keep one of `{name}_env` and `{name}_file`.")
    for name in ("prometheus", "elasticsearch"):
        source: Prometheus | Elasticsearch | None = getattr(environment, name)
        if source is not None:
            if not source.url:
                toml.refuse(file, f"{key}.{name}.url", "is empty; write the address, or take the whole table out.")
            _check_auth(source.auth, file, f"{key}.{name}.auth")
    if environment.mysql is not None:
        _check_mysql(environment.mysql, file, f"{key}.mysql")
    if int(environment.database_address.rpartition(":")[2] or 1) not in range(1, 65_536):
        toml.refuse(file, f"{key}.database_address", "has a port beyond 1 to 65535; correct it.")


def _check_auth(auth: Auth, file: Path, key: str) -> None:
    password = bool(auth.password_env or auth.password_file)
    if bool(auth.username) != password:
        toml.refuse(file, key, "needs both `username` and one of `password_env` and `password_file`, or none of them.")
    ways = (password, bool(auth.bearer_env or auth.bearer_file), bool(auth.api_key_env or auth.api_key_file))
    if sum(ways) > 1:
        toml.refuse(file, key, "names several ways to prove who we are; keep one of password, bearer and API key.")
    for kind in ("password", "bearer", "api_key"):
        if getattr(auth, f"{kind}_env") and getattr(auth, f"{kind}_file"):
            toml.refuse(file, key, f"names the same secret twice; keep one of `{kind}_env` and `{kind}_file`.")
    if auth.client_key_file and not auth.client_cert_file:
        toml.refuse(file, key, "has a `client_key_file` without `client_cert_file`; add it.")
    for header in auth.headers:
        if header.casefold() in ("authorization", "proxy-authorization", "cookie"):
            toml.refuse(
                file,
                f"{key}.headers",
                f"holds a secret ({header}), which never stands in this file; use `bearer_env` or the like.",
            )


def _check_mysql(mysql: MySQL, file: Path, key: str) -> None:
    for kind in ("password", "dsn"):
        if getattr(mysql, f"{kind}_env") and getattr(mysql, f"{kind}_file"):
            toml.refuse(file, key, f"names the same secret twice; keep one of `{kind}_env` and `{kind}_file`.")
    parts = (bool(mysql.host), bool(mysql.user), bool(mysql.password_env or mysql.password_file))
    dsn = bool(mysql.dsn_env or mysql.dsn_file)
    if any(parts) if dsn else not all(parts):
        toml.refuse(
            file,
            key,
            "needs `host`, `user` and one of `password_env` and `password_file`, "
            "or else one of `dsn_env` and `dsn_file` alone.",
        )
    if mysql.tls == "off" and mysql.ca_file:
        toml.refuse(file, key, "names a `ca_file` but has TLS off; keep one of them.")
