"""Kubernetes' HTTP API by GET alone: whole lists, and each failure as one sentence.

Why no client library: lightkube (0.2 s to import after requests, 0.3 s alone) refuses credential plugins of version v1
and those that give certificates, knows no `tls-server-name`, `proxy-url` or several files in KUBECONFIG, and its httpx
has no total time limit; the official client takes 0.4-0.7 s after requests, 75 MB, aiohttp and pydantic; kr8s 0.6 s.
We need one verb on five resources: urllib3 is here already, can be cut in time (`timelimit`) and its errors have words
(`faults`), so only `kubeconfig` and `kubernetes_login` are our own, on a format that Kubernetes keeps stable.
"""

from __future__ import annotations

import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from requests.utils import get_environ_proxies
from urllib3.util import parse_url

from runbook.errors import Reason, SettingsError, SourceError
from runbook.model import JSON
from runbook.sources import faults
from runbook.sources.kubeconfig import Login
from runbook.sources.kubernetes_login import Credentials, Proof
from runbook.sources.session import CONNECTIONS, is_loopback, is_near
from runbook.sources.timelimit import RetryInTime, TimeLimit, make_all_cuttable

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


class Refused(SourceError):
    """Kubernetes answered with this HTTP status instead of what was asked for."""

    def __init__(self, sentence: str, reason: Reason, status: int) -> None:
        super().__init__(sentence, reason)
        self.status = status


class Expired(Exception):
    """A list went on for so long that its next page is gone (410)."""


class Connection:
    """One cluster as one user; safe to use from many threads."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._credentials = Credentials(login)
        self._opening = threading.Lock()
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self.place = faults.place(login.server)

    def get(self, path: str, params: Mapping[str, str], what: str, limit: TimeLimit) -> dict[str, Any]:
        """One object; `what` completes "does not let us ..." in a sentence. Raises Refused or SourceError."""
        response, proof = self._send(path, params, limit)
        if response.status == 401 and self._credentials.renewable():
            response, proof = self._send(path, params, limit)
        try:
            found = msgspec.json.decode(response.data)
        except msgspec.MsgspecError:
            found = None
        if response.status != 200:
            raise self._refused(response.status, proof.hide(_message(found)), what)
        if not isinstance(found, dict):
            raise self.error(
                "answered without Kubernetes' JSON", "check that it is an API server and no login page", "garbage"
            )
        return found

    def collect(
        self, path: str, params: Mapping[str, str], what: str, limit: TimeLimit, keep: Callable[[JSON], JSON]
    ) -> tuple[list[JSON], bool]:
        """What to keep of each object of a list, page by page, and whether these are all; see `get`."""
        for _ in range(RESTARTS + 1):
            try:
                return self._pages(path, params, what, limit, keep)
            except Expired:
                continue
        raise self.error(f"let its pages expire while we were reading them ({what})", "run again", "server error")

    def error(self, what: str, advice: str, reason: Reason) -> SourceError:
        """The one sentence: what failed, where, what to do."""
        return SourceError(f"Kubernetes at {self.place} {what}; {advice}.", reason)

    def _pages(
        self, path: str, params: Mapping[str, str], what: str, limit: TimeLimit, keep: Callable[[JSON], JSON]
    ) -> tuple[list[JSON], bool]:
        kept: list[JSON] = []
        token = ""
        while True:
            following = {"continue": token} if token else {}
            try:
                page = self.get(path, {**params, "limit": str(PAGE), **following}, what, limit)
            except Refused as refused:
                if refused.status == 410:
                    raise Expired from None
                raise
            try:
                kept += [keep(one) for one in page["items"] or []]
                token = (page.get("metadata") or {}).get("continue") or ""
            except (KeyError, TypeError, AttributeError, ValueError):
                raise self.error(
                    f"answered JSON of an unknown shape ({what})", "check that it is an API server", "garbage"
                ) from None
            if not token or len(kept) >= MOST:
                return kept, not token

    def _send(self, path: str, params: Mapping[str, str], limit: TimeLimit) -> tuple[urllib3.BaseHTTPResponse, Proof]:
        proof = self._credentials.proof(limit)
        try:
            response = self._pool(proof).request(
                "GET",
                f"{self._login.server}{path}",
                fields=dict(params),
                headers=self._headers(proof),
                timeout=limit.remaining,
                redirect=False,
                retries=_RETRIES,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            found = faults.TIMEOUT if limit.over else faults.fault(error)
            entry = found.words.startswith("TLS") or found is faults.BAD_URL
            advice = f"check the cluster's entry in {self._login.origin}" if entry else found.advice
            raise self.error(f"gave no answer ({found.words})", advice, found.reason) from None
        return response, proof

    def _headers(self, proof: Proof) -> urllib3.HTTPHeaderDict:
        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": "runbook"})
        if proof.authorization:
            headers["Authorization"] = proof.authorization
        if not is_near(self._login.server):
            headers["Accept-Encoding"] = "gzip"
        if self._login.impersonate:
            headers["Impersonate-User"] = self._login.impersonate
        for group in self._login.impersonate_groups:
            headers.add("Impersonate-Group", group)
        return headers

    def _pool(self, proof: Proof) -> urllib3.PoolManager:
        """Connections that show this certificate; a plugin may give another one later."""
        with self._opening:
            shown = (proof.certificate, proof.key)
            if shown not in self._pools:
                self._pools = {shown: _pool_manager(self._login, proof)}
            return self._pools[shown]

    def _refused(self, status: int, message: str, what: str) -> Refused:
        if status == 401:
            words, advice = (
                "does not accept our credentials (401)",
                f"renew those of {self._login.origin}, e.g. by logging in again",
            )
        elif status == 403:
            words, advice = (
                f"does not let us {what} (403)",
                "apply deploy/rbac.yaml to that namespace and bind its role to this user",
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
            words, advice = (
                f"answered {status} when asked to {what}{said}",
                "check that it is not overloaded, then run again",
            )
        return Refused(f"Kubernetes at {self.place} {words}; {advice}.", faults.reason(status), status)


def _message(found: JSON) -> str:
    """What the API's Status object says, if this is one."""
    return str(found.get("message", "")) if isinstance(found, dict) else ""


def _pool_manager(login: Login, proof: Proof) -> urllib3.PoolManager:
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


def _tls_context(login: Login, proof: Proof) -> ssl.SSLContext:
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
