"""HighAuthFailureRate: more than 20 % of logins fail for five minutes; perhaps an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runbook.alerts.checks.logins import (
    accounts,
    addresses,
    attempts,
    auth_service,
    failures_by_node,
    login_failure_rate,
    rejection_reasons,
    signing_key,
    takeover,
)
from runbook.alerts.checks.logins.rejection_reasons import SAYS
from runbook.alerts.checks.requests import endpoint_probes
from runbook.alerts.checks.toolkit.series import WINDOW, metric, recent, share, since_mitigation, watched
from runbook.alerts.checks.toolkit.signal import FAILED_LOGINS, FAILURE
from runbook.alerts.checks.workload import changes
from runbook.alerts.mitigations.logins import (
    keep_out,
    reach_auth_service,
    renew_tokens,
    restore_key,
    set_clocks,
    withstand,
)
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS, Facts
from runbook.config.schema import Service
from runbook.investigation.definitions import Alert, Answers, Cause, Context, Recovering, Results, Sign
from runbook.model import Query, Series, Verdict
from runbook.sources.probe import http as probe
from runbook.text.format import count_text, duration_text, plural, share_text

ATTACKS = ("brute_force", "spread_attack")


def expression(service: Service) -> str:
    """The alerting rule's PromQL; 0/0 gives no value, so that without attempts nothing fires."""
    failed, every = (metric(service, "auth_attempts_total", *matchers) for matchers in ((FAILURE,), ()))
    return f"sum(rate({failed}[{WINDOW}])) / sum(rate({every}[{WINDOW}])) > {service.thresholds.auth_failure_ratio:g}"


def said(reason: str, least: float = 0.3) -> Callable[[Facts], bool]:
    """Whether the logs give this reason for what is refused beyond the usual."""
    return lambda f: f["told"] and f["shares"][reason] >= least


def telling(reason: str, weight: float = 0.6) -> Sign:
    """The sign that they do."""
    return Sign(
        "rejections",
        weight,
        said(reason),
        lambda f: f"{share_text(f['shares'][reason])} of the additional messages speak of {SAYS[reason]}",
    )


def silent(reason: str, weight: float = 0.8) -> Sign:
    """The sign against a cause that the logs give other reasons instead."""
    return Sign(
        "rejections",
        weight,
        lambda f: f["told"] and f["shares"][reason] < 0.1,
        lambda f: f"hardly a message speaks of {SAYS[reason]}",
    )


def _key_phrase(results: Results) -> str:
    replaced = results["key"].facts.get("replaced") if "key" in results else None
    return f"the JWT key: {replaced} was made anew" if replaced else "the JWT key, which does not verify valid tokens"


def _brute_phrase(results: Results) -> str:
    loud = [one["address"] for one in results["addresses"].facts["loud"]]
    more = f" and {len(loud) - 3} more" if len(loud) > 3 else ""
    return f"guesses of tokens and passwords from {', '.join(loud[:3]) or 'a few addresses'}{more}"


def _clock_phrase(results: Results) -> str:
    node = results["places"].facts["node"]
    return f"the clock of {node}" if node else "a clock that is wrong"


MISSED = Sign(
    "attempts",
    0.2,
    lambda f: f["missed"],
    lambda f: f"{share_text(f['lost'])} of the usual successful logins are missing",
)
ADDED = Sign("attempts", 0.4, lambda f: f["added"], lambda f: f"{f['times']:.1f} times the usual attempts")
ONE_NODE = Sign(
    "places",
    0.8,
    lambda f: f["one_node"],
    lambda f: f"only the pods on {f['node']} refuse",
)

FEW_ADDRESSES = Sign(
    "addresses",
    0.6,
    lambda f: f["few"],
    lambda f: f"{share_text(f['loud_share'])} of the failed logins come from {plural(len(f['loud']), 'address')}",
)

KEY = Cause(
    "key",
    "JWT key or its rotation",
    phrase=_key_phrase,
    plan=restore_key,
    needs=("rejections",),
    decides=(("rejections", "told"),),
    supports=(
        telling("key"),
        Sign(
            "key",
            0.5,
            lambda f: bool(f["replaced"]),
            lambda f: (
                f"{f['replaced']} was made anew {duration_text(abs(f['replaced_before']))} {'before' if f['replaced_before'] >= 0 else 'after'} the onset"
            ),
        ),
        Sign("key", 0.8, lambda f: f["sound"] is False, lambda f: f"the key file holds no public key ({f['form']})"),
        Sign("key", 0.6, lambda f: bool(f["missing"]), lambda f: f"{', '.join(f['missing'])} is missing"),
        MISSED,
    ),
    refutes=(ONLY_NEW_PODS, silent("key")),
)

TOKENS = Cause(
    "tokens",
    "Expired tokens or certificate",
    phrase=lambda results: "tokens, or the issuer's certificate, that have expired",
    plan=renew_tokens,
    needs=("rejections",),
    decides=(("rejections", "told"),),
    supports=(telling("tokens"), MISSED),
    refutes=(ONLY_NEW_PODS, ONE_NODE, silent("tokens")),
)

AUTH_SERVICE = Cause(
    "auth_service",
    "Auth service down or unreachable",
    phrase=lambda results: "the auth service, which does not answer as it should",
    plan=reach_auth_service,
    needs=("auth_service",),
    decides=(("auth_service", "failing"),),
    supports=(
        telling("auth_service", 0.5),
        Sign(
            "auth_service",
            0.5,
            lambda f: f["failing"],
            lambda f: (
                f"{f['per_minute']:.0f} complaints about the auth service a minute, {f['per_minute_before']:.1f} before"
            ),
        ),
        MISSED,
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign("auth_service", 0.6, lambda f: f["failing"] is False, lambda f: "no more complaints about it than before"),
    ),
)

BRUTE_FORCE = Cause(
    "brute_force",
    "Brute force from few addresses",
    phrase=_brute_phrase,
    plan=keep_out,
    needs=("addresses",),
    decides=(("addresses", "few"),),
    supports=(
        FEW_ADDRESSES,
        telling("guesses", 0.3),
        ADDED,
        Sign(
            "accounts",
            0.1,
            lambda f: f["few"],
            lambda f: f"{share_text(f['loud_share'])} are aimed at {plural(len(f['loud']), 'account')}",
        ),
        Sign("takeover", 0.4, lambda f: f["succeeded"], takeover.clause),
    ),
    refutes=(
        Sign("addresses", 0.9, lambda f: not f["few"], lambda f: "no few addresses stand out among the failed logins"),
    ),
)

SPREAD_ATTACK = Cause(
    "spread_attack",
    "Attack spread over many addresses",
    phrase=lambda results: f"guesses from about {count_text(results['addresses'].facts['distinct'])} addresses",
    plan=withstand,
    needs=("addresses",),
    decides=(("addresses", "many"),),
    supports=(
        Sign(
            "addresses",
            0.3,
            lambda f: f["many"],
            lambda f: (
                f"failed logins come from about {count_text(f['distinct'])} addresses, none with more than {share_text(f['top_share'])}"
            ),
        ),
        telling("guesses", 0.4),
        ADDED,
    ),
    refutes=(
        Sign(
            "addresses", 0.9, lambda f: not f["many"], lambda f: "the failed logins are not spread over more addresses"
        ),
        Sign("attempts", 0.5, lambda f: f["added"] is False, lambda f: "no more attempts than before"),
    ),
)

CLOCK = Cause(
    "clock",
    "Clock skew",
    phrase=_clock_phrase,
    plan=set_clocks,
    needs=("places",),
    decides=(("places", "one_node"),),
    supports=(
        telling("clock"),
        Sign(
            "rejections",
            0.2,
            lambda f: f["told"] and f["shares"]["tokens"] >= 0.3,
            lambda f: f"{share_text(f['shares']['tokens'])} speak of expired tokens",
        ),
        Sign("places", 0.6, lambda f: f["one_node"], lambda f: f"only the pods on {f['node']} refuse logins"),
        Sign("places", 0.8, lambda f: bool(f["skewed"]), lambda f: f"the clock of {f['skewed']}"),
    ),
    refutes=(
        Sign("places", 0.4, lambda f: f["alike"], lambda f: "all pods refuse alike"),
        Sign("places", 0.9, lambda f: f["skewed"] == "", lambda f: "the pods' clocks are right"),
        Sign(
            "rejections",
            0.6,
            lambda f: f["told"] and f["shares"]["clock"] + f["shares"]["tokens"] < 0.1,
            lambda f: "no message speaks of times",
        ),
    ),
)


def remark(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Whether to call security: yes with the reason, no with the data for it, or not known and why."""
    found = results["takeover"].facts if results["takeover"].status == "abnormal" else {}
    if found:
        return f"Call security: {takeover.clause(found)}."
    attacks = {v.cause: v for v in verdicts if v.cause in ATTACKS}
    if supported := [v for v in attacks.values() if v.state == "supported"]:
        return f"Call security: this looks like an attack ({supported[0].because.split('; ')[0]})."
    if results["logins"].status == "normal":
        return ""
    if gaps := _gaps(results, verdicts):
        return f"Not known whether it is an attack ({gaps})."
    return "No sign of an attack."


def _gaps(results: Results, verdicts: Sequence[Verdict]) -> str:
    """What would have to be known to exclude an attack; "" where all of it is."""
    untested = [v.because for v in verdicts if v.cause in ATTACKS and v.state == "not tested"]
    if untested:
        return untested[0]
    if results["takeover"].status == "unknown":
        return "whether a guess succeeded is not known"
    return "" if any(v.state == "supported" for v in verdicts) else "no cause found explains the failures"


def _recovery_queries(c: Context, end: float) -> Mapping[str, Query]:
    sums = {"failed": FAILED_LOGINS.part(c, recent(c)), "attempts": FAILED_LOGINS.whole(c, recent(c))}
    return {name: since_mitigation(c, f"sum({text})", end) for name, text in sums.items()}


def _recovery_series(c: Context, answers: Answers) -> Series:
    return watched(answers["attempts"], share(answers["failed"], answers["attempts"]) * 100)


def _probes(c: Context) -> Mapping[str, Query]:
    path = c.service.login_path
    return {**endpoint_probes.queries(c), f"{path} with a valid token": probe.login(path)}


ALERT = Alert(
    name="HighAuthFailureRate",
    summary=lambda limits: f"More than {share_text(limits.auth_failure_ratio)} of logins fail",
    meaning=lambda limits: (
        f"More than {share_text(limits.auth_failure_ratio)} of the attempts to authenticate have failed for at least five minutes."
    ),
    impact="Users cannot log in or are logged out, or somebody tries to get in: until that is excluded it is a security incident.",
    severity="high",
    hold_seconds=300,
    expression=expression,
    checks=(
        login_failure_rate.CHECK,
        attempts.CHECK,
        addresses.CHECK,
        accounts.CHECK,
        takeover.CHECK,
        rejection_reasons.CHECK,
        changes.watching(FAILED_LOGINS),
        failures_by_node.CHECK,
        signing_key.CHECK,
        auth_service.CHECK,
    ),
    causes=(BRUTE_FORCE, SPREAD_ATTACK, KEY, TOKENS, AUTH_SERVICE, CLOCK, DEPLOYMENT),
    recovery=Recovering(
        "Failed logins",
        "% of attempts",
        300,
        lambda service: service.thresholds.auth_failure_ratio * 100,
        _recovery_queries,
        _recovery_series,
        _probes,
    ),
    escalate_if=(
        "an account was taken over, or an attack goes on after the addresses are blocked: call security",
        "failed logins are still above the threshold 15 minutes after the mitigation",
        "the auth service, the key or the clocks are somebody else's, or no cause is supported",
    ),
    remark=remark,
)
