"""Run all benches, or those named, and print a table for each."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from tests import bench
from tests.bench.timing import Row

HELPERS = {"__main__", "timing"}


def main(wanted: list[str]) -> int:
    """0, or 2 if there is no bench of a given name."""
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in HELPERS)
    unknown = set(wanted) - set(names)
    if unknown:
        print(f"There is no bench {', '.join(sorted(unknown))}; there are {', '.join(names)}.", file=sys.stderr)
        return 2
    for name in wanted or names:
        module = importlib.import_module(f"tests.bench.{name}")
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            print(table(module.TITLE, module.measure(Path(directory))), flush=True)
    return 0


def table(title: str, rows: list[Row]) -> str:
    """Medians in seconds, and how many times the first row's time each contender takes."""
    width = max(len(row.what) for row in rows)
    lines = [title, f"{'':{width}}  {'median s':>8}  {'fastest':>8}  {'slowest':>8}  {'ratio':>6}"]
    lines += [
        f"{row.what:{width}}  {row.seconds:8.3f}  {row.fastest:8.3f}  {row.slowest:8.3f}  "
        f"{row.seconds / rows[0].seconds:6.1f}"
        for row in rows
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
