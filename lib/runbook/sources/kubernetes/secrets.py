"""Secrets and ConfigMaps by name, and which of them a deployment lacks: pure, from a `secrets` answer.

The API server is asked for the lines that `kubectl get` prints, so no value, and no annotation that repeats one, ever
reaches this process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook.model import JSON, Answer

_AGE = re.compile(r"(?:(\d+)y)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS = (365 * 86400, 86400, 3600, 60, 1)


@dataclass(frozen=True)
class Known:
    """One that there is, named as kubectl does ("secret/database"); `created_at` is as exact as the age kubectl prints.

    `type` is a Secret's ("kubernetes.io/tls"), "" for a ConfigMap.
    """

    name: str
    type: str
    created_at: float | None


@dataclass(frozen=True)
class SecretNames:
    """What a namespace has, what the deployment refers to, and what of that it needs and does not find.

    Nothing is called missing of a kind whose names could not be read.
    """

    known: tuple[Known, ...]
    referenced: tuple[str, ...]
    missing: tuple[str, ...]


def secrets_of(answer: Answer) -> SecretNames:
    """The names of a `secrets` answer, in order."""
    data = answer.data or {}
    known = tuple(sorted((_known(one, data["asked_at"]) for one in data.get("known", [])), key=lambda one: one.name))
    names = {one.name for one in known}
    referenced, listed = data.get("referenced", []), [one["kind"] for one in data.get("listed", [])]
    needed = [one for one in referenced if one["kind"] in listed and not one["optional"]]
    return SecretNames(
        known,
        tuple(sorted(map(_name, referenced))),
        tuple(sorted(_name(one) for one in needed if _name(one) not in names)),
    )


def age_seconds(text: str) -> float | None:
    """An age as kubectl prints it ("3d4h") in seconds; None for one that is no age."""
    found = _AGE.fullmatch(text)
    if not text or not found:
        return None
    return float(sum(int(amount or 0) * unit for amount, unit in zip(found.groups(), _UNITS, strict=True)))


def _known(one: JSON, asked_at: float) -> Known:
    age = age_seconds(one["age"])
    return Known(_name(one), one["type"], None if age is None else asked_at - age)


def _name(reference: JSON) -> str:
    return f"{reference['kind']}/{reference['name']}"
