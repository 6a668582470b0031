"""The one place that takes secrets out of text and JSON before anything touches the disk."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from runbook.model import JSON
from runbook.redaction import custom
from runbook.redaction.fields import named_values
from runbook.redaction.names import ROOTS, counts_secrets, is_directory, is_status, secret_label
from runbook.redaction.shapes import (
    CLIENTS,
    PLACEHOLDER,
    SHAPE_HINTS,
    addresses,
    commands,
    emails,
    key_blocks,
    schemes,
    shapes,
)
from runbook.redaction.surroundings import is_reference, without_neighbours

RULES: Final[tuple[tuple[tuple[str, ...], Callable[[str], str]], ...]] = (  # where one of these words is: the rule
    (("private",), key_blocks),
    (SHAPE_HINTS, shapes),
    (("@",), addresses),
    (("bearer", "basic", "apikey"), schemes),
    (ROOTS, named_values),
    (CLIENTS, commands),
)
HINTS: Final = tuple(sorted({"%", *(hint for hints, _ in RULES for hint in hints)}))
_PLACEHOLDER = re.compile(PLACEHOLDER)
MAX_DEPTH: Final = 100
MAX_DECODED: Final = 3
SHORT: Final = 80
_SPACE = "\u2420"  # stands for an encoded space, which does not end a value
_TOKEN = re.compile(r"[^\s\"'`]++")
_NUMERIC = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?|[+-]?Inf|NaN")
_SAMPLES = re.compile(r"[0-9+\-.eE\nInfNa]*")
_FIRST, _SECOND = itemgetter(0), itemgetter(1)


class Redactor:
    """Removes secrets; `patterns` are the operator's own regular expressions, `secrets` values known from settings."""

    def __init__(self, emails: bool = True, patterns: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        self._emails = emails
        self._patterns = [p for p in patterns if p and not _PLACEHOLDER.search(p)]  # those of a recording are redacted
        self._own = [rule for rule in (custom.literals(secrets), *map(custom.pattern, self._patterns)) if rule]

        self._repeated = lru_cache(maxsize=4096)(self._text)  # answers repeat their keys, labels and levels

    @classmethod
    def of(cls, settings: JSON) -> Redactor:
        """The redactor that a recording names in its header (see `settings`)."""
        given = settings if isinstance(settings, dict) else {}
        return cls(given.get("emails", True), given.get("patterns", ()))

    @property
    def settings(self) -> JSON:
        """What a recording says of its redactor: no known secret, no pattern that spells one out."""
        return {"emails": self._emails, "patterns": [p for p in self._patterns if self.text(p) == p]}

    def text(self, text: str) -> str:
        """The text without its secrets."""
        return self._repeated(text) if len(text) <= SHORT else self._text(text)

    def _text(self, text: str) -> str:
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()
        if not self._own and (_NUMERIC.fullmatch(text) or not _suspicious(text)):
            return text
        for _ in range(4):
            before, text = text, self._once(text, MAX_DECODED)
            if text == before:
                break
        return text

    def json(self, value: JSON) -> JSON:
        """The value without its secrets, keys too; a new value of plain JSON, its keys in canonical order."""
        return self._json(value, 0)

    def _once(self, text: str, decode: int) -> str:
        if text[:1] in ("{", "["):
            text = self._embedded(text)
        for own_rule in self._own:
            text = own_rule(text)
        low = text.lower()
        for hints, rule in RULES:
            if any(hint in low for hint in hints):
                text = rule(text)
        text = emails(text) if self._emails and "@" in text else text
        return _TOKEN.sub(lambda token: self._decoded(token[0], decode - 1), text) if decode and "%" in text else text

    def _decoded(self, token: str, decode: int) -> str:
        """A URL-encoded word: if its decoded text holds a secret, then that text without it."""
        plain = unquote(token.replace("%20", _SPACE)) if "%" in token else token
        if plain == token:
            return token
        for text in (plain, plain.replace("+", _SPACE)):
            clean = self._once(text, 0)
            if clean != text:
                return clean.replace(_SPACE, " ")
        deeper = self._decoded(plain, decode - 1) if decode else plain
        return token if deeper == plain else deeper

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
            return self._object(value, depth + 1)
        if isinstance(value, (list, tuple)):
            return self._list(list(value), depth + 1)
        return self.text(str(value))

    def _list(self, items: list[JSON], depth: int) -> list[JSON]:
        if _are_samples(items):
            return items
        clean = [self._json(item, depth) for item in items]
        label = _label(items[0]) if len(items) == 2 and isinstance(items[0], str) else ""
        if label and isinstance(items[1], str) and not is_status(items[1]):
            return [clean[0], _hidden(items[1], label)]
        for i, item in enumerate(items[:-1]):
            flag = _label(item) if isinstance(item, str) and item.startswith("--") else ""
            if flag and isinstance(items[i + 1], str):
                clean[i + 1] = _hidden(items[i + 1], flag)
        return clean

    def _object(self, value: dict[Any, JSON], depth: int) -> dict[str, JSON]:
        value = without_neighbours(value)
        clean: dict[str, JSON] = {}
        for key, item in value.items():
            name = key if isinstance(key, str) else _plain_key(key)
            shown = self.text(name)
            clean[_free(shown, clean)] = self._member(name if _label(name) else shown, item, depth)
        return dict(sorted(clean.items()))

    def _member(self, name: str, item: JSON, depth: int) -> JSON:
        label = _label(name)
        if not label or item is None or item is True or item is False or item in ("", [], {}):
            return self._json(item, depth)
        if not isinstance(item, str) and counts_secrets(name) and not isinstance(item, list):
            return self._json(item, depth)
        if isinstance(item, dict) and is_reference(name, frozenset(item)):
            return self._json(item, depth)
        if name == "imagePullSecrets" or (isinstance(item, str) and is_directory(name, item)):
            return self._json(item, depth)
        return _hidden(item, label)


def _label(name: str) -> str:
    """The label of what stands under this name, or after it in a list; what is redacted in it says nothing."""
    return secret_label(_PLACEHOLDER.sub("", name))


def _hidden(value: JSON, label: str) -> JSON:
    return value if value == "" or (isinstance(value, str) and _PLACEHOLDER.fullmatch(value)) else f"[redacted {label}]"


def _suspicious(text: str) -> bool:
    """A quick look: whether any rule could find something here."""
    low = text.lower()
    return any(hint in low for hint in HINTS)


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
