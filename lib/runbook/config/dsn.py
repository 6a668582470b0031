"""A database's address and login as one text, mysql://user:password@host:port/database; pure, and never repeated."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

SCHEMES = ("mysql", "mariadb")
PORT = 3306


@dataclass(frozen=True)
class Login:
    """Where a database listens, and as whom to log in."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)


def parse(text: str) -> Login:
    """The parts of a DSN, %-escapes resolved; ValueError, without a word of it, where it is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        raise ValueError("not a DSN") from None
    if parts.scheme not in SCHEMES or not host or not parts.username or not parts.password:
        raise ValueError("not a DSN")
    return Login(host, port, unquote(parts.username), unquote(parts.password))


def spellings(text: str) -> tuple[str, ...]:
    """Everything of a DSN that must not be shown: itself, and its password with and without %-escapes."""
    try:
        raw = urlsplit(text).password or ""
    except ValueError:
        raw = ""
    return text, raw, unquote(raw)
