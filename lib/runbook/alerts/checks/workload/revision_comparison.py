"""An alert's signal by revision: what the pods of a new revision suffer beyond the others while both serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runbook.alerts.checks.toolkit.series import Floats, grid, pods, ratio
from runbook.alerts.checks.toolkit.signal import Signal
from runbook.investigation.definitions import Answers, Context
from runbook.model import Facts
from runbook.sources.kubernetes.rollouts import Revision

SLACK_SECONDS = 90  # an onset found this much too early still counts as after the rollout
WORSE = 2.0  # times the threshold: what the pods of a revision suffer beyond the others is trouble of their own


@dataclass(frozen=True, kw_only=True)
class Comparison(Facts):
    """A new revision against the others: both in one clause (None: they did not serve together), whether only the new
    one suffers, suffers more, or both suffer alike, and for how many minutes the new one served without trouble first.
    """

    compared: str | None
    only_new: bool
    worse: bool
    alike: bool
    calm_minutes: float


@dataclass(frozen=True)
class Served:
    """The two sums of the signal by (pod, time) over the window, for some pods; 0 where there is none."""

    part: Floats
    whole: Floats

    @property
    def share(self) -> Floats:
        """The signal of all these pods over time."""
        return ratio(self.part.sum(axis=0), self.whole.sum(axis=0))

    @property
    def serves(self) -> NDArray[np.bool_]:
        """When any of these pods served."""
        return np.asarray(self.whole.sum(axis=0) > 0)


def _bad(signal: Signal, value: float) -> float:
    return float(signal.badness(np.asarray(value, dtype=np.float64)))


def _beside(part: Floats, whole: Floats, others: Floats) -> tuple[float, float]:
    """The signal of some pods, and what it would be if they were like the others at the same times; NaN without any."""
    total = float(whole.sum())
    if not total:
        return float("nan"), float("nan")
    return float(part.sum()) / total, float((whole * others).sum()) / total


def by_revision(c: Context, answers: Answers, revisions: Sequence[Revision]) -> dict[int, Served]:
    """A pod belongs to the revision whose ReplicaSet its name begins with."""
    if answers["part by pod"].completeness == "failed":
        return {}  # nothing known is not none
    part, whole = pods(c, answers["part by pod"]), pods(c, answers["whole by pod"])
    found: dict[int, Served] = {}
    for revision in revisions:
        own = [pod for pod in whole if pod.startswith(f"{revision.replicaset}-")]
        if own:
            none = np.zeros_like(grid(c))
            found[revision.number] = Served(
                np.nan_to_num([part.get(pod, none) for pod in own]), np.nan_to_num([whole[pod] for pod in own])
            )
    return found


def compare(
    c: Context, served: Mapping[int, Served], rollout: Revision | None, onset: float | None, *, signal: Signal
) -> Comparison:
    """The signal in the pods of the new revision against the others while both serve."""
    if rollout is None or rollout.number not in served or onset is None:
        return Comparison(compared=None, only_new=False, worse=False, alike=False, calm_minutes=0.0)
    times, new = grid(c), served[rollout.number]
    threshold, newest = _bad(signal, signal.threshold(c.service)), np.nan_to_num(signal.badness(new.share))
    others = [one for number_, one in served.items() if number_ != rollout.number]
    none = np.zeros((1, len(times)))
    old = Served(*(np.concatenate([none, *(getattr(one, name) for one in others)]) for name in ("part", "whole")))
    together = new.serves & old.serves
    both = together & (times >= onset)
    if not both.any():  # the others may be gone before an onset that was found late
        both = together & (times >= onset - SLACK_SECONDS) & (newest > threshold)
    part, whole, others_then = new.part[:, both], new.whole[:, both], old.share[both]
    new_share, old_share = _beside(part, whole, others_then)
    each = [_beside(*one, others_then) for one in zip(part, whole, strict=True) if one[1].any()]
    bad, bad_others = _bad(signal, new_share), _bad(signal, old_share)
    beyond = (signal.beyond(_bad(signal, own), _bad(signal, other)) for own, other in each)
    worse = bad_others > threshold and min(beyond) >= WORSE * threshold
    calm = (times < onset - 60) & new.serves & (newest < threshold / 2)
    comparable = np.isfinite(new_share) and np.isfinite(old_share)
    compared = f"its pods {signal.clause(new_share)}, the others {signal.text(old_share)} while both served"
    return Comparison(
        compared=compared if comparable else None,
        only_new=bool(bad > threshold and bad >= 3 * bad_others and bad_others <= threshold),
        worse=bool(worse),
        alike=bool(not worse and bad_others > threshold / 2 and bad_others * 2 >= bad),
        calm_minutes=round(float(calm.sum()) * c.step / 60, 1),
    )
