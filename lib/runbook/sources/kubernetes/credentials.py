"""Credentials for the next request: from the kubeconfig, a token file, or a credential plugin that is run for them."""

from __future__ import annotations

import base64
import datetime as dt
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runbook.config import process_env
from runbook.errors import Reason, SourceError
from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.kubernetes.kubeconfig import ClusterLogin, Plugin

EARLY = 30  # seconds before they expire that credentials are renewed


@dataclass(frozen=True)
class Proof:
    """What proves who we are: a header value and a client certificate with its key, "" where not used."""

    authorization: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    def hide(self, text: str) -> str:
        """The text without our secret, in case that a server repeats it."""
        secret = self.authorization.rpartition(" ")[2]
        return text.replace(secret, "[redacted]") if secret else text


class _Status(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: dt.datetime | None = None


class _Credential(msgspec.Struct):
    status: _Status


class Credentials:
    """The proof for each request; many threads may ask, but a plugin runs once for all of them."""

    def __init__(self, login: ClusterLogin) -> None:
        self._login = login
        self._running = threading.Lock()
        self._plugged: tuple[Proof, float] | None = None

    def proof(self, limit: TimeLimit) -> Proof:
        """What to send now; raises SourceError where a plugin gives nothing within the limit."""
        login = self._login
        if login.token_file is not None:  # read each time: whoever renews it, replaces the file
            return self._bearer(_token(login.token_file, login))
        if login.token:
            return self._bearer(login.token)
        if login.plugin is not None:
            return self._plugin_proof(login.plugin, limit)
        return self._bearer("")

    def renewable(self) -> bool:
        """Whether asking again may give other credentials; what a plugin gave is forgotten."""
        with self._running:
            self._plugged = None
        return self._login.plugin is not None

    def _bearer(self, token: str) -> Proof:
        login = self._login
        basic = base64.b64encode(f"{login.username}:{login.password}".encode()).decode() if login.username else ""
        header = f"Bearer {token}" if token else f"Basic {basic}" if basic else ""
        return Proof(_header(header, login), login.certificate, login.key)

    def _plugin_proof(self, plugin: Plugin, limit: TimeLimit) -> Proof:
        with self._running:
            if self._plugged is None or self._plugged[1] - EARLY <= time.time():
                self._plugged = _run(plugin, self._login, limit)
            return self._plugged[0]


def _run(plugin: Plugin, login: ClusterLogin, limit: TimeLimit) -> tuple[Proof, float]:
    """What the plugin hands out, and until when it holds (epoch seconds)."""
    try:
        done = subprocess.run(
            [_program(plugin, login.folder), *(plugin.args or [])],
            env=_environment(plugin, login),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit.remaining,
            check=True,
        )
        status = msgspec.json.decode(done.stdout, type=_Credential).status
    except subprocess.TimeoutExpired:
        raise _failed(plugin, login, "did not end in time", "timeout") from None
    except subprocess.CalledProcessError as error:
        raise _failed(plugin, login, f"ended with {error.returncode}", "forbidden") from None
    except OSError as error:
        raise _failed(plugin, login, f"cannot be started ({type(error).__name__})", "forbidden") from None
    except msgspec.MsgspecError:
        raise _failed(plugin, login, "did not print a credential", "garbage") from None
    expires = status.expiration_timestamp.timestamp() if status.expiration_timestamp else float("inf")
    header = _header(f"Bearer {status.token}" if status.token else "", login)
    certificate = status.client_certificate_data or login.certificate
    return Proof(header, certificate, status.client_key_data or login.key), expires


def _program(plugin: Plugin, folder: Path | None) -> str:
    """A path is relative to the kubeconfig; a bare name is looked up in PATH."""
    return str(folder / plugin.command) if folder is not None and "/" in plugin.command else plugin.command


def _environment(plugin: Plugin, login: ClusterLogin) -> dict[str, str]:
    spec: dict[str, object] = {"interactive": False}
    if plugin.provide_cluster_info:
        authority = base64.b64encode(login.authority.encode()).decode()
        spec["cluster"] = {"server": login.server, "certificate-authority-data": authority}
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    wanted = {one.name: one.value for one in plugin.env or []}
    return {**process_env.child_environment(KUBERNETES_EXEC_INFO=msgspec.json.encode(info).decode()), **wanted}


def _failed(plugin: Plugin, login: ClusterLogin, what: str, reason: Reason) -> SourceError:
    hint = f" ({plugin.install_hint.strip()[:200]})" if plugin.install_hint and "started" in what else ""
    name = Path(plugin.command).name
    return SourceError(
        f"The credential plugin {name} of {login.origin} {what}{hint}; "
        "log in to the cluster, then try `kubectl get pods`.",
        reason,
    )


def _token(file: Path, login: ClusterLogin) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"The token file of {login.origin} cannot be read ({type(error).__name__}); log in to the cluster again.",
            "forbidden",
        ) from None


def _header(value: str, login: ClusterLogin) -> str:
    """An HTTP library would quote a bad header in its error, and with it the secret: refuse it before."""
    if value and not (value.isascii() and value.isprintable()):
        raise SourceError(
            f"The token of {login.origin} holds characters that HTTP cannot carry; log in to the cluster again.",
            "forbidden",
        )
    return value
