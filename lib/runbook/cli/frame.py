"""What a new alert is about, checked, in words and as the text of its module."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runbook.errors import UsageError

FrameKind = Literal["gauge", "counter", "ratio", "quantile", "pod-maximum"]
TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_NAME: Final = re.compile(r"([A-Z][a-z0-9]+){2,6}", re.ASCII)
_METRIC: Final = re.compile(r"[a-z_][a-z0-9_]{0,120}", re.ASCII)
_UNIT: Final = re.compile(r"[\w%][\w% /.]{0,39}")
_TITLES: Final[dict[FrameKind, str]] = {
    "gauge": "{}",
    "counter": "rate of {}",
    "ratio": "{} as a share of {}",
    "quantile": "95th percentile of {}",
    "pod-maximum": "highest {} of a pod",
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A metric of the service, without its prefix, on one side of a limit: of a counter the rate per second, of a ratio
    its share `of` another counter, of a quantile the histogram's name. A ratio's limit is in 0..1.
    """

    name: str
    kind: FrameKind = "gauge"
    metric: str
    of: str = ""
    limit: float
    below: bool = False
    unit: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{self.name[:80]!r} is no name for an alert; write two to six words like QueueTooLong.")
        for metric in (self.metric, *([self.of] if self.of else [])):
            if not _METRIC.fullmatch(metric):
                raise UsageError(
                    f"{metric[:80]!r} is no metric's name; give it without the prefix, as cache_size_bytes."
                )
        if not _UNIT.fullmatch(self.unit):
            raise UsageError(f"{self.unit[:80]!r} is no unit; give a word or two, as connections.")
        if (self.kind == "ratio") != bool(self.of):
            raise UsageError("A ratio, and nothing else, is of a whole; give its counter with --of.")
        if not 0 < self.limit < (1 if self.kind == "ratio" else 1e15):
            most = "between 0 and 1, as 0.05 for 5 %" if self.kind == "ratio" else "a number above 0"
            raise UsageError(f"The limit is {most}; give it with --above or --below.")

    @property
    def module(self) -> str:
        """The module's name, by which the catalogue finds the alert: queue_too_long."""
        return "_".join(word.lower() for word in re.findall(r"[A-Z][a-z0-9]+", self.name))

    @property
    def histogram(self) -> str:
        """A quantile's metric without the ending of its buckets; any other metric."""
        return self.metric.removesuffix("_bucket") if self.kind == "quantile" else self.metric

    @property
    def side(self) -> str:
        """On which side of the limit it fires."""
        return "below" if self.below else "above"

    @property
    def title(self) -> str:
        """What is watched, in words."""
        words = (re.sub(r"_(total|seconds|bytes)$", "", name).replace("_", " ").strip() for name in self._metrics)
        title = _TITLES[self.kind].format(*words)
        return f"{title[:1].upper()}{title[1:]}"

    def source(self) -> str:
        """The text of the module."""
        template = Environment(  # noqa: S701 - Python, not HTML; every value was checked above
            loader=FileSystemLoader(TEMPLATES),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
        ).get_template("alert.py.j2")
        share = self.kind == "ratio"
        unit = self.unit if not share or self.unit.startswith("%") else f"% of {self.unit}"
        return template.render(
            name=self.name,
            kind=self.kind,
            module=self.module,
            metric=self.histogram,
            of=self.of,
            limit=f"{self.limit:.15g}",
            shown=f"{self.limit * 100:.6g} %" if share else f"{self.limit:.15g} {unit}",
            unit=unit,
            side=self.side,
            title=self.title,
        )

    @property
    def _metrics(self) -> tuple[str, ...]:
        return (self.histogram, *([self.of] if self.of else []))
