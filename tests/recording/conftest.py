"""A recording to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recording.recorded import PODS, UP, record


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A recording of two answers."""
    path = tmp_path / "recording.jsonl.gz"
    with record(path) as recorder:
        recorder.ask(UP)
        recorder.ask(PODS)
    return path
