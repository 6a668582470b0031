"""Which accounts are aimed at: one, a few, or a long list?"""

from __future__ import annotations

from collections.abc import Mapping

from runbook.alerts.base import Answers, Check, Context, Results
from runbook.alerts.checks import failed_by
from runbook.model import JSON, Query, Result
from runbook.wording import plain_text, plural, share_text

FEW_SHARE = 0.5


def _queries(c: Context) -> Mapping[str, Query]:
    return failed_by.queries(c, c.service.username_field)


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    if gap := failed_by.gap(c, answers, earlier):
        return Result("unknown", f"Not known: {gap}")
    found = failed_by.spread(c, answers)
    if not found.top:
        field = c.service.username_field
        return Result("unknown", f"Not known: failed logins are logged without the account, or not in “{field}”.")
    facts: dict[str, JSON] = {
        "distinct": found.distinct,
        "loud": [value for value, _ in found.loud],
        "loud_share": round(found.loud_share, 3),
        "few": found.grown and found.loud_share >= FEW_SHARE,
    }
    return Result(
        "abnormal" if facts["few"] else "normal",
        _sentence(found),
        facts,
        tables=(found.table("failed-by-account", "Account"),),
    )


def _sentence(found: failed_by.Spread) -> str:
    known = plural(found.distinct, "account") if found.distinct is not None else "an unknown number of accounts"
    if not found.loud:
        return f"{known[0].upper()}{known[1:]}, none of them more than others; {plural(found.total, 'failed login')} logged."
    names = ", ".join(plain_text(value, 40) for value, _ in found.loud[:3])
    rest = f" and {len(found.loud) - 3} more" if len(found.loud) > 3 else ""
    return f"{share_text(found.loud_share)} of the failed logins are aimed at {names}{rest}, of {known}."


CHECK = Check("accounts", "Which accounts are aimed at?", _queries, _judge)
