"""Kubeconfig: every way to prove who we are."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook.config.schema import Kubernetes as Settings
from runbook.errors import SourceError
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.kubeconfig import from_files
from runbook.sources.kubernetes.objects import version_of
from runbook.sources.kubernetes.queries import version
from tests.canned import Canned
from tests.certificates import Authority
from tests.sources.kubernetes.plugins import BETA, V1, VERSION, plugin
from tests.sources.kubernetes.server import TOKEN, kubeconfig, refusal, source


def sent_by(folder: Path, **user: Any) -> Mapping[str, Any]:
    """The headers that a request of this user arrives with."""
    with Canned(VERSION) as server:
        source(folder, server, **user).ask(version())
        return dict(server.requests[0].headers)


def test_a_token_is_sent(tmp_path: Path):
    """A token of the file goes out as a bearer token."""
    assert sent_by(tmp_path, token=TOKEN)["Authorization"] == f"Bearer {TOKEN}"


def test_user_and_password_are_sent(tmp_path: Path):
    """They go out as basic authentication."""
    header = sent_by(tmp_path, username="u", password=TOKEN)["Authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == f"u:{TOKEN}"


def test_impersonation_is_sent(tmp_path: Path):
    """`as` and `as-groups` of the file reach the API server."""
    headers = sent_by(tmp_path, **{"token": TOKEN, "as": "bob", "as-groups": ["oncall"]})
    assert (headers["Impersonate-User"], headers["Impersonate-Group"]) == ("bob", "oncall")


def test_a_token_file_is_read_for_each_request(tmp_path: Path):
    """A token that was renewed meanwhile is the one sent; its path is relative to the kubeconfig."""
    with Canned(VERSION) as server:
        asked = source(tmp_path, server, tokenFile="token")
        for token in ("first", "second"):
            (tmp_path / "token").write_text(f"{token}\n")
            asked.ask(version())
        assert [r.headers["Authorization"] for r in server.requests] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("api_version", [V1, BETA])
def test_a_plugin_is_run_once_and_told_what_it_needs(api_version: str, tmp_path: Path):
    """A plugin gets its arguments, its variables and the cluster; its token serves until it expires."""
    body = """
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert not info["spec"]["interactive"] and info["spec"]["cluster"]["server"].startswith("http://127.0.0.1:")
with open(os.environ["LOG"], "a") as log: log.write("ran ")
give(token="-".join([*sys.argv[1:], info["apiVersion"].rpartition("/")[2], "token"]))
"""
    entry = plugin(tmp_path, body, apiVersion=api_version, provideClusterInfo=True)
    entry["exec"]["args"] += ["region"]
    entry["exec"]["env"] = [{"name": "LOG", "value": str(tmp_path / "log")}]
    with Canned(VERSION) as server:
        asked = source(tmp_path, server, **entry)
        for _ in range(3):
            asked.ask(version())
        assert server.requests[-1].headers["Authorization"] == f"Bearer region-{api_version.rpartition('/')[2]}-token"
    assert (tmp_path / "log").read_text() == "ran "


def test_a_plugin_is_run_again_when_its_token_is_refused(tmp_path: Path):
    """A token that the server no longer takes is renewed once, and the question is answered."""
    body = f"""
seen = os.path.exists({str(tmp_path / "seen")!r})
open({str(tmp_path / "seen")!r}, "w").close()
give(token="new" if seen else "old")
"""
    with Canned(
        lambda r: VERSION["/version"] if r.headers["Authorization"] == "Bearer new" else refusal(401, "expired")
    ) as server:
        asked = source(tmp_path, server, **plugin(tmp_path, body))
        assert version_of(asked.ask(version())) == "v1.36.3"
        assert len(server.requests) == 2


@pytest.mark.parametrize(("minutes", "runs"), [(0, 2), (60, 1)])
def test_a_plugin_is_run_again_when_its_token_expires(minutes: int, runs: int, tmp_path: Path):
    """The expiry that a plugin gives is kept."""
    expires = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = f"""
with open({str(tmp_path / "log")!r}, "a") as log: log.write(".")
give(token="x", expirationTimestamp="{expires}")
"""
    with Canned(VERSION) as server:
        asked = source(tmp_path, server, **plugin(tmp_path, body))
        asked.ask(version())
        asked.ask(version())
    assert (tmp_path / "log").read_text() == "." * runs


def demanding(folder: Path) -> tuple[Authority, ssl.SSLContext]:
    """TLS of a server that wants a client certificate of the same authority."""
    authority = Authority(folder)
    context = authority.server_context("server", "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    return authority, context


@pytest.mark.parametrize("way", ["files", "data", "plugin"])
def test_a_client_certificate_is_shown(way: str, tmp_path: Path):
    """Certificate and key from files, from the kubeconfig itself or from a plugin open the door; nothing stays."""
    authority, tls = demanding(tmp_path)
    certificate, key = authority.issue("oncall")
    user = {
        "files": {"client-certificate": certificate.name, "client-key": str(key)},
        "data": {
            "client-certificate-data": base64.b64encode(certificate.read_bytes()).decode(),
            "client-key-data": base64.b64encode(key.read_bytes()).decode(),
        },
        "plugin": plugin(
            tmp_path,
            f"give(clientCertificateData=open({str(certificate)!r}).read(), clientKeyData=open({str(key)!r}).read())",
        ),
    }[way]
    with Canned(VERSION, tls=tls) as server:
        file = kubeconfig(tmp_path, server.url, {"certificate-authority": authority.file.name}, **user)
        assert version_of(Kubernetes(Settings(kubeconfig=str(file)), 5).ask(version())) == "v1.36.3"


def test_a_missing_client_certificate_is_told(tmp_path: Path):
    """A server that wants a certificate and gets none is a matter of TLS, with the context to correct."""
    authority, tls = demanding(tmp_path)
    with Canned(VERSION, tls=tls) as server:
        file = kubeconfig(tmp_path, server.url, {"certificate-authority": authority.file.name})
        with pytest.raises(SourceError) as caught:
            Kubernetes(Settings(kubeconfig=str(file)), 5).ask(version())
    assert "gave no answer (TLS failed: " in str(caught.value)
    assert f"check the cluster's entry in context here of {file}" in str(caught.value)


def test_credentials_are_not_shown_by_their_values(tmp_path: Path):
    """A login that is printed, in a log or a traceback, hides what is secret."""
    with Canned(VERSION) as server:
        file = kubeconfig(
            tmp_path, server.url, {"proxy-url": f"http://p:{TOKEN}@127.0.0.1:1"}, token=TOKEN, password=TOKEN
        )
    assert TOKEN not in repr(from_files([file]))
