"""Which instances are down, since when, and which are up?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook import model
from runbook.alerts.checks.toolkit.series import Floats, grid, metric, over_window
from runbook.alerts.checks.workload.instances_down_count import FOR_SECONDS, held, left
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Query, Result, Table
from runbook.sources.probe import network
from runbook.sources.prometheus.client import matrix
from runbook.text.escape import plain_text
from runbook.text.format import plural
from runbook.text.time import clock_text, duration_text

SHOWN, NAMED = 12, 3


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The instances by name, as their pods are named: those `down` since the alert or later, those of them that are
    still down `now` or were `never_up`, and those that are `up` at the end of the window; `all` is how many there are.

    `since` is when the first went down and `left` when the last stopped being a target of Prometheus, in epoch seconds;
    None where none did. `port` is where Prometheus scrapes most of them; None where no address has a port.
    """

    all: int
    down: tuple[str, ...]
    now: tuple[str, ...]
    never_up: tuple[str, ...]
    up: tuple[str, ...]
    left: float | None
    since: float | None
    port: int | None


@dataclass(frozen=True)
class Instance:
    """One target of Prometheus: 1 where at least one scrape of the last minute succeeded, 0 where none did.

    `name` is its pod's, or the instance's address where it has no pod.
    """

    name: str
    address: str
    up: Floats


@dataclass(frozen=True)
class Outage:
    """One instance that went down or stopped being a target: `since` when (to the step), and its `state` now."""

    instance: Instance
    since: float
    never_up: bool
    state: str


def _queries(c: Context) -> Mapping[str, Query]:
    by = f"{c.service.pod_label}, {c.service.instance_label}"
    up = f"max_over_time({metric(c.service, 'up')}[{held(c.service)}s])"
    return {"up": over_window(c, f"max by ({by}) ({up})")}


def _instances(c: Context, answer: Answer) -> list[Instance]:
    known = matrix(answer)
    found = []
    for labels, row in zip(known.labels, known.values, strict=True):
        address = labels.get(c.service.instance_label, "")
        found.append(Instance(labels.get(c.service.pod_label) or address or "?", address, row))
    return sorted(found, key=lambda one: (one.name, one.address))


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    every = _instances(c, answers["up"])
    firing = grid(c) >= c.started_at - c.for_seconds
    all_left = left(c, np.fmax.reduce([one.up for one in every])) if every else None
    outages = sorted(
        (outage for one in every if (outage := _outage(c, one, firing) or _left(c, one, all_left))),
        key=lambda outage: (outage.since, outage.instance.name),
    )
    together = np.sum([~np.isnan(one.up[firing]) for one in every], axis=0)
    up = [one for one in every if _last_known(c, one) == 1]
    ports = [place.port for one in every if (place := network.place(one.address))]
    facts = Facts(
        all=max(len(outages), int(np.median(together))) if every else 0,
        down=tuple(outage.instance.name for outage in outages),
        now=tuple(outage.instance.name for outage in outages if outage.state == "down"),
        never_up=tuple(outage.instance.name for outage in outages if outage.never_up),
        up=tuple(one.name for one in up),
        left=all_left,
        since=outages[0].since if outages else None,
        port=max(set(ports), key=ports.count) if ports else None,
    )
    rows = tuple(_row(c, outage) for outage in outages[:SHOWN])
    tables = (Table("instances", ("Pod", "Instance", "Down since", "For", "Now"), rows),) if rows else ()
    return Result("abnormal" if outages else "normal", _sentence(c, facts, outages), facts, tables=tables)


def _outage(c: Context, one: Instance, firing: NDArray[np.bool_]) -> Outage | None:
    """Its outage that was under way when the alert fired, or that began later."""
    zeros = np.flatnonzero(firing & (one.up == 0))
    if not len(zeros):
        return None
    ups = np.flatnonzero(one.up[: zeros[0]] == 1)
    first = int(np.flatnonzero(~np.isnan(one.up))[0])
    never_up = not len(ups) and first > 0
    begin = int(ups[-1]) + 1 if len(ups) else first
    late = held(c.service) if len(ups) else 0
    now = _last_known(c, one)
    return Outage(
        one,
        float(grid(c)[begin]) - late,
        never_up,
        "gone" if now is None else "up again" if now else "down",
    )


def _left(c: Context, one: Instance, all_left: float | None) -> Outage | None:
    """The outage of an instance that was up until all instances stopped being targets together."""
    own = left(c, one.up)
    together = own is not None and all_left is not None and all_left - own <= FOR_SECONDS
    return Outage(one, own, False, "no target") if own is not None and together else None


def _last_known(c: Context, one: Instance) -> float | None:
    """Its state at the end of the window; None where it is no longer a target."""
    recent = one.up[grid(c) >= c.end - 2 * c.step]
    known = recent[~np.isnan(recent)]
    return float(known[-1]) if len(known) and not np.isnan(recent[-1]) else None


def _row(c: Context, outage: Outage) -> tuple[str, ...]:
    over = "over " if outage.since <= c.start else ""
    lasting = f"{over}{duration_text(c.end - outage.since)}" if outage.state == "down" else ""
    since = "it was first seen" if outage.never_up else _since(c, outage)
    return outage.instance.name, outage.instance.address, since, lasting, outage.state


def _since(c: Context, outage: Outage) -> str:
    """When it began; an outage from the window's start on began before it."""
    return f"{'before ' if outage.since <= c.start else ''}{clock_text(outage.since, c.started_at)}"


def _sentence(c: Context, facts: Facts, outages: Sequence[Outage]) -> str:
    if not outages:
        return f"None: every minute since the alert, Prometheus reached all of {plural(facts.all, 'instance')}."
    named = ", ".join(_named(c, outage) for outage in outages[:NAMED])
    more = f" and {len(outages) - NAMED} more" if len(outages) > NAMED else ""
    back = len(outages) - len(facts.now)
    if facts.left is not None:
        return f"{len(outages)} of {facts.all}: {named}{more}; Prometheus no longer has any of them as a target."
    again = f" ({back} no longer down)" if back else ""
    rest = (
        "none is up"
        if not facts.up
        else f"{plural(len(facts.up), 'instance')} {'is' if len(facts.up) == 1 else 'are'} up"
    )
    return f"{len(outages)} of {facts.all}{again}: {named}{more}; {rest} now."


def _named(c: Context, outage: Outage) -> str:
    return f"{plain_text(outage.instance.name)} ({'never up' if outage.never_up else f'since {_since(c, outage)}'})"


CHECK = Check("down_instances", "Which instances are down?", Facts, _queries, _judge, requires=("up",))
