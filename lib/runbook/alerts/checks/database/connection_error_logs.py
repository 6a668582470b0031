"""Why connections to the database fail, in the service's own words: the wording of MySQL and its usual clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from runbook.alerts.checks.logs import error_messages
from runbook.model import JSON
from runbook.text.format import share_text

Facts = Mapping[str, JSON]

REASONS: error_messages.Subjects = {
    "pool": re.compile(
        r"^(?!.*too many connections).*"
        r"(pool .*(exhausted|timed out|timeout)|PoolTimedOut|(timed out|timeout) waiting for a .*connection"
        r"|no (free|idle|available) connection|waiting for an open connection)",
        re.IGNORECASE,
    ),
    "database": re.compile(
        r"too many (user )?connections|ER_CON_COUNT|lock wait timeout|waiting for a lock|query timed out"
        r"|statement (timed out|cancelled)|maximum statement execution time|server has gone away|lost connection to mysql"
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
    "network": "that the database is not found or not reached",
    "credentials": "that the database denies access",
}


def given(reason: str, share: float = 0.3) -> Callable[[Facts], bool]:
    """Whether that many of the additional messages that give a reason at all give this one."""
    return lambda f: f["explained"] is not None and f["about"][reason] >= share * f["explained"]


def other(reason: str, share: float = 0.1) -> Callable[[Facts], bool]:
    """Whether the messages give reasons, and hardly ever this one."""
    return lambda f: f["explained"] is not None and f["about"][reason] < share * f["explained"]


def said(reason: str) -> Callable[[Facts], str]:
    """The clause for it."""
    return lambda f: f"{share_text(f['about'][reason])} of the additional log messages say {SAYS[reason]}"


def unsaid(reason: str) -> Callable[[Facts], str]:
    """The clause for the contrary."""
    return lambda f: f"hardly a log message says {SAYS[reason]}"


CHECK = error_messages.reading(REASONS, SAYS)
