"""Where do the failed logins come from: one address, a few, or many? Procedure: terms on the client's address."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from runbook import model
from runbook.alerts.checks.logins import failures_by_field
from runbook.model import JSON, Result
from runbook.text.escape import plain_text
from runbook.text.format import plural, share_text

FEW_SHARE = 0.5  # from this share of all failures on, a few addresses are the source
MANY = 50  # from this many addresses on, of which none stands out, the failures are spread


@dataclass(frozen=True)
class LoudAddress:
    """A client address with far more failed logins than before, and how many."""

    address: str
    failures: int


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Failed logins in the logs since shortly before the alert, their rates per minute since and before, and the client
    addresses that they come from.

    `grown`: far more logins fail than before. `distinct` addresses have failures (None: not known); `top_share` (0..1)
    is that of the address with the most. `loud` have far more failures than before, `loud_share` of all (0..1). `few`:
    these have most of the failures; `many`: unusually many addresses, of which none stands out.
    """

    failures: int
    per_minute: float
    per_minute_before: float
    grown: bool
    distinct: int | None
    top_share: float
    loud: tuple[LoudAddress, ...]
    loud_share: float
    few: bool
    many: bool


def _judge(found: failures_by_field.Spread) -> Result:
    few = found.grown and found.loud_share >= FEW_SHARE
    facts = Facts(
        failures=found.total,
        per_minute=round(found.rate, 1),
        per_minute_before=round(found.rate_before, 1),
        grown=found.grown,
        distinct=found.distinct,
        top_share=round(found.top[0][1] / found.total, 3),
        loud=tuple(LoudAddress(value, count) for value, count in found.loud if is_address(value)),
        loud_share=round(found.loud_share, 3),
        few=few,
        many=found.grown and not found.loud and (found.distinct or 0) >= MANY,
    )
    return Result(
        "abnormal" if found.grown else "normal",
        _sentence(facts, found),
        facts,
        tables=(found.table("failed-by-address", "Client address"),),
    )


def is_address(text: JSON) -> bool:
    """Whether a text is one IP address and nothing else."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return isinstance(text, str) and "%" not in text


def _sentence(facts: Facts, found: failures_by_field.Spread) -> str:
    rates = f"{found.rate:.1f}/min; {found.rate_before:.1f}/min before"
    total = f"{plural(found.total, 'failed login')} logged since shortly before the alert ({rates})"
    known = plural(found.distinct, "address") if found.distinct is not None else "an unknown number of addresses"
    if not found.loud:
        each = f"; none has more than {share_text(facts.top_share)} of them" if found.distinct != 1 else ""
        return f"{total}, from {known}{each}."
    loudest = failures_by_field.first_few([plain_text(value, 60) for value, _ in found.loud])
    return f"{total}, from {known}: {share_text(facts.loud_share)} from {loudest}."


CHECK = failures_by_field.check(
    "addresses",
    "Where do the failures come from?",
    facts=Facts,
    what="address",
    field=lambda service: service.client_ip_field,
    judge=_judge,
)
