"""Secrets in running text: log lines, error sentences, queries, URLs, command lines, and JSON quoted inside a string.

Each rule takes a text and gives it back with `[redacted ...]` where a secret stood. Every rule walks the text once
from left to right (possessive patterns, no second look at what was passed), so a line of a megabyte costs a
moment whatever stands in it, and leaves a placeholder alone, so that redacting twice changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

PLACEHOLDER = r"\[redacted [a-z ]{1,30}\]"
_WHOLE = re.compile(rf"(?:(?i:bearer|basic|apikey|token|digest|negotiate) )?{PLACEHOLDER}")

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET = re.compile(
    r"(?P<password>passw(?:or)?[dt]|pass_?(?:phrase|code|word)|kennwort|pwd|(?<![a-z])(?:pass|otp)(?![a-z])|authentication_string)"
    r"|(?P<key>(?:api|access|secret|private|encryption|signing|ssh|account|shared|master|license|auth|consumer|storage|hmac)_?key)"
    r"|(?P<cookie>cookie|sess(?:ion)?_?id|phpsessid|connect_sid)"
    r"|(?P<credentials>credential|authorization)"
    r"|(?P<token>token(?!i[sz])|bearer|(?:amz|goog)_signature|^sig$)"
    r"|(?P<secret>secret(?!ar))"
)
_DESCRIPTIVE = frozenset(
    """name names ref refs reference type types kind status state file files path paths dir env count counts total
    failure failures failed error errors rate ratio length len size policy expired expires expiry expiration seconds
    ms at in until ttl age valid validation invalid required enabled disabled version issuer algorithm alg missing
    attempt attempts reset usage used limit remaining requests url uri endpoint audience provider strategy method mode
    format field fields prefix less changed updated created domain mount mounts volume period interval time timestamp
    lifetime duration sum bucket rejected refused revoked plugin check checks""".split()
)
_COUNTED = frozenset("max min num number n count total no has is with without invalid missing wrong bad expired failed incorrect by".split())
_STATUS = frozenset("null none nil undefined true false on off yes no expired invalid missing revoked empty unset required".split())
_PROSE = _STATUS | frozenset(
    """a an and or the is was are not has have be been no must may can cannot could should will does did do for from
    in of to on at by with without this that your unable failed failure error denied forbidden unauthorized incorrect wrong
    mismatch malformed unknown unsupported unexpected bad signature algorithm audience issuer subject claim claims kid
    key keys header headers prefix scheme format value field auth authentication authorization validation verification
    verified valid accepted rejected refused cached token tokens jwt bearer secret configmap user account username login
    already still only never too password passwords credentials realm permission file got found none rotated changed
    updated expiring expires read parse open connection""".split()
)


@lru_cache(maxsize=4096)
def secret_label(name: str) -> str:
    """What the value under this name would be ("password", "token", ...); empty where it is no secret.

    `DB_PASSWORD`, `clientSecret`, `x-api-key` are; `secretKeyRef`, `token_expires_in`, `password_failures` are not.
    """
    joined = "_".join(_WORDS.findall(name)).lower()
    found = None
    for found in _SECRET.finditer(joined):
        pass
    if found is None or joined[found.end() :].rpartition("_")[2] in _DESCRIPTIVE:
        return ""
    return str(found.lastgroup)


@lru_cache(maxsize=4096)
def counts_secrets(name: str) -> bool:
    """Whether a number under this name is a count (`invalid_token`, `max_tokens`), not a secret."""
    joined = "_".join(_WORDS.findall(name)).lower()
    return joined.partition("_")[0] in _COUNTED or joined.endswith(("tokens", "passwords", "secrets", "cookies"))


def is_status(value: str) -> bool:
    """Whether this says something about a secret (`null`, `expired`) instead of being one."""
    return value.lower() in _STATUS


# --- key blocks, tokens that give themselves away by their shape, addresses -------------------------------------

_MARKER = re.compile(r"-----(BEGIN|END)(?:[ +_]|%20)(?:[A-Z0-9]{1,12}(?:[ +_]|%20)){0,3}PRIVATE(?:[ +_]|%20)KEY(?:(?:[ +_]|%20)BLOCK)?-----")
_BODY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\%:, \t\r\n-"


def key_blocks(text: str) -> str:
    """Private key blocks: whole, cut off at either end, on one line or with literal `\\n`."""
    out: list[str] = []
    done, inside = 0, False
    for mark in _MARKER.finditer(text):
        piece = text[done : mark.start()]
        if mark[1] == "END":
            out.append("" if inside else piece.rstrip(_BODY))
        else:
            out.append(piece.lstrip(_BODY) if inside else piece)
        if mark[1] == "BEGIN" or not inside:
            out.append("[redacted private key]")
        done, inside = mark.end(), mark[1] == "BEGIN"
    rest = text[done:]
    return "".join([*out, rest.lstrip(_BODY) if inside else rest])


_SHAPES = re.compile(
    r"(?P<token>eyJ[\w-]{8,}+(?:(?:\.|%2E)[\w-]*+){0,4}+"
    r"|(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|[sr]k_(?:live|test)_|dckr_pat_|npm_|hvs\.|ya29\.|SG\.)[\w.-]{16,}+"
    r"|(?<=hooks\.slack\.com/services/)[\w/]++)"
    r"|(?P<key>(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])|(?<![\w-])AIza[\w-]{35}(?![\w-]))"
)
_EMAIL = re.compile(r"(?<![\w.+/-])[\w.+-]++(?:@|%40)(?:[\w-]++\.)+[A-Za-z]{2,}+(?![\w-])")


def shapes(text: str) -> str:
    """JWTs, AWS access keys and the tokens of well-known services."""
    return _SHAPES.sub(lambda found: f"[redacted {found.lastgroup}]", text)


def emails(text: str) -> str:
    """E-mail addresses; an `account@host` without a dotted domain stays."""
    return _EMAIL.sub("[redacted email]", text) if "@" in text or "%40" in text else text


_URL = re.compile(r"([A-Za-z][\w+.-]{0,30}+)?://((?:(?!://)[^\s\"`<>])*+)")
_PORT = re.compile(r"[^:@]*+:\d{1,5}(?:[/?#]|$)")


def _url(found: re.Match[str]) -> str:
    scheme, rest = found[1] or "", found[2]
    at = re.split("[?#]", rest, maxsplit=1)[0].rfind("@")
    if _PORT.match(rest) or (at < 0 and ":" not in rest.partition("/")[0]):
        return found[0]
    at = at if at >= 0 else rest.rfind("@")
    user, colon, password = rest[:at].partition(":") if at >= 0 else ("", "", "")
    if scheme.lower().startswith(("http", "git")) and at > 0 and not re.fullmatch(PLACEHOLDER, rest[:at]):
        return f"{scheme}://[redacted credentials]{rest[at:]}"
    return f"{scheme}://{user}:[redacted password]{rest[at:]}" if colon and password else found[0]


_GO_DSN = re.compile(r"@(?:[a-z][a-z0-9]{0,15})?\(")
_BARE = re.compile(r"(?<![\w/.-])(\w[\w.-]*+:)([^\s@/:\"'\[\]]++)(?=@[\w.-]++(?::\d|/))")


def addresses(text: str) -> str:
    """Passwords in URLs, in `user:pw@tcp(host)/db` and in `user:pw@host:port`."""
    if "@" not in text:
        return text
    text = _URL.sub(_url, text) if "://" in text else text
    out: list[str] = []
    done = 0
    for mark in _GO_DSN.finditer(text):
        piece = text[done : mark.start()]
        start = max(piece.rfind(c) for c in " \t\r\n\"'`")
        head, colon, password = piece[start + 1 :].partition(":")
        out.append(f"{piece[: start + 1]}{head}:[redacted password]" if colon and password else piece)
        done = mark.start()
    return _BARE.sub(r"\1[redacted password]", "".join([*out, text[done:]]))


_SCHEME = re.compile(r"(?i)(?<![\w-])(bearer|basic|apikey)((?:\s|%20|\+|\\+[nt])++)(?!realm=)([\w~+/.=|%:-]++)")


def _scheme(found: re.Match[str]) -> str:
    scheme, space, value = found.groups()
    word = value.rstrip(".:")
    plain = word.isalpha() and (word.islower() or word.istitle() or word.isupper())
    if word.lower() in _PROSE or (scheme.lower() == "basic" and plain):
        return found[0]
    return f"{scheme}{space}[redacted {'credentials' if scheme.lower() == 'basic' else 'token'}]"


def schemes(text: str) -> str:
    """`Bearer ...`, `Basic ...` and `ApiKey ...`, wherever they stand; "Bearer token expired" stays."""
    return _SCHEME.sub(_scheme, text)


# --- named values: k=v, k: v, "k":"v", \"k\":\"v\", k%3Dv, <k>v</k>, --k v, name: k value: v ----------------------

_QUOTE = r"(?:\\*[\"'`]|%(?:25)*+2[27]|&(?:quot|apos|#3[49]);|\\++u002[27])"
_NAMED = re.compile(
    r"(?<![\w.-])(?:--(?P<flag>[\w.-]++)[ \t]++(?=[^\s-])|(?P<name>[\w.-]++)(?:\]|%5D)?+"
    rf"(?P<quote>{_QUOTE})?+\]?+(?:\s*+(?P<sep>=>|:=|[=!]~|[=!]?=|:|%(?:25)*+3[AaDd]|\\++u003[AaDd])"
    rf"|(?P<tag>>)|(?P<pair>\s*+,?\s*+{_QUOTE}?+(?i:value|val){_QUOTE}?+\s*+[:=])|(?P<call>\s*+\(?\s*+(?=\\*['\"])))\s*+)"
)
_OPEN = re.compile(rf"[bBuUrR]{{0,2}}(?P<open>{_QUOTE})")
_CLOSE = re.compile(r"(\\*+)([\"'`])")
_NEST = re.compile(r"[\[\]{}]|\\*+[\"']")
_FIELD_AHEAD = rf"{_QUOTE}?[\w.-]{{1,64}}+{_QUOTE}?\s{{0,4}}[=:]"
_SCHEMED = re.compile(r"(?i:digest|aws4|oauth|hawk|signature)[^\r\n]*+|(?:[A-Za-z][\w-]{0,30}+[ \t]++)?")
_COOKIES = re.compile(r"(?:[^\"'\r\n\\]++|'(?=\w)|(?<==)\\*+\"[^\"\r\n]*+\"?|\\(?![rn\"'\\])|\\(?=\\+[^rn\"'\\]))*+")
_TRAILING = ")]}>\"'`,;.!?\\|"


@lru_cache(maxsize=8)
def _run(level: int) -> re.Pattern[str]:
    """An unquoted value; `level` is how often the text around it was URL-encoded."""
    encoded = f"(?!&|%(?:25){{0,{level - 1}}}(?:26|2C|3B|22|27|7D|5D|20|0A|0D))" if level else ""
    return re.compile(rf"(?:{PLACEHOLDER}|{encoded}(?:[^\s,;&<\\]|[,;&](?!{_FIELD_AHEAD})|<(?!/)|\\(?!u0026)))*+")


def _string_end(text: str, start: int, opener: str) -> int:
    """Where a quoted value ends, at whatever depth of escaping; the end of the text if it was cut off."""
    mark, depth = opener[-1], len(opener) - 1
    if mark not in "\"'`":
        end = text.find(opener, start)
        return end if end >= 0 else len(text)
    level = depth.bit_length()
    for found in _CLOSE.finditer(text, start):
        slashes = len(found[1])
        if slashes & depth != depth:
            return found.start()
        if found[2] == mark and (slashes >> level) % 2 == 0:
            return found.end() - len(opener)
    return len(text)


def _nest_end(text: str, start: int) -> int:
    """Where a list or an object ends; the end of the text if it was cut off."""
    depth, at = 0, start
    while found := _NEST.search(text, at):
        at = found.end()
        if found[0] in "[{":
            depth += 1
        elif found[0] in "]}":
            depth -= 1
            if depth <= 0:
                return at
        else:
            at = min(_string_end(text, at, found[0]) + len(found[0]), len(text))
    return len(text)


def _run_end(text: str, start: int, name: str, level: int) -> int:
    """Where an unquoted value ends: at white space or the next field, without closing punctuation."""
    low = name.lower()
    if low.endswith(("cookie", "cookies")):
        return _matched_end(_COOKIES, text, start)
    if low.endswith("authorization"):
        start = _matched_end(_SCHEMED, text, start)
    end = _matched_end(_run(level), text, start)
    bare = start + len(text[start:end].rstrip(_TRAILING))
    last = text.rfind("[redacted ", start, end)
    kept = re.compile(PLACEHOLDER).match(text, last) if last >= 0 else None
    return max(bare, kept.end() if kept else 0)


def _matched_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _label(text: str, found: re.Match[str]) -> str:
    """The label of a named value, where the name is one of a secret and the text around it says so too."""
    name = found["flag"] or found["name"]
    start = found.start()
    before = text[max(0, start - 14) : start].lower()
    if before.endswith("\\"):
        name = name[1:] if name[:1] in "nrt" else name
    if name.lower() == "key" and re.search(r"(?:api|access|secret|private|signing|encryption)\s$", before):
        return "key"
    if name.lower() in ("by", "as") and found["call"] is not None:
        return "password" if "identified" in before or "identified" in text[max(0, start - 60) : start].lower() else ""
    label = secret_label(name)
    if found["call"] is not None and label != "password":
        return ""
    if found["sep"] == ":" and (before.endswith("/") or before.endswith("unexpected ")):
        return "" if text[found.end() - 1] in " \t\n" else label
    return label


def _keeps(found: re.Match[str], value: str) -> bool:
    """Whether an unquoted value is no secret: a status word, a count, a word of prose, a working directory."""
    name = found["flag"] or found["name"]
    words = value.lower().split() or [""]
    if is_status(value) or (value.isdigit() and counts_secrets(name)) or (value[:1] == "/" and name.lower().endswith("pwd")):
        return True
    return found["sep"] == ":" and found[0][-1:] in " \t\r\n" and words[-1] in _PROSE


def named_values(text: str) -> str:
    """Values whose name says that they are secret, in all the ways that logs and queries write them."""
    out: list[str] = []
    done = at = 0
    while found := _NAMED.search(text, at):
        at = max(found.end(), found.start() + 1)
        label = _label(text, found)
        if not label:
            continue
        start, end, at = _span(text, found)
        value = text[start:end]
        if not value or _WHOLE.fullmatch(value) or (start == found.end() and _keeps(found, value)):
            continue
        quote = (found["quote"] or "") if start == found.end() and found["sep"] == ":" else ""
        out += (text[done:start], quote, f"[redacted {label}]", quote)
        done = end
    return "".join([*out, text[done:]])


def _span(text: str, found: re.Match[str]) -> tuple[int, int, int]:
    """Where the value begins and ends, and where to go on reading."""
    start = found.end()
    opened = _OPEN.match(text, start)
    if opened:
        end = _string_end(text, opened.end(), opened["open"])
        return opened.end(), end, min(end + len(opened["open"]), len(text))
    if text[start : start + 1] in ("[", "{") and not text.startswith("[redacted ", start):
        end = _nest_end(text, start)
    else:
        sep = found["sep"] or ""
        end = _run_end(text, start, found["flag"] or found["name"], sep.count("25") + 1 if sep[:1] == "%" else 0)
    return start, end, max(end, start)


_COMMAND = re.compile(r"(?<!\S)(-p|(?:-u|--user)[ =]?[\"']?[^\s:'\"@/-][^\s:'\"]*+:)((?!\[redacted )[^\s'\"]++)")


def commands(text: str) -> str:
    """Passwords on the command lines of mysql and curl."""
    return _COMMAND.sub(r"\1[redacted password]", text) if re.search(r"\b(?:mysql\w*|mariadb[\w-]*|sshpass|curl)\b", text) else text


RULES: tuple[Callable[[str], str], ...] = (key_blocks, shapes, addresses, schemes, named_values, commands)
HINTS = (
    "pass pwd secret token key auth cookie cred sess @ %40 eyj bearer basic private akia asia abia acca aiza wort "
    "gh github_ glpat xox _live_ _test_ dckr npm_ hvs. ya29 sg. slack identified sig mysql sid otp"
).split()


def suspicious(text: str) -> bool:
    """A quick look: whether any rule could find something here."""
    low = text.lower()
    return any(hint in low for hint in HINTS)
