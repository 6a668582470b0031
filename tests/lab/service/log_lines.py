"""How the simulated service words what it logs: a sentence of its family, filled in, with what the request was."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tests.lab.service.sentences import ABOUT_THE_POD, ATTACKING, GENERAL, LEVELS, SENTENCES
from tests.lab.service.simulation import statuses
from tests.lab.service.world import ENDPOINTS, FAILURES, MEMORY_LIMIT, REASONS, SERVICE, Character, Floats

MIB = 2**20
Document = dict[str, object]
Words = dict[str, object]
_USERS = [
    f"{first}{last}"
    for first in ("mia", "noah", "ada", "finn", "lea", "omar", "ines", "kai", "zoe", "juri", "ben", "eva")
    for last in (".k", ".m", "77", "_w", "2k", ".s", "91")
]
_TARGETS = ("admin", "root", "support", "backup")


@dataclass(frozen=True)
class Attackers:
    """Where guesses come from, and at which accounts they are aimed."""

    addresses: tuple[str, ...]
    accounts: tuple[str, ...]

    def words(self, words: Words) -> Words:
        """A sentence's words, from one of them."""
        place, account = divmod(int(str(words["id"]), 16), 2**32)
        return {
            "ip": self.addresses[place % len(self.addresses)],
            "user": self.accounts[account % len(self.accounts)],
        }


@cache
def attackers(seed: int, kind: str) -> Attackers:
    """Those who attack this seed's service: few addresses and accounts, or many where guesses are sprayed."""
    rng = np.random.default_rng([seed, 13])
    if kind == "sprayed":
        nets = [f"{a}.{b}.{c}" for a, b, c in rng.integers(11, 220, (60, 3)).tolist()]
        addresses = [f"{nets[a]}.{b}" for a, b in rng.integers((0, 1), (60, 255), (int(rng.integers(300, 900)), 2))]
        accounts = [f"{user.rstrip('0123456789')}{n}" for user in _USERS for n in rng.integers(1, 999, 6).tolist()]
    else:
        addresses = [f"198.51.100.{n}" for n in rng.permutation(np.arange(200, 255))[: int(rng.integers(1, 5))]]
        accounts = rng.permutation([*_TARGETS, *_USERS[:8]])[: int(rng.integers(1, 4))].tolist()
    return Attackers(tuple(addresses), tuple(accounts))


def compose(who: Character, kind: str, endpoint: int, words: Words, *, pod: str, stamp: str) -> Document:
    """One log line; the scenario's seed decides in which family of sentences its service speaks."""
    family = _family(who.seed, kind)
    if kind in FAILURES and float(str(words["chance_to_explain"])) < who.taciturn:
        family = GENERAL
    route = ENDPOINTS[endpoint]
    if kind in ATTACKING:
        words = words | attackers(who.seed, kind).words(words)
    words = {
        **words,
        "path": f"{route.method} {route.path.replace(':name', str(words['user']))}",
        "template": route.path.strip("/").split("/")[0] or "index",
    }
    return {
        "timestamp": stamp,
        "app": SERVICE,
        "level": LEVELS.get(kind, "error"),
        "message": family[int(str(words["pick"])) % len(family)].format_map(words),
        "pod": pod,
        **({} if kind in ABOUT_THE_POD else _about_request(who, kind, route.success, words)),
    }


@cache
def _family(seed: int, kind: str) -> tuple[str, ...]:
    families = SENTENCES[kind]
    return families[int(np.random.default_rng([seed, 9, *kind.encode()]).integers(len(families)))]


def plain(pod: str, stamp: str, message: str, level: str = "info") -> Document:
    """A line about the process itself."""
    return {"timestamp": stamp, "app": SERVICE, "level": level, "message": message, "pod": pod}


def stamped(times: Floats) -> list[str]:
    """Times as Elasticsearch likes them."""
    milliseconds = (times * 1000).astype("int64").astype("datetime64[ms]")
    return [f"{text}Z" for text in np.datetime_as_string(milliseconds).tolist()]


def _about_request(who: Character, kind: str, success: str, words: Words) -> Document:
    choices = statuses(who, kind, success) if kind in REASONS else ((success, 1.0),)
    status = choices[0][0] if len(choices) == 1 or float(str(words["chance"])) < choices[0][1] else choices[1][0]
    method, path = str(words["path"]).split(" ", 1)
    return {
        "client_ip": words["ip"],
        "method": method,
        "path": path,
        "status_code": status,
        "request_id": words["id"],
        "username": words["user"],
    }


def draw_words(rng: np.random.Generator, memory: Floats) -> list[Words]:
    """What sentences are filled with, for as many lines as there are values of a pod's memory."""
    size = memory.size
    hexes = rng.integers(0, 2**62, (size, 2))
    nets = ("192.0.2", "198.51.100", "203.0.113")
    columns = {
        "user": [_USERS[i] for i in (rng.beta(1, 2.5, size) * len(_USERS)).astype(int).tolist()],
        "id": [f"{a:016x}" for a in hexes[:, 0].tolist()],
        "hex": [f"{b & 0xFFFFFF:06x}" for b in hexes[:, 1].tolist()],
        "ms": rng.lognormal(5.8, 0.8, size).astype(int).tolist(),
        "wait": rng.integers(3000, 5200, size).tolist(),
        "few": rng.integers(1, 4, size).tolist(),
        "number": rng.integers(31, 3000, size).tolist(),
        "pad": rng.integers(100, 999, size).tolist(),
        "mib": (memory / MIB).astype(int).tolist(),
        "limit": [MEMORY_LIMIT // MIB] * size,
        "ip": [
            f"{nets[a]}.{b}"
            for a, b in zip(rng.integers(0, 3, size).tolist(), rng.integers(1, 200, size).tolist(), strict=True)
        ],
        "pick": rng.integers(0, 60, size).tolist(),
        "chance": rng.uniform(0, 1, size).tolist(),
        "chance_to_explain": rng.uniform(0, 1, size).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
