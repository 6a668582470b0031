"""Keeping attackers out: close the accounts they got into, limit the attempts, block the addresses that were found."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from runbook.alerts.checks.logins import addresses, takeover
from runbook.alerts.checks.logins.addresses import is_address
from runbook.alerts.mitigations.commands import Command, by_hand, change, kubectl
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.text.escape import plain_text

BLOCKED = 5  # addresses that are blocked by a ready command each


@plan(addresses.Facts, may_read=(takeover.Facts,))
def keep_out(c: Context, results: Results) -> Planned:
    """Close the accounts that were taken over, limit everybody's attempts, and block exactly the addresses found."""
    found = results.facts(addresses.Facts)
    loud = [one.address for one in found.loud] if found else []
    taken = results.facts(takeover.Facts, optional=True)
    return "Keep the attackers out", (
        *_close_accounts(c, taken),
        _limit_rate(c),
        *_block(c, [*(taken.addresses if taken else ()), *loud]),
    )


@plan(may_read=(takeover.Facts,))
def withstand(c: Context, results: Results) -> Planned:
    """Too many addresses to block: limits per account and in total, and an additional check."""
    taken = results.facts(takeover.Facts, optional=True)
    return "Limit an attack from many addresses", (
        *_close_accounts(c, taken),
        _limit_rate(c),
        by_hand(
            c,
            "Require an additional check (a second factor, a captcha) at the login, and lock an account for some "
            "minutes after five failures.",
            precondition="the login supports it",
            risk="users who mistype are locked out for these minutes; attackers may lock others out",
            undo="switch it off again",
        ),
        *_block(c, taken.addresses if taken else ()),
        by_hand(
            c,
            "Have the provider or the web application firewall filter the attack by its pattern (networks, user agent, "
            "path).",
            precondition="security agrees",
            risk="some real users are refused",
            undo="remove the filter",
        ),
    )


def _close_accounts(c: Context, taken: takeover.Facts | None) -> tuple[Step, ...]:
    """For the accounts that were taken over; none where none was."""
    names = ", ".join(plain_text(name, 40) for name in (taken.accounts if taken else ()))
    if not names:
        return ()
    return (
        by_hand(
            c,
            f"With security: end the sessions of {names}, lock the accounts, and check what they did since the onset.",
            precondition="security was called",
            risk="the real users cannot log in until they have a new password",
            undo="unlock the account once its user has a new password",
            watch="Nobody logs in to these accounts any more.",
        ),
    )


def _limit_rate(c: Context) -> Step:
    return by_hand(
        c,
        f"Switch on rate limiting for {c.service.login_path} at the proxy: a few attempts per minute, per address and "
        "per account.",
        precondition="the proxy sees the client's own address",
        risk="users who share one address (an office) may be refused for a while",
        undo="switch it off again",
    )


def _block(c: Context, found: Iterable[JSON]) -> tuple[Step, ...]:
    """A ready command for each address, as in the procedure; only what is an address gets into one."""
    known = [one for one in dict.fromkeys(found) if is_address(one)]
    return tuple(_blocked(c, address) for address in known[:BLOCKED])


def _blocked(c: Context, address: str) -> Step:
    known = str(ip_address(address))
    not_ours = f"{known} is not one of our own addresses (an office, a proxy, a health check)"
    ends = f"No new log message names {known}."
    if not c.service.proxy_deployment:
        return by_hand(
            c,
            f"Block {known} at the proxy.",
            precondition=f"{not_ours}; the profile does not name the proxy's deployment",
            risk="everybody behind this address is cut off",
            undo=f"unblock {known}",
            watch=ends,
        )
    proxy, table = f"deployment/{c.service.proxy_deployment}", "ip6tables" if ":" in known else "iptables"

    def rule(action: str) -> Command:
        return kubectl(c, "exec", proxy, "--", table, action, "INPUT", "-s", known, "-j", "DROP")

    return change(
        c,
        rule("-A"),
        precondition=(
            f"{not_ours}; the proxy sees the client's own address and may change its rules; "
            "this reaches one pod of the proxy: repeat it for each"
        ),
        risk="everybody behind this address is cut off; the rule is lost when the proxy's pod restarts",
        undo=rule("-D"),
        watch=ends,
    )
