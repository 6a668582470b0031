"""Where a cluster is and how to log in, read from kubeconfig files or from a pod's service account.

The rules are kubectl's: files named in KUBECONFIG are merged and the first that says something wins, relative paths
start at the file that holds them, data goes before files. Whatever is wrong raises SettingsError in one sentence.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runbook.config import process_env, schema
from runbook.errors import SettingsError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "https://kubernetes.default.svc"


class Variable(msgspec.Struct, frozen=True):
    """One environment variable that a plugin wants."""

    name: str
    value: str


class Plugin(msgspec.Struct, frozen=True, rename="camel"):
    """A program that hands out credentials (`exec` in the file)."""

    command: str
    api_version: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """Where the API server is and how it proves who it is."""

    server: str
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class User(msgspec.Struct, frozen=True, rename="kebab"):
    """How we prove who we are."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    exec: Plugin | None = None
    auth_provider: dict[str, object] | None = None
    impersonate: str = msgspec.field(name="as", default="")
    impersonate_groups: list[str] | None = msgspec.field(name="as-groups", default=None)


class KubeContext(msgspec.Struct, frozen=True):
    """A cluster and a user, by name."""

    cluster: str
    user: str = ""


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: Cluster


class _NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: User | None = None


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: KubeContext


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    current_context: str | None = ""
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


@dataclass(frozen=True)
class ClusterLogin:
    """One cluster as one user. `authority`, `certificate` and `key` are PEM texts, "" for none.

    `origin` says where this was read, for sentences to a person.
    """

    server: str
    origin: str
    authority: str = ""
    insecure: bool = False
    tls_name: str = ""
    proxy: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    plugin: Plugin | None = field(default=None, repr=False)
    folder: Path | None = None
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()


def login(config: schema.Kubernetes) -> ClusterLogin:
    """The cluster and user that the settings mean."""
    return service_account() if config.in_cluster else from_files(_files(config.kubeconfig), config.context)


def service_account(folder: Path = ACCOUNT, server: str = IN_CLUSTER) -> ClusterLogin:
    """The pod's own account; its token file is read for each request, as the kubelet renews it."""
    if not (folder / "token").is_file():
        raise SettingsError(
            "`in_cluster` is set, but this is no pod with a service account; "
            "name a `kubeconfig` in runbook.toml instead."
        )
    return ClusterLogin(server, "the pod's service account", _text(folder / "ca.crt"), token_file=folder / "token")


def from_files(files: Sequence[Path], context: str = "") -> ClusterLogin:
    """One context of these files, by default the current one."""
    read = [(file, _read(file)) for file in files]
    name = context or next((one.current_context for _, one in read if one.current_context), "")
    where = ", ".join(str(file) for file in files)
    if not name:
        raise SettingsError(f"{where} has no current context; name one as `context` in runbook.toml.")
    contexts = {one.name: one.context for _, file in reversed(read) for one in reversed(file.contexts or [])}
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise SettingsError(f"{where} has no context {name!r}, but {known}; correct `context` in runbook.toml.")
    return _login(read, contexts[name], f"context {name} of {where}")


def _login(read: Sequence[tuple[Path, _File]], context: KubeContext, origin: str) -> ClusterLogin:
    clusters = {
        one.name: (one.cluster, path.parent) for path, file in reversed(read) for one in reversed(file.clusters or [])
    }
    users = {
        one.name: (one.user or User(), path.parent)
        for path, file in reversed(read)
        for one in reversed(file.users or [])
    }
    if context.cluster not in clusters:
        raise SettingsError(f"The cluster {context.cluster!r} of {origin} is not in the file; correct the file.")
    if context.user and context.user not in users:
        raise SettingsError(f"The user {context.user!r} of {origin} is not in the file; correct the file.")
    cluster, cluster_folder = clusters[context.cluster]
    user, user_folder = users[context.user] if context.user else (User(), cluster_folder)
    if user.auth_provider and not user.exec:
        raise SettingsError(
            f"The user of {origin} logs in by `auth-provider`, which Kubernetes gave up; use an `exec` plugin."
        )
    return ClusterLogin(
        server=cluster.server.rstrip("/"),
        origin=origin,
        authority=_pem(cluster.certificate_authority_data, cluster.certificate_authority, cluster_folder, origin),
        insecure=cluster.insecure_skip_tls_verify,
        tls_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
        certificate=_pem(user.client_certificate_data, user.client_certificate, user_folder, origin),
        key=_pem(user.client_key_data, user.client_key, user_folder, origin),
        token=user.token,
        token_file=user_folder / user.token_file if user.token_file else None,
        username=user.username,
        password=user.password,
        plugin=user.exec,
        folder=user_folder,
        impersonate=user.impersonate,
        impersonate_groups=tuple(user.impersonate_groups or ()),
    )


def _files(setting: str) -> list[Path]:
    """As kubectl finds them; of the files in KUBECONFIG those that exist, if any does."""
    if setting:
        return [Path(setting).expanduser()]
    named = [Path(one) for one in process_env.variable("KUBECONFIG").split(os.pathsep) if one]
    return [one for one in named if one.is_file()] or named[:1] or [Path("~/.kube/config").expanduser()]


def _read(file: Path) -> _File:
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=_File | None) or _File()
    except OSError as error:
        raise SettingsError(
            f"The kubeconfig {file} cannot be read ({error.strerror}); "
            "name another one as `kubeconfig` in runbook.toml."
        ) from None
    except msgspec.MsgspecError as error:
        where = str(error).rpartition(" - at `")[2].rstrip("`") if " - at `" in str(error) else ""
        raise SettingsError(f"{file} is not a kubeconfig{f' (see {where})' if where else ''}; correct it.") from None


def _pem(data: str, file: str, folder: Path, origin: str) -> str:
    if not data:
        return _text(folder / Path(file).expanduser()) if file else ""
    try:
        return base64.b64decode("".join(data.split()), validate=True).decode("ascii")
    except ValueError:
        raise SettingsError(
            f"A certificate or key in {origin} is not base64 of PEM text; log in to the cluster again."
        ) from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read ({type(error).__name__}); log in to the cluster again.") from None
