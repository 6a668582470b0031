"""A question that gets no answer, and why."""

from __future__ import annotations

import pytest

from runbook.errors import SourceError
from runbook.model import Query, Source


def refused(source: Source, query: Query) -> SourceError:
    """The error of a question that has to fail."""
    with pytest.raises(SourceError) as caught:
        source.ask(query)
    return caught.value
