"""Kubernetes' HTTP API by GET alone: whole lists, and each failure as one sentence.

Why no client library: lightkube (0.2 s to import after requests, 0.3 s alone) refuses credential plugins of version v1
and those that give certificates, knows no `tls-server-name`, `proxy-url` or several files in KUBECONFIG, and its httpx
has no total time limit; the official client takes 0.4-0.7 s after requests, 75 MB, aiohttp and pydantic; kr8s 0.6 s.
We need one verb on a few resources: urllib3 is here already, can be cut in time (`timelimit`) and its errors have words
(`faults`), so only `kubeconfig` and `kubernetes_login` are our own, on a format that Kubernetes keeps stable.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
import urllib3
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection
from urllib3.util import parse_url

from runbook.errors import Reason, SettingsError, SourceError
from runbook.model import JSON
from runbook.sources.http import failures
from runbook.sources.http.session import CONNECTIONS, is_loopback, is_near
from runbook.sources.http.timelimit import RetryInTime, TimeLimit, make_all_cuttable
from runbook.sources.kubernetes.credentials import Credentials, Proof
from runbook.sources.kubernetes.kubeconfig import ClusterLogin

PAGE = 500
MOST = 10_000  # objects of one list; a namespace may hold many more events than anybody reads
RESTARTS = 2  # of a list whose later pages expired meanwhile

_RETRIES = RetryInTime(
    total=2,
    backoff_factor=0.2,
    status_forcelist=(429, 502, 503, 504),
    raise_on_status=False,
    redirect=False,
    respect_retry_after_header=False,
)


@dataclass(frozen=True)
class Request:
    """One GET; `what` completes "does not let us ..." in a sentence, `grant` is the file that gives the right to it."""

    path: str
    what: str
    params: Mapping[str, str] = field(default_factory=dict)
    accept: str = "application/json"
    grant: str = "deploy/rbac.yaml"


class Refused(SourceError):
    """Kubernetes answered with this HTTP status instead of what was asked for."""

    def __init__(self, sentence: str, reason: Reason, status: int) -> None:
        super().__init__(sentence, reason)
        self.status = status


class Expired(Exception):
    """A list went on for so long that its next page is gone (410)."""


class Connection:
    """One cluster as one user; safe to use from many threads."""

    def __init__(self, login: ClusterLogin) -> None:
        self._login = login
        self._credentials = Credentials(login)
        self._opening = threading.Lock()
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self.place = failures.place(login.server)

    def get(self, request: Request, limit: TimeLimit) -> dict[str, Any]:
        """One object. Raises Refused or SourceError."""
        found = _decoded(self.read(request, limit))
        if not isinstance(found, dict):
            raise self.error(
                "answered without Kubernetes' JSON", "check that it is an API server and no login page", "garbage"
            )
        return found

    def read(self, request: Request, limit: TimeLimit) -> bytes:
        """What stands there, as it is; see `get`."""
        response, proof = self._send(request, limit)
        if response.status == 401 and self._credentials.renewable():
            response, proof = self._send(request, limit)
        if response.status != 200:
            raise self.refused(response.status, response.data, proof, request)
        return response.data

    def collect(
        self, request: Request, limit: TimeLimit, keep: Callable[[JSON], JSON], part: str = "items"
    ) -> tuple[list[JSON], bool]:
        """What to keep of each object of a list, page by page, and whether these are all; see `get`."""
        for _ in range(RESTARTS + 1):
            try:
                return self._pages(request, limit, keep, part)
            except Expired:
                continue
        raise self.error(
            f"let its pages expire while we were reading them ({request.what})", "run again", "server error"
        )

    def dial(self, limit: TimeLimit) -> tuple[socket.socket, str, Proof]:
        """A connection to the API server for another kind of talk, where that is, and what proves who we are."""
        proof = self._credentials.proof(limit)
        pool = self._pool(proof).connection_from_url(self._login.server)
        connection = cast(HTTPConnection, pool._new_conn())
        try:
            if pool.proxy is not None:
                pool._prepare_proxy(connection)
            else:
                connection.connect()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            connection.close()
            raise self.silent(error, limit) from None
        connection.sock.settimeout(limit.remaining)
        return connection.sock, self._login.server, proof

    def headers(self, proof: Proof, accept: str) -> urllib3.HTTPHeaderDict:
        """What every request carries."""
        headers = urllib3.HTTPHeaderDict({"Accept": accept, "User-Agent": "runbook"})
        if proof.authorization:
            headers["Authorization"] = proof.authorization
        if not is_near(self._login.server):
            headers["Accept-Encoding"] = "gzip"
        if self._login.impersonate:
            headers["Impersonate-User"] = self._login.impersonate
        for group in self._login.impersonate_groups:
            headers.add("Impersonate-Group", group)
        return headers

    def error(self, what: str, advice: str, reason: Reason) -> SourceError:
        """The one sentence: what failed, where, what to do."""
        return SourceError(f"Kubernetes at {self.place} {what}; {advice}.", reason)

    def silent(self, error: Exception, limit: TimeLimit) -> SourceError:
        """The sentence for a connection that came to nothing."""
        found = failures.TIMEOUT if limit.over else failures.fault(error)
        entry = found.words.startswith("TLS") or found is failures.BAD_URL
        advice = f"check the cluster's entry in {self._login.origin}" if entry else found.advice
        return self.error(f"gave no answer ({found.words})", advice, found.reason)

    def refused(self, status: int, body: bytes, proof: Proof, request: Request) -> Refused:
        """The sentence for an answer that is none."""
        words, advice = self._words(status, proof.hide(_message(_decoded(body))), request)
        return Refused(f"Kubernetes at {self.place} {words}; {advice}.", failures.reason(status), status)

    def _pages(
        self, request: Request, limit: TimeLimit, keep: Callable[[JSON], JSON], part: str
    ) -> tuple[list[JSON], bool]:
        kept: list[JSON] = []
        token = ""
        while True:
            following = {"continue": token} if token else {}
            params = {**request.params, "limit": str(PAGE), **following}
            try:
                page = self.get(replace(request, params=params), limit)
            except Refused as refused:
                if refused.status == 410:
                    raise Expired from None
                raise
            try:
                kept += [keep(one) for one in page[part] or []]
                token = (page.get("metadata") or {}).get("continue") or ""
            except (KeyError, TypeError, AttributeError, ValueError, IndexError):
                raise self.error(
                    f"answered JSON of an unknown shape ({request.what})", "check that it is an API server", "garbage"
                ) from None
            if not token or len(kept) >= MOST:
                return kept, not token

    def _send(self, request: Request, limit: TimeLimit) -> tuple[urllib3.BaseHTTPResponse, Proof]:
        proof = self._credentials.proof(limit)
        try:
            response = self._pool(proof).request(
                "GET",
                f"{self._login.server}{request.path}",
                fields=dict(request.params),
                headers=self.headers(proof, request.accept),
                timeout=limit.remaining,
                redirect=False,
                retries=_RETRIES,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.silent(error, limit) from None
        return response, proof

    def _pool(self, proof: Proof) -> urllib3.PoolManager:
        """Connections that show this certificate; a plugin may give another one later."""
        with self._opening:
            shown = (proof.certificate, proof.key)
            if shown not in self._pools:
                self._pools = {shown: _pool_manager(self._login, proof)}
            return self._pools[shown]

    def _words(self, status: int, message: str, request: Request) -> tuple[str, str]:
        what = request.what
        if status == 401:
            words, advice = (
                "does not accept our credentials (401)",
                f"renew those of {self._login.origin}, e.g. by logging in again",
            )
        elif status == 403:
            words, advice = (
                f"does not let us {what} (403)",
                f"apply {request.grant} as it says there, and bind its role to this user",
            )
        elif status == 404:
            words, advice = (
                f"has nothing there: {what} (404)",
                "correct `deployment` and `namespace` of the service in runbook.toml",
            )
        elif 300 <= status < 400:
            words, advice = f"redirects elsewhere ({status})", "put the API server's own address into the kubeconfig"
        else:
            said = f": {message[:200].rstrip('.')}" if message else ""
            busy = status >= 500 or status == 429
            advice = (
                "check that it is not overloaded, then run again" if busy else "ask the same with kubectl to see why"
            )
            words = f"answered {status} when asked to {what}{said}"
        return words, advice


def _decoded(body: bytes) -> JSON:
    """The JSON of a body, None where it is none."""
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return None


def _message(found: JSON) -> str:
    """What the API's Status object says, if this is one."""
    return str(found.get("message", "")) if isinstance(found, dict) else ""


def _pool_manager(login: ClusterLogin, proof: Proof) -> urllib3.PoolManager:
    settled: dict[str, Any] = {"maxsize": CONNECTIONS}
    if login.server.startswith("https:"):
        settled["ssl_context"] = _tls_context(login, proof)
    if login.tls_name:
        settled["server_hostname"] = login.tls_name
    proxy = login.proxy or _environment_proxy(login.server)
    if proxy and not proxy.startswith(("http://", "https://")):
        raise SettingsError(f"The proxy of {login.origin} is not an HTTP proxy; name one as `proxy-url`, or use a VPN.")
    manager = _proxied(proxy, settled) if proxy else urllib3.PoolManager(**settled)
    make_all_cuttable(manager)
    return manager


def _proxied(proxy: str, settled: dict[str, Any]) -> urllib3.PoolManager:
    found = parse_url(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=found.auth) if found.auth else None
    return urllib3.ProxyManager(found._replace(auth=None).url, proxy_headers=headers, **settled)


def _environment_proxy(server: str) -> str:
    """What HTTPS_PROXY and NO_PROXY say, as kubectl does; never between us and ourselves."""
    return "" if is_loopback(server) else get_environ_proxies(server).get(urlsplit(server).scheme, "")


def _tls_context(login: ClusterLogin, proof: Proof) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=login.authority or None)
        context.verify_flags &= (
            ~ssl.VERIFY_X509_STRICT
        )  # Python 3.13's; clusters' own authorities often lack an identifier
        if login.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            urllib3.disable_warnings(
                urllib3.exceptions.InsecureRequestWarning
            )  # the kubeconfig decided so; no stderr in notebooks
        if proof.certificate:
            _show(context, proof)
    except (ssl.SSLError, ValueError):
        raise SettingsError(
            f"A certificate or key of {login.origin} is not valid PEM; log in to the cluster again."
        ) from None
    return context


def _show(context: ssl.SSLContext, proof: Proof) -> None:
    """Python's ssl reads a client certificate from a file only: from one that only we can read, gone at once."""
    with tempfile.NamedTemporaryFile(prefix="runbook-") as file:
        file.write(f"{proof.certificate}\n{proof.key}".encode())
        file.flush()
        context.load_cert_chain(file.name)
