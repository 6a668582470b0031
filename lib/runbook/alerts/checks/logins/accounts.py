"""Which accounts are aimed at: one, a few, or a long list?"""

from __future__ import annotations

from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.logins import failures_by_field
from runbook.model import Result
from runbook.text.format import plain_text, plural, share_text

FEW_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    distinct: TODO
    loud: TODO
    loud_share: TODO
    few: TODO


def _judge(found: failures_by_field.Spread) -> Result:
    facts = Facts(
        distinct=found.distinct,
        loud=[value for value, _ in found.loud],
        loud_share=round(found.loud_share, 3),
        few=found.grown and found.loud_share >= FEW_SHARE,
    )
    return Result(
        "abnormal" if facts.few else "normal",
        _sentence(found),
        facts,
        tables=(found.table("failed-by-account", "Account"),),
    )


def _sentence(found: failures_by_field.Spread) -> str:
    known = plural(found.distinct, "account") if found.distinct is not None else "an unknown number of accounts"
    if not found.loud:
        return f"{known[0].upper()}{known[1:]}, none of them more than others; {plural(found.total, 'failed login')} logged."
    names = ", ".join(plain_text(value, 40) for value, _ in found.loud[:3])
    rest = f" and {len(found.loud) - 3} more" if len(found.loud) > 3 else ""
    return f"{share_text(found.loud_share)} of the failed logins are aimed at {names}{rest}, of {known}."


CHECK = failures_by_field.check(
    "accounts", "Which accounts are aimed at?", "account", lambda service: service.username_field, _judge
)
