"""How the simulated service words what it logs. Each kind of trouble speaks in one of several families of sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from tests.lab.service.simulation import statuses
from tests.lab.service.world import ENDPOINTS, FAILURES, MEMORY_LIMIT, REASONS, SERVICE, Character, Floats

MIB = 2**20
ABOUT_THE_POD = ("warnings", "full", "mute")  # kinds that no request causes
Document = dict[str, object]
Words = dict[str, object]

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
        (
            "database connection failed: Access denied for user 'web'@'10.244.%' (using password: YES) (error 1045)",
            "failed to load user {user}: no database connection [req {id}]",
        ),
    ),
    "pool": (
        ("database connection pool exhausted: waited {wait} ms, 20 of 20 in use, {number} waiting", "timed out waiting for a database connection after {wait} ms [req {id}]"),
        ("PoolTimedOut while waiting for an open connection: {wait} ms [req {id}]",),
    ),
    "crowded": (
        ("database connection failed: Too many connections (error 1040) [req {id}]", "failed to load profile {number}: database connection failed"),
        ("could not acquire a connection within {ms} ms: ERROR 08004 (1040): Too many connections [req {id}]", "query aborted: no database connection for request {id}"),
        ("mysql-primary:3306 refused the connection, code 1040 (ER_CON_COUNT_ERROR), pool {hex}",),
    ),
    "unreachable": (
        ("database connection failed: connect timeout after 30{pad} ms, peer mysql-primary:3306", "query aborted: no database connection for request {id}"),
        ("database connection failed: Connection timed out (os error 110) connecting to mysql-primary:3306 [req {id}]",),
        ("could not acquire a connection: error communicating with database: operation timed out (mysql-primary:3306) [req {id}]",),
    ),
    "unresolved": (
        ("database connection failed: failed to lookup address information: Temporary failure in name resolution (mysql-primary)",),
        ("database connection failed: failed to lookup address information: Name or service not known (mysql-primary) [req {id}]", "failed to load user {user}: no database connection [req {id}]"),
        ("could not acquire a connection: dns error: no record found for mysql-primary after {ms} ms",),
    ),
    "denied": (
        ("database connection failed: Access denied for user 'web'@'10.244.%' (using password: YES) (error 1045)", "failed to load user {user}: no database connection [req {id}]"),
        ("could not acquire a connection: ERROR 28000 (1045): Access denied for user 'web' [req {id}]",),
        ("database connection failed: authentication with mysql-primary:3306 failed, code 1045 (ER_ACCESS_DENIED_ERROR), pool {hex}",),
    ),
    "locked": (
        ("database query failed: Lock wait timeout exceeded; try restarting transaction (error 1205) [req {id}]",),
        ("query timed out after 5000 ms waiting for a lock: UPDATE users SET display_name = ? WHERE id = {number} [req {id}]", "database query failed: Lock wait timeout exceeded (error 1205) for user {user}"),
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
    "auth_late": (
        ("auth service request timed out after 8000 ms (auth.internal:8443) [req {id}]",),
        ("cannot introspect token of user {user}: no answer from auth.internal:8443 within 80{pad} ms", "auth service too slow: gave up on request {id}"),
    ),
    "avatar_late": (
        ("avatar service timed out after 8000 ms, page without picture [req {id}]",),
        ("GET http://avatars.internal/{user} took longer than 8000 ms, using the default picture",),
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
    "guessed": (
        ("authentication failure for user {user} from {ip}: invalid token", "authentication failure for user {user} from {ip}: bad password"),
        ("authentication failure for user {user} from {ip}: signature mismatch", "JWT validation failed: InvalidToken for user {user} from {ip} [req {id}]"),
        ("login rejected for user {user} from {ip}: wrong password, attempt {number}", "authentication failure for user {user} from {ip}: wrong password"),
    ),
    "sprayed": (
        ("authentication failure for user {user} from {ip}: unknown user or bad password",),
        ("login rejected for user {user} from {ip}: no such account", "authentication failure for user {user} from {ip}: bad password"),
        ("authentication failure for user {user} from {ip}: invalid token", "authentication failure for user {user} from {ip}: invalid token (malformed)"),
    ),
    "intruded": (("login succeeded for user {user} from {ip}",),),
    "login": (("login succeeded for user {user} from {ip}",),),
    "expired": (
        ("JWT validation failed: ExpiredSignature for user {user}", "authentication failure for user {user} from {ip}: token expired {number} s ago"),
        ("JWT validation failed: ExpiredSignature (kid {hex}) for user {user} from {ip} [req {id}]",),
        ("JWT validation failed: certificate of the issuer has expired (serial {hex}) [req {id}]", "authentication failure for user {user} from {ip}: certificate of the token's issuer has expired"),
    ),
    "overdue": (
        ("JWT validation failed: ExpiredSignature for user {user}", "authentication failure for user {user} from {ip}: token expired {number} s ago"),
        ("JWT validation failed: ExpiredSignature (kid {hex}) for user {user} from {ip} [req {id}]",),
    ),
    "immature": (
        ("JWT validation failed: ImmatureSignature for user {user} [req {id}]", "authentication failure for user {user} from {ip}: token used before issued"),
        ("JWT validation failed: token of user {user} is not yet valid, nbf is {number} s in the future",),
        ("authentication failure for user {user} from {ip}: NotYetValid (iat {number} s ahead) [req {id}]",),
    ),
    "mute": (
        ("GET /metrics failed: collector `connections` panicked: already borrowed", "metrics endpoint: cannot encode registry (duplicate series {hex})"),
        ("GET /metrics took {wait}{few} ms, client closed connection",),
    ),
    "slow": (("slow request: {path} took {wait} ms [req {id}]",),),
    "warnings": (("deprecated header X-Legacy-Theme from {ip} ignored (seen {number} times)", "feature flag {hex} not found, using its default"),),
    "ok": (("{path} answered in {few} ms [req {id}]",),),
    "full": (("memory usage high: rss {mib} MiB of {limit} MiB",),),
}  # fmt: skip
ATTACKING = ("guessed", "sprayed", "intruded")
GENERAL = ("request failed: {path} after {ms} ms [req {id}]", "internal error while handling {path} [req {id}]")
PANICS = (  # what a container that crashes prints last
    ("thread 'main' panicked at src/settings.rs:88:14: missing field `session_store`", "note: run with `RUST_BACKTRACE=1`"),
    ("thread 'main' panicked at src/db/migrate.rs:41:9: migration 0042 is newer than this binary",),
    ("Error: failed to bind 0.0.0.0:8080: Address already in use (os error 98)",),
    ("thread 'tokio-runtime-worker' panicked at src/cache.rs:117:30: called `Option::unwrap()` on a `None` value",),
)  # fmt: skip
SUSPECT = ("guessed", "sprayed", "intruded", "expired", "overdue", "immature")  # logins, and how they went
LEVELS = {
    **dict.fromkeys((*SUSPECT, "unauthorized", "avatar_late", "slow", "warnings", "full", "mute"), "warn"),
    **dict.fromkeys(("ok", "login", "intruded"), "info"),
}
_USERS = [
    f"{first}{last}"
    for first in ("mia", "noah", "ada", "finn", "lea", "omar", "ines", "kai", "zoe", "juri", "ben", "eva")
    for last in (".k", ".m", "77", "_w", "2k", ".s", "91")
]
_TARGETS = ("admin", "root", "support", "backup")


@dataclass(frozen=True)
class Attackers:
    """Where guesses come from, and at which accounts they are aimed."""

    addresses: tuple[str, ...]
    accounts: tuple[str, ...]

    def words(self, words: Words) -> Words:
        """A sentence's words, from one of them."""
        place, account = divmod(int(str(words["id"]), 16), 2**32)
        return {
            "ip": self.addresses[place % len(self.addresses)],
            "user": self.accounts[account % len(self.accounts)],
        }


@cache
def attackers(seed: int, kind: str) -> Attackers:
    """Those who attack this seed's service: few addresses and accounts, or many where guesses are sprayed."""
    rng = np.random.default_rng([seed, 13])
    if kind == "sprayed":
        nets = [f"{a}.{b}.{c}" for a, b, c in rng.integers(11, 220, (60, 3)).tolist()]
        addresses = [f"{nets[a]}.{b}" for a, b in rng.integers((0, 1), (60, 255), (int(rng.integers(300, 900)), 2))]
        accounts = [f"{user.rstrip('0123456789')}{n}" for user in _USERS for n in rng.integers(1, 999, 6).tolist()]
    else:
        addresses = [f"198.51.100.{n}" for n in rng.permutation(np.arange(200, 255))[: int(rng.integers(1, 5))]]
        accounts = rng.permutation([*_TARGETS, *_USERS[:8]])[: int(rng.integers(1, 4))].tolist()
    return Attackers(tuple(addresses), tuple(accounts))


def compose(who: Character, kind: str, endpoint: int, pod: str, stamp: str, words: Words) -> Document:
    """One log line; the scenario's seed decides in which family of sentences its service speaks."""
    family = _family(who.seed, kind)
    if kind in FAILURES and float(str(words["chance_to_explain"])) < who.taciturn:
        family = GENERAL
    route = ENDPOINTS[endpoint]
    if kind in ATTACKING:
        words = words | attackers(who.seed, kind).words(words)
    words = {
        **words,
        "path": f"{route.method} {route.path.replace(':name', str(words['user']))}",
        "template": route.path.strip("/").split("/")[0] or "index",
    }
    return {
        "timestamp": stamp,
        "app": SERVICE,
        "level": LEVELS.get(kind, "error"),
        "message": family[int(str(words["pick"])) % len(family)].format_map(words),
        "pod": pod,
        **({} if kind in ABOUT_THE_POD else _about_request(who, kind, route.success, words)),
    }


@cache
def _family(seed: int, kind: str) -> tuple[str, ...]:
    families = SENTENCES[kind]
    return families[int(np.random.default_rng([seed, 9, *kind.encode()]).integers(len(families)))]


def plain(pod: str, stamp: str, message: str, level: str = "info") -> Document:
    """A line about the process itself."""
    return {"timestamp": stamp, "app": SERVICE, "level": level, "message": message, "pod": pod}


def stamped(times: Floats) -> list[str]:
    """Times as Elasticsearch likes them."""
    milliseconds = (times * 1000).astype("int64").astype("datetime64[ms]")
    return [f"{text}Z" for text in np.datetime_as_string(milliseconds).tolist()]


def _about_request(who: Character, kind: str, success: str, words: Words) -> Document:
    choices = statuses(who, kind, success) if kind in REASONS else ((success, 1.0),)
    status = choices[0][0] if len(choices) == 1 or float(str(words["chance"])) < choices[0][1] else choices[1][0]
    method, path = str(words["path"]).split(" ", 1)
    return {
        "client_ip": words["ip"],
        "method": method,
        "path": path,
        "status_code": status,
        "request_id": words["id"],
        "username": words["user"],
    }


def draw_words(rng: np.random.Generator, memory: Floats) -> list[Words]:
    """What sentences are filled with, for as many lines as there are values of a pod's memory."""
    size = memory.size
    hexes = rng.integers(0, 2**62, (size, 2))
    nets = ("192.0.2", "198.51.100", "203.0.113")
    columns = {
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
        "ip": [
            f"{nets[a]}.{b}"
            for a, b in zip(rng.integers(0, 3, size).tolist(), rng.integers(1, 200, size).tolist(), strict=True)
        ],
        "pick": rng.integers(0, 60, size).tolist(),
        "chance": rng.uniform(0, 1, size).tolist(),
        "chance_to_explain": rng.uniform(0, 1, size).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
