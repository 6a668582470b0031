"""The operator's own rules: patterns from the settings, and the known values of secrets."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, quote_plus

from runbook.errors import SettingsError
from runbook.redaction.names import secret_label
from runbook.redaction.shapes import PLACEHOLDER


def _own_rule(pattern: re.Pattern[str], label: str) -> Callable[[str], str]:
    def replace(found: re.Match[str]) -> str:
        return f"[redacted {label}]" if found[0] and not found[0].startswith("[redacted ") else found[0]

    return lambda text: pattern.sub(replace, text)


def pattern(pattern: str) -> Callable[[str], str]:
    """A rule from an operator's regular expression; it does not look into placeholders."""
    try:
        flags = re.compile(pattern).flags
        body = re.sub(r"^\(\?[aiLmsux]+\)", "", pattern)
        return _own_rule(
            re.compile(rf"{PLACEHOLDER}|(?:{body}\n)" if flags & re.VERBOSE else rf"{PLACEHOLDER}|(?:{body})", flags),
            "pattern",
        )
    except re.error as error:
        raise SettingsError(
            f"redact_patterns holds {pattern!r}, which is no regular expression ({error}); correct it in runbook.toml."
        ) from None


def literals(secrets: Sequence[str]) -> Callable[[str], str] | None:
    """A rule for known values and the spellings they take in URLs, JSON, HTML, base64 and Python's errors.

    Shorter than four characters, or a plain word of ours such as `password`, they would ruin the text: skipped.
    """
    spellings: set[str] = set()
    for secret in secrets:
        if len(secret) < 4 or secret_label(secret) == secret.lower():
            continue
        plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)}
        plain |= {repr(secret)[1:-1], repr(f"'\"{secret}")[4:-1], ascii(secret)[1:-1]}  # as Python's errors quote it
        coded = {
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            base64.b64encode(secret.encode("utf-8", "replace")).decode(),
        }
        spellings |= plain | coded
    if not spellings:
        return None
    parts = [_bounded(s) for s in sorted(spellings, key=lambda s: (-len(s), s))]
    return _own_rule(re.compile("|".join([PLACEHOLDER, *parts])), "secret")


def _bounded(secret: str) -> str:
    """Short or numeric values count only where they stand alone."""
    alone = len(secret) < 8 or secret.isdigit()
    return rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])" if alone else re.escape(secret)
