"""What is inside containers, as frozen values: their last words, a public key, their clock. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from runbook.model import JSON, Answer

KeyForm = Literal["public key", "certificate", "private key", "other", "empty", "unreadable"]

_FORMS: dict[str, KeyForm] = {
    "-----BEGIN PUBLIC KEY-----": "public key",
    "-----BEGIN RSA PUBLIC KEY-----": "public key",
    "-----BEGIN CERTIFICATE-----": "certificate",
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]{1,76}={0,2}")
_END = re.compile(r"-----END [A-Z ]+-----")
_DATE = re.compile(r"(\d+)(?:\.(\d{9}))?\b")
_LINES = 3


@dataclass(frozen=True)
class PreviousLog:
    """The last lines of a container before it started again, oldest first."""

    pod: str
    container: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class PublicKey:
    """The head of a key file in a container: `lines` only where they are those of a public key or a certificate.

    `error` is what the command said where the file is "unreadable".
    """

    pod: str
    container: str
    path: str
    form: KeyForm
    lines: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class PodClock:
    """How many seconds a pod's clock is ahead of ours, give or take `uncertainty`; both None where it did not tell."""

    pod: str
    offset: float | None
    uncertainty: float | None
    error: str


def previous_logs_of(answer: Answer) -> tuple[PreviousLog, ...]:
    """The logs of a `previous_logs` answer, of the container that ended last first."""
    found = (answer.data or {}).get("previous_logs", [])
    return tuple(PreviousLog(one["pod"], one["container"], tuple(one["lines"])) for one in found)


def public_key_of(answer: Answer) -> PublicKey | None:
    """The key of a `public_key` answer; None where no pod runs."""
    found = (answer.data or {}).get("public_key")
    if not found:
        return None
    return PublicKey(**{**found, "lines": tuple(found["lines"])})


def clocks_of(answer: Answer) -> tuple[PodClock, ...]:
    """The clocks of a `clock` answer, by pod."""
    return tuple(sorted(map(_clock, (answer.data or {}).get("clock", [])), key=lambda one: one.pod))


def ended(pods: Iterable[JSON], most: int) -> Iterator[tuple[str, str]]:
    """Pod and name of the containers that started again or cannot, in the pods in which one ended last."""
    found = [(pod, [one for one in _statuses(pod) if _has_ended(one)]) for pod in pods]
    crashed = [(max(map(_ended_at, states)), pod["metadata"]["name"], states) for pod, states in found if states]
    for _, name, states in sorted(crashed, key=lambda one: (one[0], one[1]), reverse=True)[:most]:
        for state in states:
            yield name, state["name"]


def running(pods: Iterable[JSON], most: int) -> list[JSON]:
    """Pods that one can look into, ready ones first."""
    living = [one for one in pods if _runs(one)]
    return sorted(living, key=lambda one: (not _all_ready(one), one["metadata"]["name"]))[:most]


def key_head(text: str) -> tuple[KeyForm, list[str]]:
    """What the first lines of a file are, and these, if they are fit to be shown."""
    lines = [line.strip() for line in text.strip().splitlines()[:_LINES]]
    if "PRIVATE KEY" in text.upper():
        return "private key", []
    if not lines:
        return "empty", []
    form = _FORMS.get(lines[0], "other")
    whole = len(lines) > 1 and all(_BASE64.fullmatch(line) or _END.fullmatch(line) for line in lines[1:])
    return (form, lines) if form != "other" and whole else ("other", [])


def _statuses(pod: JSON) -> list[JSON]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _has_ended(status: JSON) -> bool:
    waiting = (status.get("state") or {}).get("waiting") or {}
    return bool(status.get("restartCount")) or waiting.get("reason") == "CrashLoopBackOff"


def _ended_at(status: JSON) -> str:
    """RFC 3339 in UTC, as Kubernetes writes times, sorts as text."""
    return str(((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or "")


def _runs(pod: JSON) -> bool:
    return pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")


def _all_ready(pod: JSON) -> bool:
    return all(one.get("ready") for one in pod["status"].get("containerStatuses") or [])


def _clock(told: JSON) -> PodClock:
    date = _DATE.match(told["said"])
    if not date:
        return PodClock(told["pod"], None, None, told["error"] or "the pod's `date` printed no time")
    unseen = 0.0 if date[2] else 0.5  # a `date` without nanoseconds leaves out up to a second
    theirs = float(f"{date[1]}.{date[2] or '0'}") + unseen
    middle, half = (told["sent"] + told["received"]) / 2, (told["received"] - told["sent"]) / 2
    return PodClock(told["pod"], round(theirs - middle, 4), round(half + unseen, 4), "")
