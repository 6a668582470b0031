"""Names and ports, tried from where the runbook runs: does a host's name resolve, does its port open?

Only hosts and ports that the settings name are tried. A name that does not resolve and a port that does not open are
evidence, not a failure of ours: *complete* answers with the trouble in words.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from runbook.errors import SourceError
from runbook.model import JSON, Answer, Query

KINDS = ("resolve", "port")
_USUAL = {"http": 80, "https": 443}

Lookup = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Place:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place(address: str) -> Place | None:
    """The place that a URL or "host:port" means; None where it names no host or no port."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        port = parts.port or _USUAL.get(parts.scheme)
    except ValueError:
        return None
    return Place(parts.hostname, port) if parts.hostname and port else None


def resolve(host: str) -> Query:
    """Which addresses a name stands for."""
    return Query("probe", "resolve", host)


def port(where: Place) -> Query:
    """Whether a port opens."""
    return Query("probe", "port", str(where))


def system_lookup(host: str) -> Sequence[str]:
    """The addresses of a name as this machine's resolver knows them, each once; raises OSError."""
    with suppress(UnicodeError):  # a label that is empty or too long
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))
    raise socket.gaierror(socket.EAI_NONAME, "no host name")


class Network:
    """The hosts and ports of these addresses (see `place`), and no others; `seconds` bounds each question."""

    def __init__(self, addresses: Iterable[str], seconds: float = 10.0, lookup: Lookup = system_lookup) -> None:
        self._places = [found for address in addresses if (found := place(address))]
        self._seconds, self._lookup = seconds, lookup

    def ask(self, query: Query) -> Answer:
        """What one look-up or one connection showed.

        Data of "resolve": `host`, `addresses`, `latency_ms` (null without an answer), `error` (null or words);
        of "port": `host`, `port`, `open`, `address` (the one that opened, null for none), `latency_ms`, `error`.
        Raises SourceError for what the settings do not name.
        """
        began = time.monotonic()
        known = {where.host if query.kind == "resolve" else str(where): where for where in self._places}
        if query.text not in known:
            raise SourceError(
                f"The probe refuses to try {query.text[:200]!r}: no setting names it; "
                "add it as base_url or database_address in runbook.toml.",
                "refused",
            )
        data = self._resolve(query.text) if query.kind == "resolve" else self._open(known[query.text])
        return Answer(query, "complete", data, seconds=time.monotonic() - began)

    def _resolve(self, host: str) -> JSON:
        began = time.perf_counter()
        seen: dict[str, JSON] = {"host": host, "addresses": [], "latency_ms": None, "error": None}
        try:
            return seen | {"addresses": list(self._looked_up(host)), "latency_ms": _since(began)}
        except OSError as error:
            return seen | {"error": _words(error)}

    def _open(self, where: Place) -> JSON:
        """Every address is tried until one opens, each for its share of the time that is left."""
        ends = time.monotonic() + self._seconds
        seen: dict[str, JSON] = {"host": where.host, "port": where.port, "open": False, "address": None}
        seen |= {"latency_ms": None, "error": None}
        try:
            addresses = self._looked_up(where.host)
        except OSError as error:
            return seen | {"error": _words(error)}
        for tried, address in enumerate(addresses):
            share = max(0.001, (ends - time.monotonic()) / (len(addresses) - tried))
            began = time.perf_counter()
            try:
                with socket.create_connection((address, where.port), timeout=share):
                    return seen | {"open": True, "address": address, "latency_ms": _since(began), "error": None}
            except OSError as error:
                seen["error"] = _words(error)
        return seen

    def _looked_up(self, host: str) -> Sequence[str]:
        """A resolver cannot be cut: when the time is up, it is left behind on its thread. Raises OSError."""
        found: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

        def work() -> None:
            try:
                found.put(self._lookup(host))
            except OSError as error:
                found.put(error)

        threading.Thread(target=work, daemon=True, name="resolve").start()
        try:
            outcome = found.get(timeout=self._seconds)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(outcome, OSError):
            raise outcome
        return outcome


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _words(error: OSError) -> str:
    from runbook.sources.http import failures  # loads urllib3: on the first trouble only

    return failures.fault(error).words
