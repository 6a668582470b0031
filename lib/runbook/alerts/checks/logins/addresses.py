"""Where do the failed logins come from: one address, a few, or many? Procedure: terms on the client's address."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from runbook import model
from runbook.alerts.checks.logins import failures_by_field
from runbook.model import JSON, Result
from runbook.text.format import plain_text, plural, share_text

FEW_SHARE = 0.5  # from this share of all failures on, a few addresses make them
MANY, EVEN_SHARE = 50, 0.05  # so many addresses, none of which has more than this share: spread


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    failures: TODO
    per_minute: TODO
    per_minute_before: TODO
    grown: TODO
    distinct: TODO
    top_share: TODO
    loud: TODO
    loud_share: TODO
    few: TODO
    many: TODO


def _judge(found: failures_by_field.Spread) -> Result:
    few = found.grown and found.loud_share >= FEW_SHARE
    facts = Facts(
        failures=found.total,
        per_minute=round(found.rate, 1),
        per_minute_before=round(found.rate_before, 1),
        grown=found.grown,
        distinct=found.distinct,
        top_share=round(found.top[0][1] / found.total, 3),
        loud=[{"address": value, "failures": count} for value, count in found.loud if is_address(value)],
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
    whole = f"{plural(found.total, 'failed login')} logged since shortly before the alert ({found.rate:.1f}/min, before {found.rate_before:.1f}/min)"
    known = plural(found.distinct, "address") if found.distinct is not None else "an unknown number of addresses"
    if not found.loud:
        each = f"; none has more than {share_text(facts.top_share)} of them" if found.distinct != 1 else ""
        return f"{whole}, from {known}{each}."
    loudest = ", ".join(plain_text(value, 60) for value, _ in found.loud[:3])
    rest = f" and {len(found.loud) - 3} more" if len(found.loud) > 3 else ""
    return f"{whole}, from {known}: {share_text(facts.loud_share)} from {loudest}{rest}."


CHECK = failures_by_field.check(
    "addresses", "Where do the failures come from?", "address", lambda service: service.client_ip_field, _judge
)
