"""The one place that takes secrets out of text and JSON before anything touches the disk.

What is replaced reads `[redacted password]`, `[redacted token]`, ...; the rest stays as it was. Redacting twice
changes nothing. The result of `json` is plain JSON in canonical key order, so that writing and reading it back
gives an equal value.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, cast
from urllib.parse import quote, quote_plus

import msgspec

from runbook import secret_text
from runbook.errors import SettingsError
from runbook.model import JSON
from runbook.secret_text import PLACEHOLDER, counts_secrets, is_status, secret_label

MAX_DEPTH = 100
_NUMERIC = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?|[+-]?Inf|NaN")
_SAMPLES = re.compile(r"[0-9+\-.eE\nInfNa]*")
_FIRST, _SECOND = itemgetter(0), itemgetter(1)
_NAMES = ("name", "key", "header", "field", "variable", "variable_name")
_VALUES = ("value", "values", "val", "default", "variable_value")
_SECRET_NAME_KEYS = frozenset({"secretName", "items", "optional", "defaultMode"})
_TOKEN_FILE_KEYS = frozenset({"expirationSeconds", "path", "audience"})


class Redactor:
    """Removes secrets; `patterns` are the operator's own regular expressions, `secrets` values known from settings."""

    def __init__(self, emails: bool = True, patterns: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        self._emails = emails
        self._own = [rule for rule in (_literals(secrets), *map(_pattern, patterns)) if rule]

    def text(self, text: str) -> str:
        """The text without its secrets."""
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        if not self._own and (_NUMERIC.fullmatch(text) or not secret_text.suspicious(text)):
            return text
        for _ in range(4):
            before, text = text, self._once(text)
            if text == before:
                break
        return text

    def json(self, value: JSON) -> JSON:
        """The value without its secrets, keys too; a new value of plain JSON, its keys in canonical order."""
        return self._json(value, 0)

    def _once(self, text: str) -> str:
        if text[:1] in ("{", "["):
            text = self._embedded(text)
        for rule in self._own:
            text = rule(text)
        if not secret_text.suspicious(text):
            return text
        for rule in secret_text.RULES:
            text = rule(text)
        return secret_text.emails(text) if self._emails else text

    def _embedded(self, text: str) -> str:
        """JSON inside a string, as log lines and Kubernetes annotations hold it."""
        try:
            value = msgspec.json.decode(text)
            clean = self._json(value, MAX_DEPTH // 2)
            return text if clean == value else msgspec.json.encode(clean).decode()
        except (msgspec.MsgspecError, RecursionError):
            return text

    def _json(self, value: JSON, depth: int) -> JSON:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if depth >= MAX_DEPTH:
            return "[redacted nesting]"
        if isinstance(value, dict):
            return self._object(cast("dict[Any, JSON]", value), depth + 1)
        if isinstance(value, (list, tuple)):
            return self._list(list(cast("Sequence[JSON]", value)), depth + 1)
        return self.text(str(value))

    def _list(self, items: list[JSON], depth: int) -> list[JSON]:
        if _are_samples(items):
            return items
        clean = [self._json(item, depth) for item in items]
        label = secret_label(items[0].lstrip("-")) if len(items) == 2 and isinstance(items[0], str) else ""
        if label and isinstance(items[1], str) and items[1] and not is_status(items[1]):
            return [clean[0], f"[redacted {label}]"]
        for i, item in enumerate(items[:-1]):
            if isinstance(item, str) and item.startswith("--") and (label := secret_label(item)) and isinstance(items[i + 1], str):
                clean[i + 1] = f"[redacted {label}]"
        return clean

    def _object(self, value: dict[Any, JSON], depth: int) -> dict[str, JSON]:
        value = _without_neighbours(value)
        clean: dict[str, JSON] = {}
        for key, item in value.items():
            name = key if isinstance(key, str) else _plain_key(key)
            clean[_free(self.text(name), clean)] = self._member(name, item, depth)
        return dict(sorted(clean.items()))

    def _member(self, name: str, item: JSON, depth: int) -> JSON:
        label = secret_label(name)
        if not label or item is None or item is True or item is False or item in ("", [], {}):
            return self._json(item, depth)
        if not isinstance(item, str) and counts_secrets(name) and not isinstance(item, list):
            return self._json(item, depth)
        if isinstance(item, dict) and _is_reference(name, frozenset(cast("dict[str, JSON]", item))):
            return self._json(item, depth)
        if name == "imagePullSecrets" or (name.lower().endswith("pwd") and isinstance(item, str) and item[:1] == "/"):
            return self._json(item, depth)
        return item if isinstance(item, str) and re.fullmatch(PLACEHOLDER, item) else f"[redacted {label}]"


def _without_neighbours(value: dict[Any, JSON]) -> dict[Any, JSON]:
    """Secrets that only a neighbour gives away: name and value, the columns of rows, the data of a Secret."""
    kind = value.get("kind")
    if kind == "Secret":
        value = {k: _hide(v, "secret") if k in ("data", "stringData") else v for k, v in value.items()}
    items = value.get("items")
    if kind == "SecretList" and isinstance(items, list):
        secrets = [{**cast("dict[str, JSON]", i), "kind": "Secret"} for i in cast("list[JSON]", items) if isinstance(i, dict)]
        value = {**value, "items": secrets}
    columns, rows = value.get("columns"), value.get("rows")
    if isinstance(columns, list) and isinstance(rows, list):
        value = {**value, "rows": _rows(cast("list[JSON]", columns), cast("list[JSON]", rows))}
    lower = {str(k).lower(): k for k in value}
    for name in (value[lower[n]] for n in _NAMES if n in lower):
        label = secret_label(name) if isinstance(name, str) else ""
        if label:
            hidden = {lower[v]: _hide(value[lower[v]], label, name) for v in _VALUES if v in lower}
            value = {**value, **hidden}
    return value


def _hide(value: JSON, label: str, name: str = "") -> JSON:
    """The placeholder, in each member of an object; what holds no secret (empty, on, off) stays."""
    if isinstance(value, dict):
        return {k: _hide(v, label) for k, v in cast("dict[str, JSON]", value).items()}
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and (is_status(value) or (name.lower().endswith("pwd") and value[:1] == "/")):
        return value
    return f"[redacted {label}]"


def _rows(columns: list[JSON], rows: list[JSON]) -> list[JSON]:
    """Rows as lists, without the columns whose title says that they are secret."""
    titles = [cast("dict[str, JSON]", c).get("name", "") if isinstance(c, dict) else c for c in columns]
    labels = [secret_label(t) if isinstance(t, str) else "" for t in titles]
    if not any(labels):
        return rows
    return [
        [_hide(cell, label) if label else cell for cell, label in zip(cast("list[JSON]", row), labels, strict=True)]
        if isinstance(row, list) and len(cast("list[JSON]", row)) == len(labels)
        else row
        for row in rows
    ]


def _is_reference(name: str, keys: frozenset[str]) -> bool:
    """A Kubernetes volume that names a Secret or a token file, and holds neither."""
    if name == "secret":
        return "secretName" in keys and keys <= _SECRET_NAME_KEYS
    return name == "serviceAccountToken" and "path" in keys and keys <= _TOKEN_FILE_KEYS


def _are_samples(items: list[Any]) -> bool:
    """Whether this is a Prometheus series, `[[seconds, "number"], ...]`: nothing to hide, told apart at C speed."""
    if not items or type(items[0]) is not list or set(map(type, items)) != {list} or set(map(len, items)) != {2}:
        return False
    if not set(map(type, map(_FIRST, items))) <= {int, float} or set(map(type, map(_SECOND, items))) != {str}:
        return False
    return math.isfinite(sum(map(_FIRST, items))) and _SAMPLES.fullmatch("\n".join(map(_SECOND, items))) is not None


def _plain_key(key: object) -> str:
    return msgspec.json.encode(key).decode() if isinstance(key, (int, float)) or key is None else str(key)


def _free(key: str, taken: dict[str, JSON]) -> str:
    """A key that is not taken: two keys that differed only in a secret both stay."""
    name, n = key, 2
    while name in taken:
        name, n = f"{key} ({n})", n + 1
    return name


def _own_rule(pattern: re.Pattern[str], label: str) -> Callable[[str], str]:
    def replace(found: re.Match[str]) -> str:
        return f"[redacted {label}]" if found[0] and not found[0].startswith("[redacted ") else found[0]

    return lambda text: pattern.sub(replace, text)


def _pattern(pattern: str) -> Callable[[str], str]:
    """A rule from an operator's regular expression; it does not look into placeholders."""
    try:
        flags = re.compile(pattern).flags
        body = re.sub(r"^\(\?[aiLmsux]+\)", "", pattern)
        return _own_rule(re.compile(rf"{PLACEHOLDER}|(?:{body}\n)" if flags & re.VERBOSE else rf"{PLACEHOLDER}|(?:{body})", flags), "pattern")
    except re.error as error:
        raise SettingsError(f"redact_patterns holds {pattern!r}, which is no regular expression ({error}); correct it in runbook.toml.") from None


def _literals(secrets: Sequence[str]) -> Callable[[str], str] | None:
    """A rule for known values and the spellings they take in URLs, JSON, HTML and base64.

    Shorter than four characters, or a plain word of ours such as `password`, they would ruin the text: skipped.
    """
    spellings: set[str] = set()
    for secret in secrets:
        if len(secret) < 4 or secret_label(secret) == secret.lower():
            continue
        plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)}
        coded = {quote(secret, safe=""), quote(secret), quote_plus(secret), base64.b64encode(secret.encode("utf-8", "replace")).decode()}
        spellings |= plain | coded
    if not spellings:
        return None
    parts = [_bounded(s) for s in sorted(spellings, key=lambda s: (-len(s), s))]
    return _own_rule(re.compile("|".join([PLACEHOLDER, *parts])), "secret")


def _bounded(secret: str) -> str:
    """Short or numeric values count only where they stand alone."""
    alone = len(secret) < 8 or secret.isdigit()
    return rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])" if alone else re.escape(secret)
