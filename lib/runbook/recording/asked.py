"""What the log says of a question and its answer: never the data, nor the question itself, which its key tells."""

from __future__ import annotations

import logging

from runbook.model import Answer

KEY_DIGITS = 12


def log(logger: logging.Logger, answer: Answer) -> None:
    """Source, kind, the key's first digits, how complete, how long, and the error if any."""
    query = answer.query
    logger.log(
        logging.WARNING if answer.completeness == "failed" else logging.INFO,
        "%s %s %s: %s after %.2f s%s",
        query.source,
        query.kind,
        query.key[:KEY_DIGITS],
        answer.completeness,
        answer.seconds,
        "".join(f"; {said}" for said in (answer.error, *answer.warnings) if said),
    )
