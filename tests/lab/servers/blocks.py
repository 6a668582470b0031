"""Puts series of the past into Prometheus' data, by our own program `backfill`, as blocks that 2.x and 3 read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.lab.servers.cache import LabError, backfill_build
from tests.lab.service.openmetrics import Series


class NotBackfilled(LabError):
    """`backfill` ended with an error; the text is what it said."""


def backfill(data: Path, blocks: Iterable[Sequence[Series]]) -> None:
    """Make a block of each; one is written while the next is drawn."""
    command = [str(backfill_build() / "backfill"), str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            for part in (part for block in blocks for part in _parts(block)):
                process.stdin.write(part)
        except BrokenPipeError:
            pass  # it has ended, and says why
        _, said = process.communicate()
    if process.returncode != 0:
        raise NotBackfilled(f"backfill failed ({process.returncode}): {said.decode()}")


def _parts(block: Sequence[Series]) -> Iterator[bytes]:
    """What `backfill` reads: a line that names the series, then the times and values of each."""
    yield json.dumps([{"labels": one.labels, "samples": one.times.size} for one in block]).encode() + b"\n"
    for one in block:
        yield np.rint(one.times * 1000).astype("<i8").tobytes()
        yield one.values.astype("<f8").tobytes()
