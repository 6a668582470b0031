"""The sentences of the simulated service's log. Each kind of trouble speaks in one of several families of them."""

from __future__ import annotations

from collections.abc import Mapping

ABOUT_THE_POD = ("warnings", "full", "mute")  # kinds that no request causes

# By reason: families, each some sentences.
SENTENCES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "refused": (
        (
            (
                "database connection failed: Connection refused (os error 111) connecting to mysql-primary:3306, "
                "attempt {few}/3"
            ),
            (
                "database connection failed: Connection refused (os error 111) connecting to mysql-primary:3306, "
                "attempt {few}/3"
            ),
            "failed to load user {user}: database unavailable after {ms} ms",
            "session lookup failed for user {user}: database unavailable [req {id}]",
        ),
        (
            "database connection failed: Too many connections (error 1040) from pool {hex}",
            "could not acquire a connection within {ms} ms: Too many connections [req {id}]",
            "failed to load profile {number}: database connection failed",
        ),
        (
            (
                "database connection failed: failed to lookup address information: "
                "Temporary failure in name resolution (mysql-primary)"
            ),
            "database connection failed: connect timeout after {ms} ms, peer mysql-primary:3306",
            "query aborted: no database connection for request {id}",
        ),
        (
            "database connection failed: Access denied for user 'web'@'10.244.%' (using password: YES) (error 1045)",
            "failed to load user {user}: no database connection [req {id}]",
        ),
    ),
    "pool": (
        (
            "database connection pool exhausted: waited {wait} ms, 20 of 20 in use, {number} waiting",
            "timed out waiting for a database connection after {wait} ms [req {id}]",
        ),
        ("PoolTimedOut while waiting for an open connection: {wait} ms [req {id}]",),
    ),
    "crowded": (
        (
            "database connection failed: Too many connections (error 1040) [req {id}]",
            "failed to load profile {number}: database connection failed",
        ),
        (
            "could not acquire a connection within {ms} ms: ERROR 08004 (1040): Too many connections [req {id}]",
            "query aborted: no database connection for request {id}",
        ),
        ("mysql-primary:3306 refused the connection, code 1040 (ER_CON_COUNT_ERROR), pool {hex}",),
    ),
    "unreachable": (
        (
            "database connection failed: connect timeout after 30{pad} ms, peer mysql-primary:3306",
            "query aborted: no database connection for request {id}",
        ),
        (
            "database connection failed: Connection timed out (os error 110) connecting to mysql-primary:3306 "
            "[req {id}]",
        ),
        (
            "could not acquire a connection: error communicating with database: operation timed out "
            "(mysql-primary:3306) [req {id}]",
        ),
    ),
    "unresolved": (
        (
            "database connection failed: failed to lookup address information: "
            "Temporary failure in name resolution (mysql-primary)",
        ),
        (
            (
                "database connection failed: failed to lookup address information: Name or service not known "
                "(mysql-primary) [req {id}]"
            ),
            "failed to load user {user}: no database connection [req {id}]",
        ),
        ("could not acquire a connection: dns error: no record found for mysql-primary after {ms} ms",),
    ),
    "denied": (
        (
            "database connection failed: Access denied for user 'web'@'10.244.%' (using password: YES) (error 1045)",
            "failed to load user {user}: no database connection [req {id}]",
        ),
        ("could not acquire a connection: ERROR 28000 (1045): Access denied for user 'web' [req {id}]",),
        (
            "database connection failed: authentication with mysql-primary:3306 failed, code 1045 "
            "(ER_ACCESS_DENIED_ERROR), pool {hex}",
        ),
    ),
    "locked": (
        ("database query failed: Lock wait timeout exceeded; try restarting transaction (error 1205) [req {id}]",),
        (
            (
                "query timed out after 5000 ms waiting for a lock: "
                "UPDATE users SET display_name = ? WHERE id = {number} [req {id}]"
            ),
            "database query failed: Lock wait timeout exceeded (error 1205) for user {user}",
        ),
    ),
    "query": (
        (
            "query timed out after 5000 ms: SELECT id, display_name FROM users WHERE username = '{user}' [req {id}]",
            "query timed out after 5000 ms: UPDATE users SET display_name = ? WHERE id = {number}",
        ),
        (
            "statement cancelled after 5{pad} ms: Query execution was interrupted, "
            "maximum statement execution time exceeded (error 3024) [req {id}]",
        ),
    ),
    "jwt": (
        (
            "JWT validation failed: InvalidSignature (kid {hex}) [req {id}]",
            "JWT validation failed: InvalidSignature (kid {hex}) for user {user}",
        ),
        (
            "JWT validation failed: cannot read public key /etc/keys/jwt_public_key.pem: No such file or directory "
            "(os error 2) [req {id}]",
        ),
        (
            "JWT validation failed: public key /etc/keys/jwt_public_key.pem: invalid PEM at byte {number} [req {id}]",
            "cannot verify token of user {user}: no usable public key",
        ),
    ),
    "auth_down": (
        (
            "auth service request failed: certificate has expired (serial {hex}) [req {id}]",
            (
                "cannot introspect token of user {user}: TLS handshake with auth.internal:8443 failed: "
                "certificate has expired"
            ),
        ),
        (
            "auth service unreachable: connect timeout after {ms} ms (auth.internal:8443) [req {id}]",
            "auth service unreachable: Connection refused (os error 111) [req {id}]",
        ),
        ("auth service answered 503 Service Unavailable after {ms} ms, giving up on request {id}",),
    ),
    "auth_late": (
        ("auth service request timed out after 8000 ms (auth.internal:8443) [req {id}]",),
        (
            "cannot introspect token of user {user}: no answer from auth.internal:8443 within 80{pad} ms",
            "auth service too slow: gave up on request {id}",
        ),
    ),
    "avatar_late": (
        ("avatar service timed out after 8000 ms, page without picture [req {id}]",),
        ("GET http://avatars.internal/{user} took longer than 8000 ms, using the default picture",),
    ),
    "starved": (
        (
            "request timed out after 5000 ms waiting for a worker thread (run queue {number}) [req {id}]",
            "handler for {path} exceeded its deadline by {ms} ms, {few} of 4 workers busy",
        ),
        (
            "deadline exceeded: {path} polled for {wait} ms, executor throttled {pad} times in the last second "
            "[req {id}]",
        ),
    ),
    "memory": (
        (
            "memory allocation of {number}{pad} bytes failed, dropping request {id}",
            "request rejected: rss {mib} MiB of {limit} MiB",
        ),
        ("cannot allocate memory (os error 12) for a response body of {number} KiB [req {id}]",),
    ),
    "shed": (
        ("overloaded: request shed, {number} in flight (limit 30/s) [req {id}]",),
        (
            "load shed: concurrency limit reached, {path} refused after {few} ms in queue",
            "overloaded: queue is full ({number} waiting), rejecting request {id}",
        ),
    ),
    "render": (
        ("render failed: template not found: {template}_v2.html [req {id}]",),
        ("render failed: variable `user.locale` not found in context while rendering '{template}.html' [req {id}]",),
        (
            "failed to build view for {path}: missing field `theme` at line 1 column {number}",
            "render failed: view model of user {user} incomplete",
        ),
    ),
    "config": (
        ("missing configuration key `session.cookie_secret` while handling {path} [req {id}]",),
        (
            "thread 'tokio-runtime-worker' panicked at src/settings.rs:{pad}: "
            "environment variable SESSION_STORE_URL not set [req {id}]",
        ),
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
        (
            "authentication failure for user {user} from {ip}: invalid token",
            "authentication failure for user {user} from {ip}: bad password",
        ),
        (
            "authentication failure for user {user} from {ip}: signature mismatch",
            "JWT validation failed: InvalidToken for user {user} from {ip} [req {id}]",
        ),
        (
            "login rejected for user {user} from {ip}: wrong password, attempt {number}",
            "authentication failure for user {user} from {ip}: wrong password",
        ),
    ),
    "sprayed": (
        ("authentication failure for user {user} from {ip}: unknown user or bad password",),
        (
            "login rejected for user {user} from {ip}: no such account",
            "authentication failure for user {user} from {ip}: bad password",
        ),
        (
            "authentication failure for user {user} from {ip}: invalid token",
            "authentication failure for user {user} from {ip}: invalid token (malformed)",
        ),
    ),
    "intruded": (("login succeeded for user {user} from {ip}",),),
    "login": (("login succeeded for user {user} from {ip}",),),
    "expired": (
        (
            "JWT validation failed: ExpiredSignature for user {user}",
            "authentication failure for user {user} from {ip}: token expired {number} s ago",
        ),
        ("JWT validation failed: ExpiredSignature (kid {hex}) for user {user} from {ip} [req {id}]",),
        (
            "JWT validation failed: certificate of the issuer has expired (serial {hex}) [req {id}]",
            "authentication failure for user {user} from {ip}: certificate of the token's issuer has expired",
        ),
    ),
    "overdue": (
        (
            "JWT validation failed: ExpiredSignature for user {user}",
            "authentication failure for user {user} from {ip}: token expired {number} s ago",
        ),
        ("JWT validation failed: ExpiredSignature (kid {hex}) for user {user} from {ip} [req {id}]",),
    ),
    "immature": (
        (
            "JWT validation failed: ImmatureSignature for user {user} [req {id}]",
            "authentication failure for user {user} from {ip}: token used before issued",
        ),
        ("JWT validation failed: token of user {user} is not yet valid, nbf is {number} s in the future",),
        ("authentication failure for user {user} from {ip}: NotYetValid (iat {number} s ahead) [req {id}]",),
    ),
    "mute": (
        (
            "GET /metrics failed: collector `connections` panicked: already borrowed",
            "metrics endpoint: cannot encode registry (duplicate series {hex})",
        ),
        ("GET /metrics took {wait}{few} ms, client closed connection",),
    ),
    "slow": (("slow request: {path} took {wait} ms [req {id}]",),),
    "warnings": (
        (
            "deprecated header X-Legacy-Theme from {ip} ignored (seen {number} times)",
            "feature flag {hex} not found, using its default",
        ),
    ),
    "ok": (("{path} answered in {few} ms [req {id}]",),),
    "full": (("memory usage high: rss {mib} MiB of {limit} MiB",),),
}
ATTACKING = ("guessed", "sprayed", "intruded")
GENERAL = ("request failed: {path} after {ms} ms [req {id}]", "internal error while handling {path} [req {id}]")
PANICS = (  # what a container that crashes prints last
    (
        "thread 'main' panicked at src/settings.rs:88:14: missing field `session_store`",
        "note: run with `RUST_BACKTRACE=1`",
    ),
    ("thread 'main' panicked at src/db/migrate.rs:41:9: migration 0042 is newer than this binary",),
    ("Error: failed to bind 0.0.0.0:8080: Address already in use (os error 98)",),
    ("thread 'tokio-runtime-worker' panicked at src/cache.rs:117:30: called `Option::unwrap()` on a `None` value",),
)
SUSPECT = ("guessed", "sprayed", "intruded", "expired", "overdue", "immature")  # logins, and how they went
LEVELS = {
    **dict.fromkeys((*SUSPECT, "unauthorized", "avatar_late", "slow", "warnings", "full", "mute"), "warn"),
    **dict.fromkeys(("ok", "login", "intruded"), "info"),
}
