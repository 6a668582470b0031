"""Why connections to the database fail, as the service's logs say: the wording of MySQL and its usual clients."""

from __future__ import annotations

import re
from collections.abc import Callable

from runbook.alerts.checks.logs import error_messages
from runbook.text.format import share_text

REASONS: error_messages.Subjects = {
    "pool": re.compile(
        r"^(?!.*too many connections).*"
        r"(pool .*(exhausted|timed out|timeout)|PoolTimedOut|(timed out|timeout) waiting for a .*connection"
        r"|no (free|idle|available) connection|waiting for an open connection)",
        re.IGNORECASE,
    ),
    "database": re.compile(
        r"too many (user )?connections|ER_CON_COUNT|lock wait timeout|waiting for a lock|query timed out"
        r"|statement (timed out|cancelled)|maximum statement execution time|server has gone away"
        r"|lost connection to mysql"
        r"|(database|mysql|sql).*connection refused",
        re.IGNORECASE,
    ),
    "network": re.compile(
        r"name resolution|failed to lookup address|unknown (mysql server )?host|name or service not known"
        r"|no such host|dns error|connect(ion)? (timeout|timed out)|operation timed out|no route to host"
        r"|(network|host) is unreachable",
        re.IGNORECASE,
    ),
    "credentials": re.compile(
        r"access denied|ER_ACCESS_DENIED|(database|mysql).*authentication|authentication with (database|mysql)"
        r"|password has expired|account is locked",
        re.IGNORECASE,
    ),
}
SAYS = {
    "pool": "that the pool has no connection left",
    "database": "that the database is full, locked or too slow",
    "network": "that the database cannot be found or reached",
    "credentials": "that the database denies access",
}


def gives(reason: str, share: float = 0.3) -> Callable[[error_messages.Facts], bool]:
    """Whether at least that share of the additional messages that give any reason give this one."""
    return lambda f: f.explained is not None and f.about[reason] >= share * f.explained


def gives_others(reason: str, share: float = 0.1) -> Callable[[error_messages.Facts], bool]:
    """Whether the messages give reasons, and almost never this one."""
    return lambda f: f.explained is not None and f.about[reason] < share * f.explained


def gives_text(reason: str) -> Callable[[error_messages.Facts], str]:
    """The clause for `gives`."""
    return lambda f: f"of the log messages above the usual rate, {share_text(f.about[reason])} say {SAYS[reason]}"


def gives_others_text(reason: str) -> Callable[[error_messages.Facts], str]:
    """The clause for `gives_others`."""
    return lambda f: f"almost no log message says {SAYS[reason]}"


CHECK = error_messages.reading(REASONS, SAYS)
