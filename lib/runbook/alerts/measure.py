"""One value of a service against one threshold: all that an alert needs of it, from its PromQL.

`runbook new` writes alerts on this; one that counts more, or finds its onset otherwise, has a `threshold_check.Level`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from runbook.alerts.checks.requests import endpoint_probes
from runbook.alerts.checks.toolkit import threshold_check
from runbook.alerts.checks.toolkit.series import WINDOW, line, metric, over_window, recent, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import Signal, of_the_rest
from runbook.config.schema import Service, Thresholds
from runbook.investigation.definitions import Check, Recovering
from runbook.investigation.thresholds import Threshold
from runbook.text.format import bytes_text, share_text
from runbook.text.time import duration_text

PromQL = Callable[[Service, str], str]
SHARE = "%"  # the unit of a share begins so: values in 0..1 are shown in per cent


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What an alert watches. `name` is that of the alert's module, and of its first check; `title` the value in words.

    `value(service, window)` is PromQL without a comparison, over a rate window in PromQL ("5m"); a `gauge` has none.
    `part(service, window)` is the same for each series, before it is summed, and `whole` what it is a part of: so
    revisions are compared. Without a `whole`, a sum over all pods is compared by what it would be if all were alike.
    The pods' own threshold is `pods_share` of the alert's.
    """

    name: str
    title: str
    threshold: Threshold
    value: PromQL
    part: PromQL
    whole: PromQL | None = None
    pods_share: float = 1.0
    gauge: bool = False
    below: bool = False

    def limit(self, service: Service) -> float:
        """The service's threshold."""
        return self.threshold.of(service.thresholds)

    def expression(self, service: Service) -> str:
        """The alerting rule's PromQL."""
        return f"{self.value(service, WINDOW)} {'<' if self.below else '>'} {self.limit(service):.15g}"

    def summary(self, thresholds: Thresholds) -> str:
        """E.g. "Queue length is above 10 jobs"."""
        return f"{self.title} is {'below' if self.below else 'above'} {self.text(self.threshold.of(thresholds))}"

    def text(self, value: float) -> str:
        """A value with its unit."""
        unit = self.threshold.unit
        if unit.startswith(SHARE):
            return share_text(value)
        if unit in ("s", "seconds", "bytes"):
            return bytes_text(value) if unit == "bytes" else duration_text(value)
        return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"

    @property
    def check(self) -> Check:
        """Is it real? The alert's first check."""
        words = f"{self.title[0].lower()}{self.title[1:]}"
        return threshold_check.check(
            threshold_check.Level(
                name=self.name,
                facts=threshold_check.Facts,
                title=self.title,
                unit=self.threshold.unit,
                now=f"{words} is {{}}",
                past=f"{words} was {{}}",
                nothing="Prometheus has no value of it since the alert",
                queries=lambda c, window, ago: {"value": over_window(c, self.value(c.service, window), ago)},
                value=lambda answers: line(answers["value"]),
                parts=("value",),
                requires=("value",),
                threshold=self.limit,
                least=lambda service: self.limit(service) / 10,
                noise=self.threshold.default / 50,
                text=self.text,
                scale=self._scale,
                gauge=self.gauge,
                below=self.below,
                find=threshold_check.as_measured,
            )
        )

    @property
    def signal(self) -> Signal:
        """The value by pod, for `changes.watching`."""
        whole = self.whole
        signal = Signal(
            title=self.title,
            unit=self.threshold.unit,
            verb="have",
            of="",
            part=lambda c, window: self.part(c.service, window),
            whole=lambda c, window: whole(c.service, window) if whole else _pods_share(c.service),
            threshold=lambda service: self.limit(service) * self.pods_share,
            text=self.text,
            scale=self._scale,
            drawn=self.pods_share == 1,
            below=self.below,
        )
        if whole is None:
            return replace(signal, verb="alone would make", of="in all")
        return replace(signal, beyond=of_the_rest) if self._is_share and not self.below else signal

    def recovering(self, seconds: int) -> Recovering:
        """Back on the right side of the threshold for so long."""
        return Recovering(
            what=self.title,
            unit=self.threshold.unit,
            seconds=seconds,
            threshold=lambda service: self.limit(service) * self._scale,
            queries=lambda c, end: {"value": since_mitigation(c, self.value(c.service, recent(c)), end)},
            series=lambda c, answers: watched(answers["value"], line(answers["value"]) * self._scale),
            probes=endpoint_probes.queries,
            below=self.below,
        )

    @property
    def _is_share(self) -> bool:
        return self.threshold.unit.startswith(SHARE)

    @property
    def _scale(self) -> float:
        return 100.0 if self._is_share else 1.0


def _pods_share(service: Service) -> str:
    """PromQL: which part of all instances each one is."""
    up = metric(service, "up")
    return f"{up} / scalar(count({up}))"
