"""Kubeconfig: what is wrong with it or its plugin, and where the server is."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook.config.schema import Kubernetes as Settings
from runbook.errors import SettingsError, SourceError
from runbook.sources.http.timelimit import TimeLimit
from runbook.sources.kubernetes.client import Kubernetes
from runbook.sources.kubernetes.http import Connection, Request
from runbook.sources.kubernetes.kubeconfig import from_files, service_account
from runbook.sources.kubernetes.objects import version_of
from runbook.sources.kubernetes.queries import version
from tests.canned import Canned
from tests.certificates import Authority
from tests.sources.kubernetes.plugins import BETA, VERSION, plugin
from tests.sources.kubernetes.server import TOKEN, kubeconfig, source


def why_not(folder: Path, server: Canned | str, **user: Any) -> str:
    """The sentence why this user gets no answer; it never shows the canary."""
    with pytest.raises((SourceError, SettingsError)) as caught:
        source(folder, server, seconds=2.0, **user).ask(version())
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no current context; name one as `context`"),
        ("[1, 2]", "is not a kubeconfig; correct it"),
        ("{", "is not a kubeconfig; correct it"),
        ("\x00", "is not a kubeconfig; correct it"),
        ("clusters: [{name: c, cluster: {server: 7}}]", "is not a kubeconfig (see $.clusters[0].cluster.server)"),
        ("{current-context: x}", "has no context 'x', but none; correct `context`"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", "The cluster 'c' of context x of"),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
            "clusters: [{name: c, cluster: {server: 's'}}]}",
            "The user 'u' of context x of",
        ),
    ],
)
def test_a_wrong_kubeconfig_says_what_is_wrong(content: str, words: str, tmp_path: Path):
    """Whatever is missing or ill-formed is named, with the file."""
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        from_files([file])
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_kubeconfig_is_named(tmp_path: Path):
    """A file that is not there is told with its path and the setting that names it."""
    with pytest.raises(
        SettingsError, match=r"nowhere cannot be read \(No such file or directory\); name another one as `kubeconfig`"
    ):
        Kubernetes(Settings(kubeconfig=str(tmp_path / "nowhere"))).ask(version())


def test_a_wrong_value_is_not_quoted(tmp_path: Path):
    """A token of the wrong type is not shown by the sentence about it."""
    assert "is not a kubeconfig (see $.users[0].user.token)" in why_not(tmp_path, "http://127.0.0.1:1", token=[TOKEN])


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"certificate-authority-data": "%%%"}, "is not base64 of PEM text"),
        ({"certificate-authority-data": base64.b64encode(b"\xff\xfe").decode()}, "is not base64 of PEM text"),
        ({"certificate-authority-data": base64.b64encode(b"hello").decode()}, "is not valid PEM"),
        ({"certificate-authority": "absent.crt"}, "absent.crt cannot be read (FileNotFoundError)"),
        ({"proxy-url": "socks5://127.0.0.1:1"}, "is not an HTTP proxy"),
    ],
)
def test_a_wrong_cluster_entry_says_what_is_wrong(cluster: dict[str, Any], words: str, tmp_path: Path):
    """Certificates that are none, and proxies that we cannot use, are told before anything is sent."""
    file = kubeconfig(tmp_path, "https://127.0.0.1:1", cluster)
    with pytest.raises(SettingsError) as caught:
        Kubernetes(Settings(kubeconfig=str(file))).ask(version())
    assert words in str(caught.value)


def test_no_pod_has_no_service_account(tmp_path: Path):
    """`in_cluster` outside of a cluster says so."""
    with pytest.raises(SettingsError, match="this is no pod with a service account; name a `kubeconfig`"):
        service_account(tmp_path)


def test_an_auth_provider_is_refused(tmp_path: Path):
    """What Kubernetes itself gave up is not tried without credentials."""
    assert "which Kubernetes gave up; use an `exec` plugin" in why_not(
        tmp_path, "http://127.0.0.1:1", **{"auth-provider": {"name": "gcp"}}
    )


@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Other: 1", f"{TOKEN}é"])
def test_a_token_that_no_header_can_hold_is_refused(token: str, tmp_path: Path):
    """A line break or a letter beyond ASCII is told without showing the token."""
    assert "holds characters that HTTP cannot carry" in why_not(tmp_path, "http://127.0.0.1:1", token=token)


def test_a_missing_token_file_is_told(tmp_path: Path):
    """A token file that is not there asks for a new login."""
    assert "cannot be read (FileNotFoundError); log in" in why_not(tmp_path, "http://127.0.0.1:1", tokenFile="absent")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"sys.exit('{TOKEN}')", "ended with 1; log in to the cluster"),
        (f"print('{TOKEN}')", "did not print a credential"),
        (f"print(json.dumps({{'status': {{'token': ['{TOKEN}']}}}}))", "did not print a credential"),
        ("time.sleep(60)", "did not end in time"),
        (f"give(token='{TOKEN} é')", "holds characters that HTTP cannot carry"),
    ],
)
def test_a_failing_plugin_is_named_without_what_it_said(body: str, words: str, tmp_path: Path):
    """A plugin that fails, hangs or prints something else costs the question in time, and its output stays unseen."""
    said = why_not(tmp_path, "http://127.0.0.1:1", **plugin(tmp_path, body))
    assert words in said
    assert f"context here of {tmp_path}" in said


def test_a_missing_plugin_shows_how_to_install_it(tmp_path: Path):
    """The file's own hint is in the sentence."""
    entry = {"exec": {"apiVersion": BETA, "command": "no-such-plugin", "installHint": "Get it from your team."}}
    said = why_not(tmp_path, "http://127.0.0.1:1", **entry)
    assert "The credential plugin no-such-plugin of context here" in said
    assert "cannot be started (FileNotFoundError) (Get it from your team.)" in said


@pytest.mark.parametrize("entry", [{"tls-server-name": "api.example"}, {"insecure-skip-tls-verify": True}])
def test_a_server_behind_another_name_is_reached(entry: dict[str, Any], tmp_path: Path):
    """A certificate for another name is accepted where the kubeconfig says which name, or says not to look."""
    authority = Authority(tmp_path)
    with Canned(VERSION, tls=authority.server_context("server", "api.example")) as server:
        cluster = {**entry, "certificate-authority": authority.file.name}
        file = kubeconfig(tmp_path, server.url, cluster)
        assert version_of(Kubernetes(Settings(kubeconfig=str(file)), 5).ask(version())) == "v1.36.3"


def test_a_proxy_of_the_kubeconfig_is_used(tmp_path: Path):
    """The request goes to the proxy, with its own credentials and ours."""
    with Canned(lambda _: VERSION["/version"]) as proxy:
        with_user = proxy.url.replace("//", "//p:secret@")
        file = kubeconfig(tmp_path, "http://api.example:81", {"proxy-url": with_user})
        Kubernetes(Settings(kubeconfig=str(file)), 5).ask(version())
        request = proxy.requests[0]
    assert request.path == "http://api.example:81/version"
    assert base64.b64decode(request.headers["Proxy-Authorization"].removeprefix("Basic ")) == b"p:secret"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_the_first_of_several_files_wins(tmp_path: Path):
    """Files are merged as kubectl merges them: each name from the first file that has it."""
    first, second = tmp_path / "first", tmp_path / "second"
    user = {"name": "u", "user": {"token": "t"}}
    contexts = [{"name": name, "context": {"cluster": name, "user": "u"}} for name in ("a", "b")]
    first.write_text(
        json.dumps({"contexts": contexts[:1], "clusters": [{"name": "a", "cluster": {"server": "http://a"}}]})
    )
    clusters = [{"name": name, "cluster": {"server": f"http://second-{name}"}} for name in ("a", "b")]
    second.write_text(json.dumps({"current-context": "b", "contexts": contexts, "clusters": clusters, "users": [user]}))
    assert from_files([first, second]).server == "http://second-b"
    assert from_files([first, second], "a").server == "http://a"


def test_the_environment_names_the_kubeconfigs(tmp_path: Path):
    """Without a setting, KUBECONFIG counts, of whose files some may be absent; without that, ~/.kube/config."""
    (tmp_path / ".kube").mkdir()
    for name in ("config", ".kube/config"):
        kubeconfig(tmp_path, f"http://{name.replace('/', '-').strip('.')}.example").rename(tmp_path / name)
    program = "\n".join(
        [
            "from runbook.config.schema import Kubernetes",
            "from runbook.sources.kubernetes.kubeconfig import login",
            "print(login(Kubernetes()).server)",
        ]
    )

    def server(**environment: str) -> str:
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment}
        done = subprocess.run(
            [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert server(KUBECONFIG=f"{tmp_path / 'absent'}{os.pathsep}{tmp_path / 'config'}") == "http://config.example"
    assert server() == "http://kube-config.example"


def test_a_pod_uses_its_service_account(tmp_path: Path):
    """Token and authority come from the mounted folder, and a renewed token is taken at once."""
    authority = Authority(tmp_path)
    authority.file.rename(tmp_path / "ca.crt")
    with Canned(VERSION, tls=authority.server_context("server", "127.0.0.1")) as server:
        (tmp_path / "token").write_text("first")
        connection = Connection(service_account(tmp_path, server.url))
        for token in ("first", "second"):
            (tmp_path / "token").write_text(token)
            with TimeLimit(5) as limit:
                connection.get(Request("/version", "read its version"), limit)
        assert [r.headers["Authorization"] for r in server.requests] == ["Bearer first", "Bearer second"]
