"""Where the labels of events stand: in rows above the axes, so that none covers data, another one or its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from runbook.model import Event
from runbook.wording import MONTHS, plain_text

ROWS = 3
GAP = 5.0        # points between two labels, and
CLEAR = 2.5      # between a label and a line that passes it
TOGETHER = 60.0  # events of a kind this many seconds apart share a label
SHARE = 0.02     # ... or this part of the axis
LONGEST = 40     # characters
TRIES = 4000
IMPORTANT = ("onset", "alert", "mitigation", "rollout", "restart")


@dataclass(frozen=True)
class Group:
    """Events of one kind that stand so close that they share a label; times in epoch seconds."""

    kind: str
    times: tuple[float, ...]
    text: str


@dataclass(frozen=True)
class Mark:
    """A placed label: its group, the row above the axes (0 is the lowest), and the side of the line it stands on."""

    group: Group
    row: int
    side: Literal["right", "left"]


@dataclass(frozen=True)
class _Box:
    line: float
    left: float
    right: float
    row: int

    def clashes(self, other: _Box) -> bool:
        """Whether the two overlap, or the line of one passes through the label of the other."""
        if self.row == other.row and self.left < other.right + GAP and other.left < self.right + GAP:
            return True
        return self._crossed_by(other) or other._crossed_by(self)

    def _crossed_by(self, other: _Box) -> bool:
        return other.row >= self.row and self.left - CLEAR < other.line < self.right + CLEAR


def groups(events: Sequence[Event], first: float, last: float) -> tuple[Group, ...]:
    """Events within the axis by kind and closeness, in time order."""
    near = max(TOGETHER, SHARE * (last - first))
    open_groups: dict[str, list[list[Event]]] = {}
    for event in sorted(events, key=lambda e: (e.time, e.kind, e.label)):
        if not first <= event.time <= last:
            continue
        same = open_groups.setdefault(event.kind, [])
        if same and event.time - same[-1][-1].time <= near and event.time - same[-1][0].time <= 3 * near:
            same[-1].append(event)
        else:
            same.append([event])
    found = [_group(members, last - first) for same in open_groups.values() for members in same]
    return tuple(sorted(found, key=lambda g: (g.times[0], IMPORTANT.index(g.kind), g.text)))


def _group(members: Sequence[Event], span: float) -> Group:
    names = list(dict.fromkeys(plain_text(e.label, LONGEST) for e in members))
    if len(members) == 1:
        said = names[0]
    elif len(names) == 1:
        said = f"{len(members)}× {names[0]}"
    elif len(members) == 2:
        said = plain_text(", ".join(names), LONGEST)
    else:
        said = f"{len(members)} {members[0].kind}s"
    if not re.search(r"\d\d:\d\d", said):
        said = f"{_span(members[0].time, members[-1].time, span)} {said}"
    return Group(members[0].kind, tuple(e.time for e in members), said)


def _span(first: float, last: float, span: float) -> str:
    a, b = _clock(first, span), _clock(last, span)
    return a if a == b else f"{a}–{b}"


def _clock(epoch: float, span: float) -> str:
    moment = datetime.fromtimestamp(epoch, UTC)
    day = f"{moment.day} {MONTHS[moment.month - 1][:3]} " if span > 129_600 else ""
    return f"{day}{moment:%H:%M}"


def place(
    found: Sequence[Group], at: Callable[[float], float], width: Callable[[str], float], low: float, high: float
) -> tuple[tuple[Mark, ...], int]:
    """Labels in as few rows as they need, and how many groups had to stay without.

    `at` gives a time's position and `width` a text's length, both in points; labels stay within `low` to `high`.
    """
    kept = sorted(found, key=lambda g: (IMPORTANT.index(g.kind), g.times[0]))
    while kept:
        ordered = sorted(kept, key=lambda g: (g.times[0], IMPORTANT.index(g.kind), g.text))
        boxes = [_candidates(g, at, width, low, high) for g in ordered]
        for rows in range(1, ROWS + 1):
            chosen = _search([[b for b in options if b[0].row < rows] for options in boxes])
            if chosen is not None:
                return tuple(Mark(g, box.row, side) for g, (box, side) in zip(ordered, chosen, strict=True)), len(found) - len(kept)
        kept.pop()
    return (), len(found)


_Option = tuple[_Box, Literal["right", "left"]]


def _candidates(group: Group, at: Callable[[float], float], width: Callable[[str], float], low: float, high: float) -> list[_Option]:
    """Both sides of the line in every row, as far as they fit on the paper."""
    size, found = width(group.text), list[_Option]()
    first, last = at(group.times[0]), at(group.times[-1])
    for row in range(ROWS):
        if first + CLEAR + size <= high:
            found.append((_Box(first, first + CLEAR, first + CLEAR + size, row), "right"))
        if last - CLEAR - size >= low:
            found.append((_Box(last, last - CLEAR - size, last - CLEAR, row), "left"))
    return found


def _search(options: Sequence[Sequence[_Option]]) -> list[_Option] | None:
    """One option of each so that none clash; None where there is none, or finding it takes too long."""
    tries = TRIES

    def extend(chosen: list[_Option]) -> list[_Option] | None:
        nonlocal tries
        if len(chosen) == len(options):
            return chosen
        for option in options[len(chosen)]:
            tries -= 1
            if tries < 0:
                return None
            if not any(option[0].clashes(other[0]) for other in chosen):
                found = extend([*chosen, option])
                if found is not None:
                    return found
        return None

    return extend([])
