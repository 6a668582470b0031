"""Which accounts do the failed logins target: one, a few, or a long list?"""

from __future__ import annotations

from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.logins import failures_by_field
from runbook.model import Result
from runbook.text.escape import plain_text
from runbook.text.format import plural, share_text

FEW_SHARE = 0.5  # from this share of all failures on, a few accounts are the target


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Accounts with failed logins: about how many (None: not known), the names with far more failures than before,
    their share of all failures (0..1), and whether these few have most of them.
    """

    distinct: int | None
    loud: tuple[str, ...]
    loud_share: float
    few: bool


def _judge(found: failures_by_field.Spread) -> Result:
    facts = Facts(
        distinct=found.distinct,
        loud=tuple(value for value, _ in found.loud),
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
        return f"No account stands out among {known} ({plural(found.total, 'failed login')} logged)."
    names = failures_by_field.first_few([plain_text(value, 40) for value, _ in found.loud])
    return f"{share_text(found.loud_share)} of the failed logins target {names} ({known} in all)."


CHECK = failures_by_field.check(
    "accounts",
    "Which accounts are targeted?",
    facts=Facts,
    what="account",
    field=lambda service: service.username_field,
    judge=_judge,
)
