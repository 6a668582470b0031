"""Secrets in JSON that only a neighbour gives away: name and value, the columns of rows, the data of a Secret."""

from __future__ import annotations

from typing import Any

from runbook.model import JSON
from runbook.redaction.names import is_directory, is_status, secret_label

_NAMES = ("name", "key", "header", "field", "variable", "variable_name")
_VALUES = ("value", "values", "val", "default", "variable_value")
_SECRET_NAME_KEYS = frozenset({"secretName", "items", "optional", "defaultMode"})
_TOKEN_FILE_KEYS = frozenset({"expirationSeconds", "path", "audience"})


def without_neighbours(value: dict[Any, JSON]) -> dict[Any, JSON]:
    """The object without them."""
    kind = value.get("kind")
    if kind == "Secret":
        value = {k: _hide(v, "secret") if k in ("data", "stringData") else v for k, v in value.items()}
    items = value.get("items")
    if kind == "SecretList" and isinstance(items, list):
        secrets = [{**i, "kind": "Secret"} for i in items if isinstance(i, dict)]
        value = {**value, "items": secrets}
    columns, rows = value.get("columns"), value.get("rows")
    if isinstance(columns, list) and isinstance(rows, list):
        value = {**value, "rows": _rows(columns, rows)}
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
        return {k: _hide(v, label) for k, v in value.items()}
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and (is_status(value) or is_directory(name, value)):
        return value
    return f"[redacted {label}]"


def _rows(columns: list[JSON], rows: list[JSON]) -> list[JSON]:
    """Rows as lists, without the columns whose title says that they are secret."""
    titles = [c.get("name", "") if isinstance(c, dict) else c for c in columns]
    labels = [secret_label(t) if isinstance(t, str) else "" for t in titles]
    if not any(labels):
        return rows
    return [
        [_hide(cell, label) if label else cell for cell, label in zip(row, labels, strict=True)]
        if isinstance(row, list) and len(row) == len(labels)
        else row
        for row in rows
    ]


def is_reference(name: str, keys: frozenset[str]) -> bool:
    """A Kubernetes volume that names a Secret or a token file, and holds neither."""
    if name == "secret":
        return "secretName" in keys and keys <= _SECRET_NAME_KEYS
    return name == "serviceAccountToken" and "path" in keys and keys <= _TOKEN_FILE_KEYS
