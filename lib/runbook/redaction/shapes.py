"""Secrets that give themselves away by their shape: key blocks, JWTs, credentials in addresses and on command lines.

Each rule takes a text and gives it back with `[redacted ...]` where a secret stood. It walks the text once from left
to right (possessive patterns, no second look at what was passed), so that a line of a megabyte costs a moment
whatever stands in it, and leaves a placeholder alone, so that redacting twice changes nothing.
"""

from __future__ import annotations

import re

from runbook.redaction.names import PROSE

PLACEHOLDER = r"\[redacted [a-z ]{1,30}\]"
SPACE = r"[\s\u2420]"  # white space, or one that was URL-encoded (see Redactor)

_MARKER = re.compile(
    r"-----(BEGIN|END)(?:[ +_]|%20)(?:[A-Z0-9]{1,12}(?:[ +_]|%20)){0,3}"
    r"PRIVATE(?:[ +_]|%20)KEY(?:(?:[ +_]|%20)BLOCK)?-----"
)
_LINES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\% \t\r\n"
_BODY = f"{_LINES}:,-"


def key_blocks(text: str) -> str:
    """Private key blocks: whole, cut off at either end, on one line or with literal `\\n`."""
    out: list[str] = []
    done, inside = 0, False
    for mark in _MARKER.finditer(text):
        piece = text[done : mark.start()]
        if mark[1] == "END":
            out.append("" if inside else piece.rstrip(_LINES))
        else:
            out.append(piece.lstrip(_BODY) if inside else piece)
        if mark[1] == "BEGIN" or not inside:
            out.append("[redacted private key]")
        done, inside = mark.end(), mark[1] == "BEGIN"
    rest = text[done:]
    return "".join([*out, rest.lstrip(_BODY) if inside else rest])


SHAPE_HINTS = (
    *("eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_", "glpat-", "xox", "_live_", "_test_", "dckr_", "npm_"),
    *("hvs.", "ya29.", "sg.", "sk-", "code=", "slack", "akia", "asia", "abia", "acca", "aiza"),
    *("$1$", "$5$", "$6$", "$2a$", "$2b$", "$2x$", "$2y$", "$argon2", "$pbkdf2", "$scrypt"),
)
_SHAPES = re.compile(
    r"(?P<token>eyJ[\w-]{8,}+(?:\.[\w-]*+){0,4}+"
    r"|(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|[sr]k_(?:live|test)_|dckr_pat_|npm_|hvs\.|ya29\.|SG\.)"
    r"[\w.-]{16,}+"
    r"|(?<![\w-])sk-(?:(?:proj|ant|svcacct|admin|or)-[\w-]{16,}+|[A-Za-z0-9]{20,}+)"
    r"|(?<=[?&;]code=)(?=[^\s\"'&<>\\]*?\d)[^\s\"'&<>\[\\]{8,}+"
    r"|(?<=hooks\.slack\.com/services/)[^\s\"'<>\\]++)"
    r"|(?P<password>\$(?:2[abxy]|[156]|argon2(?:id?|d)|pbkdf2[\w-]{0,20}+|scrypt)\$[\w./$+=,-]{16,}+)"
    r"|(?P<key>(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])|(?<![\w-])AIza[\w-]{35}(?![\w-]))"
)
_EMAIL = re.compile(r"(?<![\w.+/-])[\w.+-]++@(?:[\w-]++\.)+[A-Za-z]{2,}+(?![\w-])")


def shapes(text: str) -> str:
    """JWTs, AWS access keys, password hashes and the tokens of well-known services."""
    return _SHAPES.sub(lambda found: f"[redacted {found.lastgroup}]", text)


def emails(text: str) -> str:
    """E-mail addresses; an `account@host` without a dotted domain stays."""
    return _EMAIL.sub("[redacted email]", text)


_URL = re.compile(r"([A-Za-z][\w+.-]{0,30}+)?://((?:[^\s\"`<>,;|&=(]++|[,;|&=(](?!\w[\w+.-]{0,30}+://))*+)")
_QUERY = re.compile(r"[?#][A-Za-z_][\w.\[\]-]*+=")
_PORT = re.compile(r"[^:@]*+:\d{1,5}(?:[/?#]|$)")


def _url(found: re.Match[str]) -> str:
    scheme, rest = found[1] or "", found[2]
    if _PORT.match(rest):
        return found[0]
    query = _QUERY.search(rest)
    at = rest.rfind("@", 0, query.start()) if query else -1
    at = at if at >= 0 else rest.rfind("@")
    user, colon, password = rest[: max(at, 0)].partition(":")
    if scheme.lower().startswith(("http", "git")) and ("/" not in user or colon):
        whole = at > 0 and not re.fullmatch(PLACEHOLDER, rest[:at])
        return f"{scheme}://[redacted credentials]{rest[at:]}" if whole else found[0]
    return f"{scheme}://{user}:[redacted password]{rest[at:]}" if colon and password and "/" not in user else found[0]


_WORD = re.compile(r"[^\s\"'`]++")
_DRIVER = re.compile(r"@(?:[a-z][a-z0-9]{0,15})?\(")
_BARE = re.compile(r"(?<![\w/.-])(\w[\w.-]*+:)([^\s@/:\"'\[\]]++)(?=@[\w.-]++(?::\d|/))")


def _data_source(found: re.Match[str]) -> str:
    """`user:pw@tcp(host)/db`, as Go's MySQL driver wants it."""
    word = found[0]
    at = next((mark.start() for mark in reversed(list(_DRIVER.finditer(word)))), 0) if "(" in word else 0
    user, colon, password = word[:at].partition(":")
    return f"{user}:[redacted password]{word[at:]}" if colon and password else word


def addresses(text: str) -> str:
    """Passwords in URLs, in `user:pw@tcp(host)/db` and in `user:pw@host:port`."""
    text = _URL.sub(_url, text) if "://" in text else text
    text = _WORD.sub(_data_source, text) if "(" in text else text
    return _BARE.sub(r"\1[redacted password]", text)


_SCHEME = re.compile(
    rf"(?i)(?<![\w-])(bearer|basic(?:[ ]auth(?:entication)?)?|apikey)((?:{SPACE}|\\+[nt])++)"
    r"(?!realm=|[=:|%])([\w~+/.=|%:-]++)"
)


def _scheme(found: re.Match[str]) -> str:
    scheme, space, value = found.groups()
    word = value.rstrip(".:")
    basic = scheme.lower().startswith("basic")
    plain = word.isalpha() and (word.islower() or word.istitle() or word.isupper())
    if word.lower() in PROSE or (basic and plain):
        return found[0]
    return f"{scheme}{space}[redacted {'credentials' if basic else 'token'}]"


def schemes(text: str) -> str:
    """`Bearer ...`, `Basic ...` and `ApiKey ...`, wherever they stand; "Bearer token expired" stays."""
    return _SCHEME.sub(_scheme, text)


CLIENTS = ("mysql", "mariadb", "curl", "docker", "podman", "sshpass", "redis-cli", "login")
_COMMANDS = tuple(
    (re.compile(rf"\b(?:{clients})\b"), re.compile(rf"{before}((?!\[redacted )[^\s'\"]++)"))
    for clients, before in (
        (r"mysql\w*|mariadb[\w-]*", r"(?<!\S)(-p)"),
        (r"curl", r"(?<!\S)((?:-u|--user)[ =]?[\"']?[^\s:'\"@/-][^\s:'\"]*+:)"),
        (r"docker|podman|sshpass|redis-cli", r"(?<!\S)(-[pa][ \t]++[\"']?)"),
        (r"login", r"\b(login[ \t]++\S++[ \t]++password[ \t]++)"),
    )
)


def commands(text: str) -> str:
    """Passwords on the command lines of well-known clients, and in .netrc."""
    for client, password in _COMMANDS:
        if client.search(text):
            text = password.sub(r"\1[redacted password]", text)
    return text
