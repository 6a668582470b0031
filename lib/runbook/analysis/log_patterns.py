"""Log messages by their pattern: what was said before the onset, what is said since, and what is new.

A slot is a part of a message that may vary: a token holding a digit, a quoted string, the value of key=value.
Messages equal but for their slots form a family, and in it each slot is judged: a parameter becomes <*>, a
constant or one of few categories stays. Bare words become <*> only where many of them stand in one place of
otherwise equal patterns. All decisions are made over the whole set, so the order of the lines does not matter;
the work is linear in the number of lines, and of each line only the first LINE characters are read.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

from runbook.text.escape import plain_text, shortened

LINE = 1000  # characters of a message that make its pattern
SHOWN = 200  # characters of a pattern that are shown
TOKENS = 100  # tokens of a message that make its pattern
MANY_VALUES, MANY_WORDS = 6, 10  # so many different ones in one place are no categories any more
WILD = "<*>"
SLACK = 90.0  # the onset is known to about this many seconds: what came just before it is not held against "new"
ALMOST_NONE = 0.05  # of the rate since the onset
RELEVANT = 0.01  # of all messages since the onset
CHANCE = 0.02  # how probable the silence before may be, were the rate the same as since

Message = tuple[float, str, float]
Pattern = tuple[str, ...]

_QUOTED = r"""(?<![\w"'`])(?:"[^"]{0,200}"|'[^']{0,200}'|`[^`]{0,200}`)(?!\w)"""
_IDENTITY = (
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"  # UUID
    r"|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)?"  # date, time
    r"|\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\b"  # time of day
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?\b"  # IPv4, its net or port
    r"|\[?(?<![\w:])(?=[a-fA-F:]{0,30}\d)(?:(?:[0-9a-fA-F]{1,4}:){3,7}|(?:[0-9a-fA-F]{1,4}:){0,6}:)"  # IPv6,
    r"[0-9a-fA-F:]{0,30}(?:%\w{1,20})?\]?(?::\d{1,5}\b)?"  # its end, zone and port
    r"|\b0[xX][0-9a-fA-F]+\b"
    r"|\b(?=[a-fA-F]{0,40}\d)[0-9a-fA-F]{8,64}\b"  # long hexadecimal
    r"|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"  # e-mail
    r"|(?<![\w.])[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?"  # number,
    r"(?:ns|us|µs|ms|s|m|h|d|[kKMGT]?i?B|%)?(?![\w.]*\w)"  # duration, size
)
_TOKEN = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?P<identity>{_IDENTITY})|(?P<word>[^\W_]+(?:[_.'’-]?[^\W_]+)*)"
    r"|(?P<wild><\*>)|(?P<other>\s|[\W_])"
)
_LIST = re.compile(r"<\*>(?:[\s,.:;/|x_-]{0,3}<\*>)+")
_DIGIT = re.compile(r"\d")
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")


@dataclass(frozen=True)
class Template:
    """One message pattern. `before`, `since` are weighted counts around the onset (all are `since` without one);
    `heard` is what of `before` came surely before it; `first_seen` is in epoch seconds; `new`:
    (almost) never seen before the onset.
    """

    pattern: str
    before: float
    since: float
    first_seen: float
    new: bool
    heard: float = 0.0


@dataclass(frozen=True)
class _Token:
    """A piece of a message; `slot` says in which way it may vary: "" not, "always", "kept" if it is constant."""

    text: str
    slot: str = ""


def group(messages: Sequence[Message], onset: float | None) -> tuple[Template, ...]:
    """Patterns of (time, message, weight), most frequent since the onset first.

    The weight is how many messages each one stands for in a sample. What is counted as before and since is taken
    to cover the time from the first message to the onset and from the onset to the last one.
    """
    ordered = sorted(messages, key=lambda m: (m[0], m[1], m[2]))
    by_text = _patterns({text for _, text, _ in ordered}, Counter(text for _, text, _ in ordered))
    members: dict[str, list[Message]] = defaultdict(list)
    for message in ordered:
        members[by_text[message[1]]].append(message)
    exposure = _Exposure.of(ordered, onset)
    found = (_template(pattern, own, exposure) for pattern, own in members.items())
    return tuple(sorted(found, key=lambda t: (-t.since, -t.before, t.pattern)))


@dataclass(frozen=True)
class _Exposure:
    """For how long we listened on either side of the onset, and how closely: 1 message in `weight` before it."""

    onset: float | None
    before: float
    since: float
    weight: float
    total_since: float

    @classmethod
    def of(cls, ordered: Sequence[Message], onset: float | None) -> _Exposure:
        if onset is None or not ordered:
            return cls(None, 0.0, 0.0, 1.0, 0.0)
        earlier = [w for t, _, w in ordered if t < onset - SLACK]
        weight = sum(earlier) / len(earlier) if earlier else 1.0
        since = sum(w for t, _, w in ordered if t >= onset)
        return cls(onset, max(0.0, onset - SLACK - ordered[0][0]), max(1.0, ordered[-1][0] - onset), weight, since)


def _template(pattern: str, own: Sequence[Message], exposure: _Exposure) -> Template:
    onset = exposure.onset
    before = sum(w for t, _, w in own if onset is not None and t < onset)
    since = sum(w for t, _, w in own if onset is None or t >= onset)
    heard = sum(w for t, _, w in own if onset is not None and t < onset - SLACK)
    return Template(pattern, before, since, own[0][0], _new(own, since, exposure), heard)


def _new(own: Sequence[Message], since: float, exposure: _Exposure) -> bool:
    """Whether the pattern matters since the onset, and its (almost) silence before is neither chance nor sampling."""
    if exposure.onset is None or since < max(3.0, RELEVANT * exposure.total_since):
        return False
    earlier = [w for t, _, w in own if t < exposure.onset - SLACK]
    if exposure.before <= 0:
        return not earlier
    expected = since / exposure.since * exposure.before  # before, had the rate been the same as since
    return sum(earlier) <= ALMOST_NONE * expected and _at_most(len(earlier), expected / exposure.weight) < CHANCE


def _at_most(count: int, expected: float) -> float:
    """Poisson probability of at most `count` when `expected` were to be expected."""
    term = total = exp(-expected)
    for k in range(1, count + 1):
        term *= expected / k
        total += term
    return min(1.0, total)


def _patterns(texts: Iterable[str], counts: Counter[str]) -> dict[str, str]:
    """The pattern of every distinct message."""
    families: dict[Pattern, list[tuple[str, list[_Token]]]] = defaultdict(list)
    for text in sorted(texts):
        tokens = _tokens(text)
        families[tuple(WILD if t.slot else t.text for t in tokens)].append((text, tokens))
    found: dict[str, Pattern] = {}
    for family in families.values():
        found.update(_settle(family, counts))
    weights: Counter[Pattern] = Counter()
    for text, pattern in found.items():
        weights[pattern] += counts[text]
    merged = _merge_words(weights)
    return {text: _shown(merged[pattern]) for text, pattern in found.items()}


def _tokens(text: str) -> list[_Token]:
    """A message in pieces: identities always vary, quoted strings, values and words with a digit may."""
    found: list[_Token] = []
    for match in _TOKEN.finditer(_line(text)):
        piece, kind = match.group(), match.lastgroup
        value = bool(found) and found[-1].text == "="
        if kind in ("identity", "wild"):
            found.append(_Token(piece, "always"))
        elif kind == "quoted":
            found += [_Token(piece[0]), _Token(piece[1:-1], "kept"), _Token(piece[-1])]
        elif kind == "word" and (value or _DIGIT.search(piece)):
            found.append(_Token(piece, "kept" if value or not piece[0].isdigit() else "always"))
        else:
            found.append(_Token(piece))
        if len(found) >= TOKENS:
            break
    return found


def _line(text: str) -> str:
    """The beginning of a message in one visible line."""
    return plain_text(_COLOURS.sub("", text[: 2 * LINE]), LINE)


def _settle(family: Sequence[tuple[str, list[_Token]]], counts: Counter[str]) -> dict[str, Pattern]:
    """The patterns of messages that are equal but for their slots."""
    total = sum(counts[text] for text, _ in family)
    wild: set[int] = set()
    for place, token in enumerate(family[0][1]):
        if token.slot:
            values = {tokens[place].text for _, tokens in family}
            if any(tokens[place].slot == "always" for _, tokens in family) or _parameter(values, total):
                wild.add(place)
    return {
        text: tuple(WILD if place in wild else token.text for place, token in enumerate(tokens))
        for text, tokens in family
    }


def _parameter(values: set[str], total: int) -> bool:
    """Many different values are a parameter, few are categories; with a digit in them, any two are."""
    if any(_DIGIT.search(value) for value in values):
        return len(values) > 1 or total < 3
    return len(values) >= min(MANY_VALUES, max(4, total // 5))


def _merge_words(weights: Counter[Pattern]) -> dict[Pattern, Pattern]:
    """Patterns that differ in one word only become one, where that word takes many values."""
    now = {pattern: pattern for pattern in weights}
    for _ in range(3):
        current: Counter[Pattern] = Counter()
        for pattern, merged in now.items():
            current[merged] += weights[pattern]
        step = _merge_once(current)
        if not step:
            break
        now = {pattern: step.get(merged, merged) for pattern, merged in now.items()}
    return now


def _merge_once(weights: Counter[Pattern]) -> dict[Pattern, Pattern]:
    """One round: for every place of every pattern, the patterns equal but for it."""
    buckets: dict[tuple[int, int, int], list[Pattern]] = defaultdict(list)
    ids: dict[tuple[int, str], int] = {}
    for pattern in sorted(weights):
        heads, tails = _ids(pattern, ids), _ids(pattern[::-1], ids)
        words = sum(1 for token in pattern if token[:1].isalpha())
        for place, token in enumerate(pattern):
            if token[:1].isalpha() and words >= 3:
                buckets[place, heads[place], tails[len(pattern) - 1 - place]].append(pattern)
    merged: dict[Pattern, Pattern] = {}
    for (place, _, _), alike in buckets.items():
        total = sum(weights[pattern] for pattern in alike)
        if len(alike) >= min(MANY_WORDS, max(5, total // 5)):
            for pattern in alike:
                merged.setdefault(pattern, (*pattern[:place], WILD, *pattern[place + 1 :]))
    return merged


def _ids(tokens: Pattern, ids: dict[tuple[int, str], int]) -> list[int]:
    """A number for every beginning of the tokens; equal beginnings have equal numbers."""
    found = [0]
    for token in tokens:
        found.append(ids.setdefault((found[-1], token), len(ids) + 1))
    return found


def _shown(pattern: Pattern) -> str:
    return shortened(_LIST.sub(WILD, "".join(pattern)), SHOWN)
