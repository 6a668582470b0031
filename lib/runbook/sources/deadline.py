"""The deadline that holds for every source alike."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context

from runbook.errors import RunbookError
from runbook.model import Answer, Query, Source, failed
from runbook.text.format import source_text

logger = logging.getLogger(__name__)
LONGEST = 20_000  # characters of a client's error: what is shown is cut after it was redacted


class Deadline:
    """A source that always answers in time: what raises, hangs or trickles becomes a failed answer.

    The question runs on a daemon thread that is left behind when the time is up: no client library here
    bounds the total time of a request (their time-outs start anew with every byte).
    """

    def __init__(self, source: Source, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._seconds, self._clock = source, seconds, clock

    def ask(self, query: Query) -> Answer:
        """The answer, or a failed one saying why there is none; never raises."""
        box: list[Answer] = []
        began = self._clock()
        context = copy_context()  # the log knows by it whose question this is
        worker = threading.Thread(
            target=lambda: box.append(context.run(self._attempt, query)), daemon=True, name=f"ask-{query.source}"
        )
        logger.debug("Asking %s (%s)", query.source, query.kind)
        worker.start()
        worker.join(self._seconds)
        if box:
            return box[0]
        late = (
            f"{source_text(query.source)} did not answer within {self._seconds:g} s; "
            f"check that it is not overloaded, then run again. Query: {query.text[:200]}"
        )
        logger.warning("%s (%s) is given up after %g s", query.source, query.kind, self._seconds)
        return failed(query, late, self._clock() - began)

    def _attempt(self, query: Query) -> Answer:
        began = self._clock()
        try:
            return self._source.ask(query)
        except RunbookError as error:
            return failed(query, str(error), self._clock() - began)
        except Exception as error:  # a client library's own fault must cost its check, never the notebook
            logger.exception("The %s client failed (%s)", query.source, query.kind)
            return failed(
                query,
                f"{source_text(query.source)} client failed ({type(error).__name__}: {str(error)[:LONGEST]}); "
                "run `runbook doctor`.",
                self._clock() - began,
            )
