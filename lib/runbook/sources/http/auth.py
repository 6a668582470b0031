"""How a request proves who it is: pure in settings.Auth, apart from reading the secrets it names, each time anew."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from runbook.config.schema import Auth
from runbook.config.secrets import secret
from runbook.errors import SettingsError


def authorization(auth: Auth, url: str = "") -> str:
    """The value of the Authorization header, "" for none; user and password in `url` count if nothing else is set."""
    ways = [way for way in (_basic(auth), _bearer(auth), _api_key(auth)) if way]
    if len(ways) > 1:
        raise SettingsError(
            "Several ways to authenticate are set; keep one of username, bearer and API key in runbook.toml."
        )
    return _header_safe(ways[0] if ways else _from_url(url), "A secret")


def headers(auth: Auth) -> dict[str, str]:
    """The further headers to send (a tenant, a proxy's token), fit for HTTP."""
    return {name: _header_safe(value, f"The header {name}") for name, value in auth.headers.items()}


def hidden(text: str, auth: Auth, url: str = "") -> str:
    """A server's own words with every secret that we sent it struck out."""
    credentials = authorization(auth, url)
    sent = [credentials, credentials.partition(" ")[2], urlsplit(url).password or "", *auth.headers.values()]
    sent += [secret(auth.password_env, auth.password_file, "password")] if auth.username else []
    for value in sorted(filter(None, sent), key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def without_userinfo(url: str) -> str:
    """The URL without user and password, and without a slash at its end."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def ca_bundle(auth: Auth) -> str | bool:
    """The authority to trust: a file, or True for the usual ones."""
    return existing(auth.ca_file, "ca_file") or True


def client_certificate(auth: Auth) -> str | tuple[str, str] | None:
    """The certificate to show: one file with both, or certificate and key; None for none."""
    certificate, key = (
        existing(auth.client_cert_file, "client_cert_file"),
        existing(auth.client_key_file, "client_key_file"),
    )
    return (certificate, key) if certificate and key else certificate or None


def _basic(auth: Auth) -> str:
    return _encoded(auth.username, secret(auth.password_env, auth.password_file, "password")) if auth.username else ""


def _bearer(auth: Auth) -> str:
    token = secret(auth.bearer_env, auth.bearer_file, "bearer")
    return f"Bearer {token}" if token else ""


def _api_key(auth: Auth) -> str:
    key = secret(auth.api_key_env, auth.api_key_file, "api_key")
    return f"ApiKey {key}" if key else ""


def _from_url(url: str) -> str:
    parts = urlsplit(url)
    return _encoded(unquote(parts.username), unquote(parts.password or "")) if parts.username else ""


def _encoded(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _header_safe(value: str, what: str) -> str:
    """Client libraries quote a bad header in their errors, and with it the secret: refuse it before."""
    if not (value.isascii() and value.isprintable()) and value:
        raise SettingsError(
            f"{what} holds a line break or another character that HTTP headers cannot carry; store it again."
        )
    return value


def existing(name: str, setting: str) -> str:
    """The path of a file that a setting names, "" where it names none; SettingsError if it is not there."""
    path = Path(name).expanduser()
    if name and not path.is_file():
        raise SettingsError(f"The file {name} of `{setting}` does not exist; correct its path in runbook.toml.")
    return str(path) if name else ""
