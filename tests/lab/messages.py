"""What the simulated service logs about a drawn window: one JSON document per line, as a bulk request wants them.

Every log line comes from something that happened in the window, thinned as a rate-limiting logger does. A kind of
failure speaks in one of several families of sentences; which one, the scenario's seed decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from tests.lab.simulation import Drawn, statuses
from tests.lab.world import ENDPOINTS, FAILURES, MEMORY_LIMIT, REASONS, SERVICE, Character, Floats

MIB = 2**20
PER_SCRAPE = 7        # lines of one kind that a pod writes between two scrapes, at most; the logger drops the others
ACCESS_SAMPLE = 0.006  # of the requests that end well
WARNED = 0.3          # of the requests with a bad token
SLOW_BUCKET = 8       # from 1 s on
INDEX = "micro-apps-"
Document = dict[str, object]

# By reason: families, each some sentences.
SENTENCES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "refused": (
        (
            "database connection failed: Connection refused (os error 111) connecting to mysql-primary:3306, attempt {few}/3",
            "database connection failed: Connection refused (os error 111) connecting to mysql-primary:3306, attempt {few}/3",
            "failed to load user {user}: database unavailable after {ms} ms",
            "session lookup failed for user {user}: database unavailable [req {id}]",
        ),
        (
            "database connection failed: Too many connections (error 1040) from pool {hex}",
            "could not acquire a connection within {ms} ms: Too many connections [req {id}]",
            "failed to load profile {number}: database connection failed",
        ),
        (
            "database connection failed: failed to lookup address information: Temporary failure in name resolution (mysql-primary)",
            "database connection failed: connect timeout after {ms} ms, peer mysql-primary:3306",
            "query aborted: no database connection for request {id}",
        ),
    ),
    "pool": (
        ("database connection pool exhausted: waited {wait} ms, 20 of 20 in use, {number} waiting", "timed out waiting for a database connection after {wait} ms [req {id}]"),
        ("PoolTimedOut while waiting for an open connection: {wait} ms [req {id}]",),
    ),
    "query": (
        ("query timed out after 5000 ms: SELECT id, display_name FROM users WHERE username = '{user}' [req {id}]", "query timed out after 5000 ms: UPDATE users SET display_name = ? WHERE id = {number}"),
        ("statement cancelled after 5{pad} ms: Query execution was interrupted, maximum statement execution time exceeded (error 3024) [req {id}]",),
    ),
    "jwt": (
        ("JWT validation failed: InvalidSignature (kid {hex}) [req {id}]", "JWT validation failed: InvalidSignature (kid {hex}) for user {user}"),
        ("JWT validation failed: cannot read public key /etc/keys/jwt_public_key.pem: No such file or directory (os error 2) [req {id}]",),
        ("JWT validation failed: public key /etc/keys/jwt_public_key.pem: invalid PEM at byte {number} [req {id}]", "cannot verify token of user {user}: no usable public key"),
    ),
    "auth_down": (
        ("auth service request failed: certificate has expired (serial {hex}) [req {id}]", "cannot introspect token of user {user}: TLS handshake with auth.internal:8443 failed: certificate has expired"),
        ("auth service unreachable: connect timeout after {ms} ms (auth.internal:8443) [req {id}]", "auth service unreachable: Connection refused (os error 111) [req {id}]"),
        ("auth service answered 503 Service Unavailable after {ms} ms, giving up on request {id}",),
    ),
    "starved": (
        ("request timed out after 5000 ms waiting for a worker thread (run queue {number}) [req {id}]", "handler for {path} exceeded its deadline by {ms} ms, {few} of 4 workers busy"),
        ("deadline exceeded: {path} polled for {wait} ms, executor throttled {pad} times in the last second [req {id}]",),
    ),
    "memory": (
        ("memory allocation of {number}{pad} bytes failed, dropping request {id}", "request rejected: rss {mib} MiB of {limit} MiB"),
        ("cannot allocate memory (os error 12) for a response body of {number} KiB [req {id}]",),
    ),
    "shed": (
        ("overloaded: request shed, {number} in flight (limit 30/s) [req {id}]",),
        ("load shed: concurrency limit reached, {path} refused after {few} ms in queue", "overloaded: queue is full ({number} waiting), rejecting request {id}"),
    ),
    "render": (
        ("render failed: template not found: {template}_v2.html [req {id}]",),
        ("render failed: variable `user.locale` not found in context while rendering '{template}.html' [req {id}]",),
        ("failed to build view for {path}: missing field `theme` at line 1 column {number}", "render failed: view model of user {user} incomplete"),
    ),
    "config": (
        ("missing configuration key `session.cookie_secret` while handling {path} [req {id}]",),
        ("thread 'tokio-runtime-worker' panicked at src/settings.rs:{pad}: environment variable SESSION_STORE_URL not set [req {id}]",),
    ),
    "background": (
        (
            "failed to write response for request {id}: Broken pipe (os error 32)",
            "avatar service answered 502 after {ms} ms, request {id} abandoned",
            "database query failed: Deadlock found when trying to get lock; transaction of user {user} rolled back",
            "display name of user {number} is not valid UTF-8",
            "upstream connection reset by peer after {ms} ms [req {id}]",
            "cache entry for {user} corrupt, request {id} failed",
        ),
    ),
    "unauthorized": (
        (
            "authentication failure for user {user} from {ip}: token expired {number} s ago",
            "authentication failure for user {user} from {ip}: token expired {number} s ago",
            "authentication failure for user {user} from {ip}: invalid token",
            "JWT validation failed: ExpiredSignature for user {user}",
        ),
    ),
    "slow": (("slow request: {path} took {wait} ms [req {id}]",),),
    "warnings": (("deprecated header X-Legacy-Theme from {ip} ignored (seen {number} times)", "feature flag {hex} not found, using its default"),),
    "ok": (("{path} answered in {few} ms [req {id}]",),),
    "full": (("memory usage high: rss {mib} MiB of {limit} MiB",),),
}  # fmt: skip
LEVELS = {"unauthorized": "warn", "slow": "warn", "warnings": "warn", "full": "warn", "ok": "info"}
_USERS = [f"{first}{last}" for first in ("mia", "noah", "ada", "finn", "lea", "omar", "ines", "kai", "zoe", "juri", "ben", "eva") for last in (".k", ".m", "77", "_w", "2k", ".s", "91")]


@dataclass(frozen=True)
class Cells:
    """Log lines of one kind: for each, its endpoint, pod and scrape."""

    kind: str
    endpoint: np.ndarray
    pod: np.ndarray
    scrape: np.ndarray


def documents(who: Character, drawn: Drawn, versions: Mapping[int, str], attacked: Sequence[tuple[float, float]] = ()) -> list[Document]:
    """Every log line of the window, in order of time."""
    rng = np.random.default_rng([who.seed, 8])
    found: list[Document] = []
    for cells in _happenings(rng, drawn):
        found += _lines(rng, who, drawn, cells, attacked)
    found += _lifecycle(drawn, versions)
    return sorted(found, key=lambda one: str(one["timestamp"]))


def bulk(found: Sequence[Document], lines: int = 4000) -> Iterator[bytes]:
    """Bodies of bulk requests, each document into the index of its day."""
    for begin in range(0, len(found), lines):
        parts = (
            part
            for one in found[begin : begin + lines]
            for part in (f'{{"create":{{"_index":"{INDEX}{str(one["timestamp"])[:10].replace("-", ".")}"}}}}'.encode(), msgspec.json.encode(one))
        )
        yield b"\n".join(parts) + b"\n"


TEMPLATE: Document = {
    "index_patterns": [f"{INDEX}*"],
    "template": {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {
            "properties": {
                "timestamp": {"type": "date"},
                "message": {"type": "text"},
                "client_ip": {"type": "ip"},
                **{name: {"type": "keyword"} for name in ("app", "level", "method", "path", "status_code", "pod", "request_id", "username")},
            }
        },
    },
}


def _happenings(rng: np.random.Generator, drawn: Drawn) -> Iterator[Cells]:
    for reason in (*FAILURES, "unauthorized", "ok"):
        counts = drawn.ends[REASONS.index(reason)]
        share = {"unauthorized": WARNED, "ok": ACCESS_SAMPLE}.get(reason, 1.0)
        yield _cells(reason, rng.binomial(counts, share * _room(counts * share)))
    slow = drawn.durations[SLOW_BUCKET:].sum(axis=0)
    yield _cells("slow", rng.binomial(slow, _room(slow, most=2)))
    everywhere = np.zeros_like(slow)
    everywhere[0] = np.minimum(drawn.warnings, 3 * PER_SCRAPE)
    yield _cells("warnings", everywhere)
    everywhere = np.zeros_like(slow)
    everywhere[0] = rng.binomial(1, np.where(drawn.running & (drawn.memory > 0.85 * MEMORY_LIMIT), 0.4, 0.0))
    yield _cells("full", everywhere)


def _room(counts: Floats, most: int = PER_SCRAPE) -> Floats:
    """The share of lines that the logger lets pass, by pod and scrape."""
    return np.minimum(1.0, most / np.maximum(counts.sum(axis=0), 1e-9))[None]


def _cells(kind: str, counts: np.ndarray) -> Cells:
    places = np.nonzero(counts)
    endpoint, pod, scrape = (np.repeat(place, counts[places]) for place in places)
    return Cells(kind, endpoint, pod, scrape)


def _lines(rng: np.random.Generator, who: Character, drawn: Drawn, cells: Cells, attacked: Sequence[tuple[float, float]]) -> Iterator[Document]:
    size = cells.endpoint.size
    if not size:
        return
    times = drawn.times[cells.pod, cells.scrape] - rng.uniform(0, drawn.window.step, size)
    stamps = stamped(times)
    families = SENTENCES[cells.kind]
    family = families[int(np.random.default_rng([who.seed, 9, len(cells.kind)]).integers(len(families)))]
    words = _words(rng, size, drawn.memory[cells.pod, cells.scrape])
    for number, (stamp, time, endpoint, pod) in enumerate(zip(stamps, times.tolist(), cells.endpoint.tolist(), cells.pod.tolist(), strict=True)):
        own = {name: values[number] for name, values in words.items()}
        if cells.kind == "unauthorized" and endpoint == 4 and any(begin <= time < end for begin, end in attacked):
            own["ip"] = f"198.51.100.{200 + int(own['few'])}"
        route = ENDPOINTS[endpoint]
        own["path"] = f"{route.method} {route.path.replace(':name', str(own['user']))}"
        own["template"] = route.path.strip("/").split("/")[0] or "index"
        yield {
            "timestamp": stamp,
            "app": SERVICE,
            "level": LEVELS.get(cells.kind, "error"),
            "message": family[int(own["pick"]) % len(family)].format_map(own),
            "pod": drawn.pods[pod].name,
            **({} if cells.kind in ("warnings", "full") else _about_request(who, cells.kind, route.success, own)),
        }


def _about_request(who: Character, kind: str, success: str, own: Mapping[str, object]) -> Document:
    choices = statuses(who, kind, success) if kind in REASONS else ((success, 1.0),)
    status = choices[0][0] if len(choices) == 1 or float(str(own["chance"])) < choices[0][1] else choices[1][0]
    method, path = str(own["path"]).split(" ", 1)
    return {"client_ip": own["ip"], "method": method, "path": path, "status_code": status, "request_id": own["id"], "username": own["user"]}


def _words(rng: np.random.Generator, size: int, memory: Floats) -> dict[str, list[object]]:
    """What the sentences are filled with, for every line."""
    hexes = rng.integers(0, 2**62, (size, 2))
    nets = ("192.0.2", "198.51.100", "203.0.113")
    return {
        "user": [_USERS[i] for i in (rng.beta(1, 2.5, size) * len(_USERS)).astype(int).tolist()],
        "id": [f"{a:016x}" for a in hexes[:, 0].tolist()],
        "hex": [f"{b & 0xFFFFFF:06x}" for b in hexes[:, 1].tolist()],
        "ms": rng.lognormal(5.8, 0.8, size).astype(int).tolist(),
        "wait": rng.integers(3000, 5200, size).tolist(),
        "few": rng.integers(1, 4, size).tolist(),
        "number": rng.integers(31, 3000, size).tolist(),
        "pad": rng.integers(100, 999, size).tolist(),
        "mib": (memory / MIB).astype(int).tolist(),
        "limit": [MEMORY_LIMIT // MIB] * size,
        "ip": [f"{nets[a]}.{b}" for a, b in zip(rng.integers(0, 3, size).tolist(), rng.integers(1, 200, size).tolist(), strict=True)],
        "pick": rng.integers(0, 60, size).tolist(),
        "chance": rng.uniform(0, 1, size).tolist(),
    }


def _lifecycle(drawn: Drawn, versions: Mapping[int, str]) -> Iterator[Document]:
    """What a container says at its start and at its ordered end; killed ones say nothing more."""
    for pod in drawn.pods:
        for life in pod.lives:
            yield from _said(drawn, pod.name, life.start, f"starting {SERVICE} {versions.get(pod.revision, '')}", "configuration loaded from /etc/app/config.toml", "listening on 0.0.0.0:8080")
            if life.end == pod.deleted:
                yield from _said(drawn, pod.name, life.end, "received SIGTERM, draining connections", "stopped")
            if life.reason == "Error":
                yield from _said(drawn, pod.name, life.end, "panicked, exiting with code 101", level="error")


def _said(drawn: Drawn, pod: str, time: float, *sentences: str, level: str = "info") -> Iterator[Document]:
    if drawn.window.start <= time < drawn.window.end:
        for number, sentence in enumerate(sentences):
            yield {"timestamp": stamped(np.array([time + 0.2 * number]))[0], "app": SERVICE, "level": level, "message": sentence, "pod": pod}


def stamped(times: Floats) -> list[str]:
    """Times as Elasticsearch likes them."""
    return [f"{text}Z" for text in np.datetime_as_string((times * 1000).astype("int64").astype("datetime64[ms]")).tolist()]
