"""Get what the lab's servers need: `python -m tests.lab.setup`, all of it, or the parts named by options.

A second call finds everything there and only says so. Parts do not depend on each other: one that fails is told in
one sentence, the others are made, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.servers import builds, debian, jvm
from tests.lab.servers.cache import LabError


def packages() -> str:
    """Debian's packages."""
    missing = debian.missing_packages()
    if missing:
        print(f"Installing {' '.join(missing)} ...", flush=True)
        debian.install(missing)
    return f"the programs {', '.join(debian.PROGRAMS)}"


def elasticsearch() -> str:
    """The jars, our launcher, and a start from trained classes."""
    jvm.java()
    built = _build(builds.elasticsearch_destination(), builds.build_elasticsearch, "half a minute")
    trained = _build(jvm.aot_directory(built), _train, "half a minute")
    return f"{built} and {trained.name}"


def kubernetes() -> str:
    """The one binary."""
    return str(
        _build(builds.kubernetes_destination(), builds.build_kubernetes, "8 to 11 minutes on two cores the first time")
    )


def prometheus3() -> str:
    """The second Prometheus."""
    return str(
        _build(builds.prometheus3_destination(), builds.build_prometheus3, "9 minutes on two cores the first time")
    )


def backfill() -> str:
    """The program that puts a past into Prometheus."""
    return str(
        _build(builds.backfill_destination(), builds.build_backfill, "a second after Prometheus 3, minutes without it")
    )


PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part for part in (packages, elasticsearch, kubernetes, prometheus3, backfill)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the parts asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.setup", description="Get what the lab's servers need.")
    for name, part in PARTS.items():
        parser.add_argument(f"--{name}", action="store_true", help=f"only this: {part.__doc__}")
    asked = vars(parser.parse_args(arguments))
    chosen = [name for name in PARTS if asked[name]] or list(PARTS)
    made = [_made(name) for name in chosen]
    return 0 if all(made) else 1


def _made(name: str) -> bool:
    started = time.monotonic()
    try:
        what = PARTS[name]()
    except LabError as failure:
        print(f"{name}: failed: {failure}", flush=True)
        return False
    print(f"{name}: ready in {time.monotonic() - started:.1f} s: {what}", flush=True)
    return True


def _build(destination: Path, build: Callable[[Path], None], duration: str) -> Path:
    if not destination.exists():
        print(f"Building {destination} ({duration}) ...", flush=True)
        build(destination)
    return destination


def _train(destination: Path) -> None:
    from tests.lab.servers.training import (
        train,  # Elasticsearch's client takes a second to import, and is needed here only
    )

    train(destination)


if __name__ == "__main__":
    raise SystemExit(main())
