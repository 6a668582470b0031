"""`make lab-matrix`: every fault with many seeds on real servers, and how often the right cause comes first.

    python -m tests.lab.scenarios.matrix \\
        [--seeds 100-109] [--alerts SlowResponses] [--faults quiet,bad-release] [--json FILE]

Seeds below 100 are for tuning, those from 100 on for reporting.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runbook.alerts.registry import SHIPPED
from runbook.investigation.result import Investigation
from runbook.text.format import percentile
from tests.lab.faults import FAULTS
from tests.lab.scenarios.investigating import investigate
from tests.lab.scenarios.loading import load
from tests.lab.scenarios.scenario import Scenario, matrix
from tests.lab.servers.lab import Lab
from tests.lab.service.front import Front

REPORTED = range(100, 110)
KNOWN = tuple(name for name, fault in FAULTS.items() if fault.alert in SHIPPED.names)


@dataclass(frozen=True)
class Case:
    """One scenario after its investigation. `onset_error` in seconds, None where none was to be found or was found."""

    alert: str
    fault: str
    seed: int
    expected: tuple[str, ...]
    supported: tuple[str, ...]
    ranked: tuple[str, ...]
    right: bool
    onset_error: float | None
    headline: str
    unknown: tuple[str, ...]
    reasons: tuple[str, ...]


def case(one: Scenario, found: Investigation) -> Case:
    """Compare what was found with what really happened.

    Right: the one true cause is first and supported; of a pair, both are the first two; nothing is supported where
    nothing was wrong.
    """
    supported = tuple(v.cause for v in found.verdicts if v.state == "supported")
    ranked = tuple(v.cause for v in found.verdicts)
    expected = one.fault.causes
    if not expected:
        right = not supported
    elif len(expected) == 1:
        right = supported[:1] == expected
    else:
        right = set(ranked[: len(expected)]) == set(expected)
    onsets = [event.time for event in found.events if event.kind == "onset"]
    error = onsets[0] - one.truth.onset if onsets and one.truth.onset is not None and expected else None
    unknown = tuple(f"{f.check}: {f.result.sentence}" for f in found.unknown)
    reasons = tuple(f"{v.cause} {v.score}: {v.because}" for v in found.verdicts)
    return Case(
        one.fault.alert,
        one.fault.name,
        one.seed,
        expected,
        supported,
        ranked,
        right,
        error,
        found.headline,
        unknown,
        reasons,
    )


def summary(cases: Sequence[Case]) -> dict[str, object]:
    """The figures that the project promises."""
    single = [c for c in cases if len(c.expected) == 1]
    pairs = [c for c in cases if len(c.expected) > 1]
    harmless = [c for c in cases if not c.expected]
    errors = [abs(c.onset_error) for c in cases if c.onset_error is not None]
    return {
        "right cause first and supported": share([c.right for c in single]),
        "both of a pair first": share([c.right for c in pairs]),
        "harmless without a supported cause": share([c.right for c in harmless]),
        "onset found": share([c.onset_error is not None for c in [*single, *pairs]]),
        "onset error, median (s)": round(statistics.median(errors), 1) if errors else None,
        "onset error, 95th percentile (s)": round(percentile(errors, 95), 1) if errors else None,
    }


def share(flags: Sequence[bool]) -> str:
    """ "19 of 20 (95.0 %)"."""
    return f"{sum(flags)} of {len(flags)} ({100 * sum(flags) / len(flags):.1f} %)" if flags else "none run"


def table(cases: Sequence[Case]) -> str:
    """A line per fault: how many are right, and what came first how often."""
    lines = [f"{'fault':34} {'expected':28} right   first supported cause"]
    for fault in dict.fromkeys(c.fault for c in cases):
        of = [c for c in cases if c.fault == fault]
        firsts = Counter(c.supported[0] if c.supported else "none" for c in of)
        told = ", ".join(f"{name} {count}" for name, count in firsts.most_common())
        lines.append(
            f"{fault:34} {' + '.join(of[0].expected) or 'none':28} {sum(c.right for c in of):2}/{len(of):<3}  {told}"
        )
    return "\n".join(lines)


def confusion(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """Of single faults and none: the true cause, and how often which cause was the first supported one."""
    rows: dict[str, Counter[str]] = {}
    for one in (c for c in cases if len(c.expected) <= 1):
        first = one.supported[0] if one.supported else "none"
        rows.setdefault(one.expected[0] if one.expected else "none", Counter())[first] += 1
    return {true: dict(found) for true, found in sorted(rows.items())}


def confusion_table(cases: Sequence[Case]) -> str:
    """The same as text: a row per true cause, a column per cause found."""
    rows = confusion(cases)
    names = sorted({*rows, *(found for row in rows.values() for found in row)}, key=lambda name: (name == "none", name))
    width = max((len(name) for name in names), default=0) + 2
    lines = [f"{'true, then found':18}{''.join(f'{name:>{width}}' for name in names)}"]
    for true in names:
        counts = "".join(f"{rows.get(true, {}).get(found) or '-':>{width}}" for found in names)
        lines.append(f"{true:18}{counts}")
    return "\n".join(lines)


def by_alert(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases of each alert."""
    return {alert: [c for c in cases if c.alert == alert] for alert in dict.fromkeys(c.alert for c in cases)}


def text(cases: Sequence[Case]) -> str:
    """All that there is to say: for each alert and over all."""
    parts: list[str] = []
    for alert, of in by_alert(cases).items():
        parts += [f"== {alert}", table(of), "", confusion_table(of), "", _figures(of), ""]
    return "\n".join([*parts, f"== all {len(cases)}", _figures(cases), wrong(cases)])


def _figures(cases: Sequence[Case]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in summary(cases).items())


def document(cases: Sequence[Case]) -> dict[str, object]:
    """The same for machines."""
    alerts = {name: {"summary": summary(of), "confusion": confusion(of)} for name, of in by_alert(cases).items()}
    return {"summary": summary(cases), "alerts": alerts, "cases": [asdict(c) for c in cases]}


def wrong(cases: Sequence[Case]) -> str:
    """Every wrong case with what was said of it."""
    return "\n".join(_told(c) for c in cases if not c.right)


def _told(c: Case) -> str:
    said = f"expected {c.expected or 'none'}, supported {c.supported or 'none'}; {c.headline}"
    return "\n    ".join([f"wrong: {c.fault} seed {c.seed}: {said}", *c.reasons, *c.unknown])


def run(faults: Sequence[str], seeds: Sequence[int]) -> list[Case]:
    """Start the lab, load every scenario, investigate each."""
    scenarios = matrix(faults, seeds)
    with tempfile.TemporaryDirectory(prefix="lab-matrix-") as folder, Lab(Path(folder)) as lab:
        began = time.monotonic()
        load(lab, scenarios)
        loaded = time.monotonic()
        cases = [case(one, _looked_into(lab, one)) for one in scenarios]
        spent = time.monotonic() - loaded
    print(f"{len(cases)} scenarios: loaded in {loaded - began:.0f} s, investigated in {spent:.0f} s", file=sys.stderr)
    return cases


def _looked_into(lab: Lab, one: Scenario) -> Investigation:
    """With the service's own address, which answers as it did then."""
    with Front(one) as front:
        return investigate(lab, one, front.url)


def main(arguments: Sequence[str]) -> int:
    """Print the table, the figures and the wrong cases."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.scenarios.matrix", description=__doc__)
    parser.add_argument("--seeds", default=f"{REPORTED.start}-{REPORTED.stop - 1}")
    parser.add_argument("--alerts", default="", help="only the faults of these alerts")
    parser.add_argument("--faults", default="", help="only these faults")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition("-")
    alerts, named = options.alerts.split(","), options.faults.split(",")
    chosen = [
        name
        for name in KNOWN
        if (not options.faults or name in named) and (not options.alerts or FAULTS[name].alert in alerts)
    ]
    cases = run(chosen, range(int(first), int(last or first) + 1))
    print(text(cases))
    if options.json:
        options.json.write_text(json.dumps(document(cases), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
