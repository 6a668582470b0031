"""Which names stand before a secret, and which words after such a name say something about it instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET = re.compile(
    r"(?P<password>passw(?:or)?[dt]|pass_?(?:phrase|code|word)|kennwort|pwd"
    r"|(?<![a-z])(?:pass|pw|otp)(?![a-z])|authentication_string)"
    r"|(?P<key>(?:api|access|secret|private|encryption|signing|ssh|account|shared|master|license|auth|consumer|storage"
    r"|hmac)_?key)"
    r"|(?P<cookie>cookie|sess(?:ion)?_?id|phpsessid|(?<![a-z])(?:sid|session)$)"
    r"|(?P<credentials>credential|authorization)"
    r"|(?P<token>token(?!i[sz])|bearer|(?:amz|goog)_signature|^sig$|(?<![a-z])(?:jwt|[cx]srf)$)"
    r"|(?P<secret>secret(?!ar))"
)
_DESCRIPTIVE = words(
    """name names ref refs reference type types kind status state file files path paths dir env count counts total
    failure failures failed error errors rate ratio length len size policy expired expires expiry expiration seconds
    ms at in until ttl age valid validation invalid required enabled disabled version issuer algorithm alg missing
    attempt attempts reset usage used limit remaining requests url uri endpoint audience provider strategy method mode
    format field fields prefix less changed updated created domain mount mounts volume period interval time timestamp
    lifetime duration sum bucket rejected refused revoked plugin check checks"""
)
_COUNTED = words(
    "max min num number n count total no has is with without invalid missing wrong bad expired failed incorrect by"
)
STATUS = words("null none nil undefined true false on off yes no expired invalid missing revoked empty unset required")
PROSE = STATUS | words(
    """a an and or the is was are not has have be been no must may can cannot could should will does did do for from
    in of to on at by with without this that your unable failed failure error denied forbidden unauthorized incorrect
    wrong
    mismatch malformed unknown unsupported unexpected bad signature algorithm audience issuer subject claim claims kid
    key keys header headers prefix scheme format value field auth authentication authorization validation verification
    verified valid accepted rejected refused cached token tokens jwt bearer secret configmap user account username login
    already still only never too password passwords credentials realm permission file got found none rotated changed
    updated expiring expires read parse open opened closed connection immature"""
)
ROOTS = (
    *("pass", "pw", "wort", "secret", "token", "key", "cookie", "cred", "auth", "sess", "bearer", "sig", "otp"),
    *("sid", "jwt", "csrf", "xsrf", "identified"),
)


def _short(judge: Callable[[str], T]) -> Callable[[str], T]:
    """Judge a name once and remember it, unless it is so long that remembering would cost too much memory."""
    remembered = lru_cache(maxsize=8192)(judge)

    @wraps(judge)
    def judged(name: str) -> T:
        return remembered(name) if len(name) <= 100 else judge(name)

    return judged


@_short
def may_name(word: str) -> bool:
    """A quick look at a word: whether it can be the name of a secret at all (`by` as in SQL's IDENTIFIED BY)."""
    low = word.lower()
    return low in ("by", "as") or any(root in low for root in ROOTS)


@_short
def secret_label(name: str) -> str:
    """What the value under this name would be ("password", "token", ...); empty where it is no secret.

    `DB_PASSWORD`, `clientSecret`, `x-api-key` are; `secretKeyRef`, `token_expires_in`, `password_failures` are not.
    """
    joined = "_".join(_WORDS.findall(name)).lower()
    found = next(reversed(list(_SECRET.finditer(joined))), None)
    if found is None or joined[found.end() :].rpartition("_")[2] in _DESCRIPTIVE:
        return ""
    return str(found.lastgroup)


@_short
def counts_secrets(name: str) -> bool:
    """Whether a number under this name is a count (`invalid_token`, `max_tokens`), not a secret."""
    joined = "_".join(_WORDS.findall(name)).lower()
    return joined.partition("_")[0] in _COUNTED or joined.endswith(("tokens", "passwords", "secrets", "cookies"))


def is_status(value: str) -> bool:
    """Whether this says something about a secret (`null`, `expired`) instead of being one."""
    return value.lower() in STATUS


def is_directory(name: str, value: str) -> bool:
    """Whether this is the shell's working directory, which looks like a password by its name only."""
    return name in ("PWD", "OLDPWD") and value.startswith("/")
