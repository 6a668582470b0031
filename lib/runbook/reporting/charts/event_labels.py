"""Where the labels of events stand: in rows above the axes, so that none covers data, another one or its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from runbook.model import Event
from runbook.reporting.charts import axes
from runbook.text.escape import plain

ROWS = 3
GAP = 5.0  # points between two labels, and
CLEAR = 2.5  # between a label and a line beside it
CLOSE = 60.0  # events of a kind this many seconds apart share a label,
SHARE = 0.02  # or this part of the axis,
WIDER = (1, 2, 4)  # or more where labels would have to be left out
MOST = 9  # labels that are tried to be placed
TRIES = 600
LONGEST = 40  # characters of a label
DAYS = 129_600  # seconds of an axis from which on a label says its day too
IMPORTANT = ("onset", "alert", "mitigation", "rollout", "restart")

Side = Literal["right", "left"]


@dataclass(frozen=True)
class Mark:
    """A placed label: row 0 is the lowest one above the axes; it stands beside the line of the event at `time`."""

    text: str
    kind: str
    time: float
    row: int
    side: Side


@dataclass(frozen=True)
class _Group:
    """Events of one kind that share a label, in time order."""

    kind: str
    times: tuple[float, ...]
    text: str

    @property
    def rank(self) -> tuple[int, float]:
        return IMPORTANT.index(self.kind), self.times[0]


@dataclass(frozen=True)
class _Box:
    line: float
    left: float
    right: float
    row: int
    side: Side

    def clashes(self, other: _Box) -> bool:
        """Whether the two overlap, or the line of one passes through the label of the other."""
        if self.row == other.row and self.left < other.right + GAP and other.left < self.right + GAP:
            return True
        return self._crossed_by(other) or other._crossed_by(self)

    def _crossed_by(self, other: _Box) -> bool:
        return other.row >= self.row and self.left - CLEAR < other.line < self.right + CLEAR


def place(
    events: Sequence[Event],
    ends: tuple[float, float],
    *,
    wide: float,
    paper: tuple[float, float],
    width: Callable[[str], float],
) -> tuple[tuple[Mark, ...], int]:
    """Labels in as few rows as they need, and how many events had to stay without one.

    The axis between its `ends` (epoch seconds) is `wide` points long; labels stay on the paper, whose ends are
    given relative to the axis; `width` is a text's length in points.
    """
    first, last = ends
    within = sorted((e for e in events if first <= e.time <= last), key=lambda e: (e.time, e.kind, e.label))
    results: list[tuple[int, tuple[Mark, ...]]] = []
    for wider in WIDER:
        grouped = _groups(within, wider * max(CLOSE, SHARE * (last - first)), last - first)
        placed = _placed(grouped, lambda time: (time - first) / (last - first) * wide, width, paper)
        labelled = sum(len(group.times) for group, _ in placed)
        results.append((len(events) - labelled, tuple(_mark(group, box) for group, box in placed)))
        if labelled == len(within):
            break
    unmarked, chosen = min(results, key=lambda result: result[0])
    return chosen, unmarked


def _mark(group: _Group, box: _Box) -> Mark:
    return Mark(group.text, group.kind, group.times[0] if box.side == "right" else group.times[-1], box.row, box.side)


def _groups(events: Sequence[Event], near: float, span: float) -> list[_Group]:
    runs: dict[str, list[list[Event]]] = {}
    for event in events:
        same = runs.setdefault(event.kind, [[event]])
        if event is same[-1][-1]:
            continue
        if event.time - same[-1][-1].time <= near:
            same[-1].append(event)
        else:
            same.append([event])
    return [_Group(kind, tuple(e.time for e in run), _text(run, span)) for kind, same in runs.items() for run in same]


def _text(run: Sequence[Event], span: float) -> str:
    """ "10:40 onset", "10:41 6× restart", "10:31–10:52 4 rollouts"."""
    names = list(dict.fromkeys(plain(event.label, LONGEST) for event in run))
    if len(names) == 1:
        said = f"{len(run)}× {names[0]}" if len(run) > 1 else names[0]
    elif len(run) == 2 and len("".join(names)) < LONGEST:
        said = ", ".join(names)
    else:
        said = f"{len(run)} {run[0].kind}s"
    if re.search(r"\d\d:\d\d", said):
        return said
    a, b = (axes.clock(event.time, day=span > DAYS) for event in (run[0], run[-1]))
    return f"{a} {said}" if a == b else f"{a}–{b} {said}"


def _placed(
    groups: Sequence[_Group], at: Callable[[float], float], width: Callable[[str], float], paper: tuple[float, float]
) -> list[tuple[_Group, _Box]]:
    """As many groups as can be placed, the less important and later ones left out first."""
    kept = sorted(groups, key=lambda group: group.rank)[:MOST]
    while kept:
        ordered = sorted(kept, key=lambda group: (group.times[0], group.rank, group.text))
        options = [_options(group, at, width(group.text), paper) for group in ordered]
        for rows in range(1, ROWS + 1):
            chosen = _search([[box for box in boxes if box.row < rows] for boxes in options])
            if chosen is not None:
                return list(zip(ordered, chosen, strict=True))
        kept.pop()
    return []


def _options(group: _Group, at: Callable[[float], float], size: float, paper: tuple[float, float]) -> list[_Box]:
    """Either side of the line in every row, as far as the label fits on the paper."""
    first, last = at(group.times[0]), at(group.times[-1])
    found: list[_Box] = []
    for row in range(ROWS):
        found.append(_Box(first, first + CLEAR, first + CLEAR + size, row, "right"))
        found.append(_Box(last, last - CLEAR - size, last - CLEAR, row, "left"))
    return [box for box in found if paper[0] <= box.left and box.right <= paper[1]]


def _search(options: Sequence[Sequence[_Box]]) -> list[_Box] | None:
    """One option of each so that none clash; None where there is none, or finding it takes too long."""
    left = TRIES

    def extend(chosen: list[_Box]) -> list[_Box] | None:
        nonlocal left
        if len(chosen) == len(options):
            return chosen
        for box in options[len(chosen)]:
            left -= 1
            if left < 0:
                return None
            if not any(box.clashes(other) for other in chosen):
                found = extend([*chosen, box])
                if found is not None:
                    return found
        return None

    return extend([])
