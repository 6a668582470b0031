"""What the simulated service logs about a drawn window: one JSON document per line, as a bulk request wants them.

Every log line comes from something that happened in the window, thinned as a rate-limiting logger does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from tests.lab.service.fleet import Life
from tests.lab.service.log_lines import Document, compose, draw_words, plain, stamped
from tests.lab.service.sentences import PANICS, SUSPECT
from tests.lab.service.simulation import Drawn
from tests.lab.service.world import FAILURES, GUARDED, MEMORY_LIMIT, REASONS, SERVICE, Character, Floats

PER_SCRAPE = 4  # lines of one kind that a pod writes between two scrapes, at most; the logger drops the others
ACCESS_SAMPLE = 0.003  # of the requests that end well
WARNED = 0.15  # of the requests with a bad token
FIRST_REQUEST = 0.01  # of the requests with a good token
LAST_WORDS = 20  # lines
SLOW_BUCKET = 8  # from 1 s on
INDEX = "micro-apps-"


@dataclass(frozen=True)
class Cells:
    """Log lines of one kind: for each, its endpoint, pod and scrape."""

    kind: str
    endpoint: np.ndarray
    pod: np.ndarray
    scrape: np.ndarray


def documents(who: Character, drawn: Drawn, versions: Mapping[int, str]) -> list[Document]:
    """Every log line of the window, in order of time."""
    rng = np.random.default_rng([who.seed, 8])
    found: list[Document] = []
    for cells in _happenings(rng, drawn):
        found += _lines(rng, who, drawn, cells)
    rng = np.random.default_rng([who.seed, 14])
    found += _lines(rng, who, drawn, _logins(rng, drawn))
    found += _lifecycle(drawn, versions)
    return sorted(found, key=lambda one: str(one["timestamp"]))


def last_words(who: Character, found: Sequence[Document], ended: Mapping[str, Life]) -> dict[str, list[str]]:
    """By pod, the last lines of a container that ended, and the backtrace of its panic, which no log shipper sees."""
    panic = PANICS[who.seed % len(PANICS)]
    by_pod: dict[str, list[str]] = {pod: [] for pod in ended}
    for line in found:
        pod, time = str(line["pod"]), str(line["timestamp"])
        if pod in ended and stamped(np.array([ended[pod].start]))[0] <= time <= stamped(np.array([ended[pod].end]))[0]:
            by_pod[pod].append(f"{str(line['level']).upper()} {line['message']}")
    return {
        pod: [*lines[-LAST_WORDS:], *(panic if ended[pod].reason == "Error" else ())] for pod, lines in by_pod.items()
    }


def bulk(found: Sequence[Document], lines: int = 4000) -> Iterator[bytes]:
    """Bodies of bulk requests, each document into the index of its day."""
    for begin in range(0, len(found), lines):
        parts = (
            part
            for one in found[begin : begin + lines]
            for part in (
                f'{{"create":{{"_index":"{INDEX}{str(one["timestamp"])[:10].replace("-", ".")}"}}}}'.encode(),
                msgspec.json.encode(one),
            )
        )
        yield b"\n".join(parts) + b"\n"


TEMPLATE: Document = {
    "index_patterns": [f"{INDEX}*"],
    "template": {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {
            "properties": {
                "timestamp": {"type": "date"},
                "message": {"type": "text"},
                "client_ip": {"type": "ip"},
                **{
                    name: {"type": "keyword"}
                    for name in ("app", "level", "method", "path", "status_code", "pod", "request_id", "username")
                },
            }
        },
    },
}


def _happenings(rng: np.random.Generator, drawn: Drawn) -> Iterator[Cells]:
    for reason in (*FAILURES, *SUSPECT, "avatar_late", "unauthorized", "ok"):
        counts = drawn.ends[REASONS.index(reason)]
        share = {"unauthorized": WARNED, "ok": ACCESS_SAMPLE}.get(reason, 1.0)
        yield _cells(reason, rng.binomial(counts, share * _room(counts * share)))
    slow = drawn.durations[SLOW_BUCKET:].sum(axis=0)
    yield _cells("slow", rng.binomial(slow, _room(slow, most=2)))
    everywhere = np.zeros_like(slow)
    everywhere[0] = np.minimum(drawn.warnings, 3 * PER_SCRAPE)
    yield _cells("warnings", everywhere)
    everywhere = np.zeros_like(slow)
    everywhere[0] = (drawn.mute & ~drawn.scraped).astype(int)
    yield _cells("mute", everywhere)
    everywhere = np.zeros_like(slow)
    everywhere[0] = rng.binomial(1, np.where(drawn.running & (drawn.memory > 0.85 * MEMORY_LIMIT), 0.4, 0.0))
    yield _cells("full", everywhere)


def _logins(rng: np.random.Generator, drawn: Drawn) -> Cells:
    """Some of the requests with a good token are the first of their user."""
    counts = drawn.ends[REASONS.index("ok")] * (GUARDED > 0).astype(int)
    return _cells("login", rng.binomial(counts, FIRST_REQUEST))


def _room(counts: Floats, most: int = PER_SCRAPE) -> Floats:
    """The share of lines that the logger lets pass, by pod and scrape."""
    return np.minimum(1.0, most / np.maximum(counts.sum(axis=0), 1e-9))[None]


def _cells(kind: str, counts: np.ndarray) -> Cells:
    places = np.nonzero(counts)
    endpoint, pod, scrape = (np.repeat(place, counts[places]) for place in places)
    return Cells(kind, endpoint, pod, scrape)


def _lines(rng: np.random.Generator, who: Character, drawn: Drawn, cells: Cells) -> Iterator[Document]:
    if not cells.endpoint.size:
        return
    times = drawn.times[cells.pod, cells.scrape] - rng.uniform(0, drawn.window.step, cells.endpoint.size)
    words = draw_words(rng, drawn.memory[cells.pod, cells.scrape])
    for stamp, endpoint, pod, own in zip(
        stamped(times), cells.endpoint.tolist(), cells.pod.tolist(), words, strict=True
    ):
        yield compose(who, cells.kind, endpoint, own, pod=drawn.pods[pod].name, stamp=stamp)


def _lifecycle(drawn: Drawn, versions: Mapping[int, str]) -> Iterator[Document]:
    """What a container says at its start and at its ordered end; killed ones say nothing more."""
    for pod in drawn.pods:
        for life in pod.lives:
            yield from _said(
                drawn,
                pod.name,
                life.start,
                f"starting {SERVICE} {versions.get(pod.revision, '')}",
                "configuration loaded from /etc/app/config.toml",
                "listening on 0.0.0.0:8080",
            )
            if life.end == pod.deleted:
                yield from _said(drawn, pod.name, life.end, "received SIGTERM, draining connections", "stopped")
            if life.reason == "Error":
                yield from _said(drawn, pod.name, life.end, "panicked, exiting with code 101", level="error")


def _said(drawn: Drawn, pod: str, time: float, *sentences: str, level: str = "info") -> Iterator[Document]:
    if drawn.window.start <= time < drawn.window.end:
        stamps = stamped(time + 0.2 * np.arange(len(sentences)))
        yield from (plain(pod, stamp, sentence, level) for stamp, sentence in zip(stamps, sentences, strict=True))
