"""Sources that answer as they are told, and recordings of them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from runbook.errors import SourceError
from runbook.model import JSON, Answer, Query
from runbook.recording.keys import Header
from runbook.recording.recorder import Recorder
from tests import ROOT

CORE = "Zq7Canary"
HEADER = Header("HighErrorRate", "INC-2026-01-15-01", 1768473600.0, 1768475100.5, {"lookback": "90m"}, {"step": 15})
UP = Query("prometheus", "range", "up", {"start": 0, "end": 60, "step": 15})
PODS = Query("kubernetes", "get", "/api/v1/namespaces/web/pods", {})


class Fake:
    """Answers from a function and counts what it was asked."""

    def __init__(self, answer: Callable[[Query], Answer]) -> None:
        self._answer = answer
        self.asked: Counter[str] = Counter()

    def ask(self, query: Query) -> Answer:
        self.asked[query.text] += 1
        return self._answer(query)


def giving(data: JSON) -> Fake:
    return Fake(lambda query: Answer(query, "complete", data, seconds=0.25))


def refuse(query: Query) -> Answer:
    raise SourceError(f"Kubernetes refused {query.text} (403).", "forbidden")


def record(path: Path | None, **sources: Fake) -> Recorder:
    return Recorder(sources or {"prometheus": giving(["1"]), "kubernetes": giving({"items": []})}, path, HEADER)


def run(script: str, *arguments: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
