"""docs/investigating.md does what it says."""

from __future__ import annotations

import doctest
import re
from contextlib import chdir

import pytest

from runbook.errors import UsageError
from runbook.incident import Incident
from tests import ROOT

PAGE = ROOT / "docs/investigating.md"


def test_the_page_runs_as_it_stands() -> None:
    """Every example, in their order, gives what the page says."""
    examples = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    with chdir(ROOT):
        result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted >= 10
    assert result.failed == 0, "".join(said)


def test_an_unknown_check_is_answered_with_those_there_are() -> None:
    """One sentence, as for `incident.show`."""
    incident = Incident.replay(ROOT / "notebooks/recordings/HighErrorRate.jsonl.gz")
    with pytest.raises(UsageError, match=r"^HighErrorRate has no check 'trafic'; did you mean traffic\?"):
        incident.frame("trafic")
