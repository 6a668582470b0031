"""A manifest signed with a key that only the settings name, so that nobody else can make another one fit."""

from __future__ import annotations

import hmac


def signature(raw: bytes, key: bytes) -> str:
    """The manifest's HMAC-SHA-256 under a key."""
    return hmac.new(key, raw, "sha256").hexdigest()
