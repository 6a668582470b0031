"""The secrets that the settings name, read from variables and files at the moment they are needed."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from runbook.config import dsn, process_env
from runbook.config.schema import Environment, MySQL
from runbook.errors import SettingsError

_SECRET_HEADER = re.compile("auth|key|token|secret|password|credential|cookie|session", re.IGNORECASE)


def secret(env_name: str, file_name: str, setting: str) -> str:
    """The secret in that environment variable or else in that file, read now; "" if neither is named.

    One newline at its end is dropped. Raises SettingsError if it is missing, unreadable or empty, naming `setting`,
    which is without its ending: "password".
    """
    if env_name:
        where, value = f"The environment variable {env_name} of `{setting}_env`", process_env.variable(env_name)
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


def names_secret(header: str) -> bool:
    """Whether a header's name says that its value proves who we are, as a proxy's token does and a tenant does not."""
    return bool(_SECRET_HEADER.search(header))
