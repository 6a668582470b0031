"""Secrets that their name gives away: k=v, k: v, "k":"v", \\"k\\":\\"v\\", <k>v</k>, --k v, name: k value: v.

The text is read once from left to right: a pattern finds the next name with what follows it, then a small reader
finds where the value ends, however it is quoted, escaped, nested or cut off. What is consumed is not read again.
"""

from __future__ import annotations

import re

from runbook.redaction.names import PROSE, counts_secrets, is_directory, is_status, may_name, secret_label
from runbook.redaction.shapes import PLACEHOLDER, SPACE

_PLACEHOLDER = re.compile(PLACEHOLDER)
_WHOLE = re.compile(rf"(?:(?i:bearer|basic|apikey|token|digest|negotiate) )?{PLACEHOLDER}")

_QUOTE = r"(?:\\*[\"'`]|&(?:quot|apos|\#3[49]);|\\++u002[27])"
_NAME = re.compile(r"[\w.-]++")
_NAMED = re.compile(
    rf"""
    --(?P<flag>[\w.-]++) [ \t]++ (?=[^\s-]|-[^\s-])                                         # --k v
    | (?P<name>[\w.-]++) (?P<quote>{_QUOTE})?+ \]?+ (?:
        {SPACE}*+ (?P<sep> => | → | := | [=!]~ | [=!]?= | : | \\++u003[AaDd] )               # k=v, "k": v
      | (?P<pair> {SPACE}*+ ,?+ {SPACE}*+ {_QUOTE}?+ (?i:value|val) {_QUOTE}?+ {SPACE}*+ [:=] )  # name: k, value: v
      | (?P<call> {SPACE}*+ \(?+ {SPACE}*+ (?=\\*['"]) )                                     # PASSWORD('v')
      | [ \t]++ (?i:for) [ \t]++ [^\s=]++ {SPACE}*+ = {SPACE}*+ (?=\\*['"])                  # PASSWORD FOR u = 'v'
      | (?P<bare> [ \t]++ (?=[\w-]*?\d)(?=[\w-]*?[A-Za-z])(?=[\w-]{{8,}}+\.?(?:[\s,;:"')\\]|$)) )  # api_key v
      | (?P<tag> > | \s[^<>\n]{{0,200}}+> )                                                  # <k>v</k>
    ) {SPACE}*+
    """,
    re.VERBOSE,
)
_CAMELS = re.compile(r"([A-Z][a-z]+)")
_API_KEY = re.compile(r"(?:api|access)[\s_.-]?key$")
_OPEN = re.compile(rf"[bBuUrR]{{0,2}}(?P<open>{_QUOTE})")
_CLOSE = re.compile(r"(\\*+)([\"'`])")
_WRAPPER = re.compile(r"(?:Some|Ok|Just|Optional|Secret\w{0,20}+)?(?=[(\[{])")
_RANDOM = re.compile(r"\\*['\"](?=[^\s'\"\\\d]*+\d)[^\s'\"\\]{20}")
_NEST = re.compile(r"[\[\]{}()]|\\*+[\"']")
_FIELD_AHEAD = rf"{_QUOTE}?[A-Za-z_][\w.-]{{1,63}}+{_QUOTE}?\s{{0,4}}[=:]"
_SCHEMED = re.compile(r"(?i:digest|aws4|oauth|hawk|signature)[^\r\n]*+|(?:[A-Za-z][\w-]{0,30}+[ \t]++)?")
_COOKIES = re.compile(r"(?:[^\"'\r\n\\]++|'(?=\w)|(?<==)\\*+\"[^\"\r\n]*+\"?|\\(?![rn\"'\\])|\\(?=\\+[^rn\"'\\]))*+")
_TRAILING = ")]}>\"'`,;.!?\\|"
_RUN = re.compile(rf"(?:{PLACEHOLDER}|[^\s,;&<\\]|[,;&](?!{_FIELD_AHEAD})|<(?!/)|\\(?!u0026))*+")


def _string_end(text: str, start: int, opener: str) -> int:
    """Where a quoted value ends, at whatever depth of escaping; the end of the text if it was cut off."""
    mark, depth = opener[-1], len(opener) - 1
    if mark not in "\"'`":
        end = text.find(opener, start)
        return end if end >= 0 else len(text)
    level = depth.bit_length()
    for found in _CLOSE.finditer(text, start):
        slashes = len(found[1])
        if found[2] != mark:
            continue
        if slashes & depth != depth:
            return found.start()
        if (slashes >> level) % 2 == 0 and (mark == '"' or slashes == depth):
            return found.end() - len(opener)
    return len(text)


def _nest_end(text: str, start: int) -> int:
    """Where a list or an object ends; the end of the text if it was cut off."""
    depth, at = 0, start
    while found := _NEST.search(text, at):
        at = found.end()
        if found[0] in "[{(":
            depth += 1
        elif found[0] in "]})":
            depth -= 1
            if depth <= 0:
                return at
        else:
            at = min(_string_end(text, at, found[0]) + len(found[0]), len(text))
    return len(text)


def _run_end(text: str, start: int, name: str) -> int:
    """Where an unquoted value ends: at white space or the next field, without closing punctuation."""
    low = name.lower()
    if low.endswith(("cookie", "cookies")):
        return _matched_end(_COOKIES, text, start)
    if low.endswith("authorization"):
        start = _matched_end(_SCHEMED, text, start)
    end = _matched_end(_RUN, text, start)
    bare = start + len(text[start:end].rstrip(_TRAILING))
    last = text.rfind("[redacted ", start, end)
    kept = _PLACEHOLDER.match(text, last) if last >= 0 else None
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
    if found["bare"] and not _API_KEY.search(before + name.lower()):
        return ""
    if name.lower() == "key" and re.search(r"(?:api|access|secret|private|signing|encryption)\s$", before):
        return "key"
    if name.lower() in ("by", "as") and found["call"] is not None:
        return "password" if "identified" in before or "identified" in text[max(0, start - 60) : start].lower() else ""
    label = secret_label(name)
    if found["call"] is not None and label != "password" and "(" not in found["call"]:
        return label if label == "token" and _RANDOM.match(text, found.end()) else ""
    if len(found["tag"] or "") > 1 and not re.search(r"<(?:\w+:)?$", before):
        return ""
    if found["sep"] == ":" and (before.endswith("/") or before.endswith("unexpected ")):
        return "" if text[found.end() - 1] in " \t\n" else label
    return label


def _keeps(found: re.Match[str], value: str) -> bool:
    """Whether an unquoted value is no secret: a status word, a count, a word of prose, a working directory."""
    name = found["flag"] or found["name"]
    words = value.lower().split() or [""]
    if is_status(value.strip("()[]<>")) or (value.isdigit() and counts_secrets(name)) or is_directory(name, value):
        return True
    spoken = words[-1] in PROSE or PROSE.issuperset(_CAMELS.sub(r" \1", value).lower().split())  # InvalidSignature
    return found["sep"] == ":" and found[0][-1:] in " \t\r\n" and spoken


def named_values(text: str) -> str:
    """Values whose name says that they are secret, in all the ways that logs and queries write them."""
    out: list[str] = []
    done = at = 0
    while name := _NAME.search(text, at):
        at = name.end()
        found = _NAMED.match(text, name.start()) if may_name(name[0]) else None
        label = _label(text, found) if found else ""
        if not found or not label:
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
    wrapper = _WRAPPER.match(text, start)
    if wrapper and not text.startswith("[redacted ", start):
        end = _nest_end(text, wrapper.end())
    else:
        end = _run_end(text, start, found["flag"] or found["name"])
    return start, end, max(end, start)
