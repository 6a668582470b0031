"""The causes of HighAuthFailureRate, and the signs for and against each."""

from __future__ import annotations

from collections.abc import Callable

from runbook.alerts.checks.logins import (
    accounts,
    addresses,
    attempts,
    auth_service,
    failures_by_node,
    rejection_reasons,
    signing_key,
    takeover,
)
from runbook.alerts.checks.logins.failures_by_field import first_few
from runbook.alerts.checks.logins.rejection_reasons import SAYS
from runbook.alerts.mitigations.attacks import keep_out, withstand
from runbook.alerts.mitigations.logins import reach_auth_service, renew_tokens, restore_key, set_clocks
from runbook.alerts.shared_causes import DEPLOYMENT, ONLY_NEW_PODS
from runbook.investigation.definitions import Cause, Conclusive, Sign
from runbook.investigation.results import Results
from runbook.text.format import count_text, plural, share_text

Reasons = rejection_reasons.Facts


def _gives(reason: str, least: float = 0.3) -> Callable[[Reasons], bool | None]:
    """Whether the logs give this reason for the logins that are refused above the usual rate."""
    return lambda f: f.reasons_given and f.shares[reason] >= least


def _share_about(reason: str) -> Callable[[Reasons], str]:
    """The clause for it."""

    def clause(f: Reasons) -> str:
        part = "all" if f.shares[reason] == 1 else f"{share_text(f.shares[reason])} of the"
        return f"{part} login messages above the usual rate are about {SAYS[reason]}"

    return clause


def _mentioned(reason: str, weight: float = 0.6) -> Sign[Reasons]:
    """The sign for a cause that the logs give this reason."""
    return Sign(Reasons, weight, _gives(reason), _share_about(reason))


def _not_mentioned(reason: str, weight: float = 0.8) -> Sign[Reasons]:
    """The sign against a cause that the logs give other reasons instead."""
    return Sign(
        Reasons,
        weight,
        lambda f: f.reasons_given and f.shares[reason] < 0.1,
        lambda f: f"almost no log message mentions {SAYS[reason]}",
    )


def _key_phrase(results: Results) -> str:
    found = results.facts(signing_key.Facts)
    if found is None or not found.replaced:
        return "the JWT key: it does not verify valid tokens"
    return f"the JWT key: {signing_key.created_text(found)}"


def _brute_force_phrase(results: Results) -> str:
    loud = [one.address for one in results.required(addresses.Facts).loud]
    sources = f"{plural(len(loud), 'address')}: {first_few(loud)}" if loud else "a few addresses"
    return f"someone is guessing passwords and tokens from {sources}"


def _spread_attack_phrase(results: Results) -> str:
    return f"someone is guessing passwords and tokens from {_about_so_many(results.required(addresses.Facts))}"


def _clock_phrase(results: Results) -> str:
    node = results.required(failures_by_node.Facts).node
    return f"a wrong clock on {node}" if node else "a wrong clock"


def _about_so_many(f: addresses.Facts) -> str:
    return "many addresses" if f.distinct is None else f"about {count_text(f.distinct)} addresses"


def _only_on_node(f: failures_by_node.Facts) -> str:
    return f"only the pods on {f.node} refuse logins"


MISSED = Sign(
    attempts.Facts, 0.2, lambda f: f.missed, lambda f: f"successful logins dropped by {share_text(f.lost or 0.0)}"
)
ADDED = Sign(attempts.Facts, 0.4, lambda f: f.added, lambda f: f"{f.times or 0.0:.1f} times the usual attempts")
ONE_NODE = Sign(failures_by_node.Facts, 0.8, lambda f: f.one_node, _only_on_node)

KEY = Cause(
    "key",
    "JWT key or its rotation",
    phrase=_key_phrase,
    plan=restore_key,
    requires=(Reasons,),
    conclusive=(Conclusive(Reasons, "reasons_given"),),
    supports=(
        _mentioned("key"),
        Sign(signing_key.Facts, 0.5, lambda f: bool(f.replaced), signing_key.created_text),
        Sign(
            signing_key.Facts, 0.8, lambda f: f.sound is False, lambda f: f"the key file holds no public key ({f.form})"
        ),
        Sign(signing_key.Facts, 0.6, lambda f: bool(f.missing), signing_key.missing_text),
        MISSED,
    ),
    refutes=(ONLY_NEW_PODS, _not_mentioned("key")),
)

TOKENS = Cause(
    "tokens",
    "Expired tokens or certificate",
    phrase=lambda results: "expired tokens, or an expired certificate of their issuer",
    plan=renew_tokens,
    requires=(Reasons,),
    conclusive=(Conclusive(Reasons, "reasons_given"),),
    supports=(_mentioned("tokens"), MISSED),
    refutes=(ONLY_NEW_PODS, ONE_NODE, _not_mentioned("tokens")),
)

AUTH_SERVICE = Cause(
    "auth_service",
    "Auth service down or unreachable",
    phrase=lambda results: "the auth service: it does not answer as it should",
    plan=reach_auth_service,
    requires=(auth_service.Facts,),
    conclusive=(Conclusive(auth_service.Facts, "failing"),),
    supports=(
        _mentioned("auth_service", 0.5),
        Sign(
            auth_service.Facts,
            0.5,
            lambda f: f.failing,
            lambda f: (
                f"{f.per_minute:.0f} log messages/min about the auth service ({f.per_minute_before:.1f}/min before)"
            ),
        ),
        MISSED,
    ),
    refutes=(
        ONLY_NEW_PODS,
        Sign(
            auth_service.Facts,
            0.6,
            lambda f: f.failing is False,
            lambda f: "the logs complain about the auth service no more than before",
        ),
    ),
)

BRUTE_FORCE = Cause(
    "brute_force",
    "Brute force from few addresses",
    phrase=_brute_force_phrase,
    plan=keep_out,
    requires=(addresses.Facts,),
    conclusive=(Conclusive(addresses.Facts, "few"),),
    supports=(
        Sign(
            addresses.Facts,
            0.6,
            lambda f: f.few,
            lambda f: f"{share_text(f.loud_share)} of the failed logins come from {plural(len(f.loud), 'address')}",
        ),
        _mentioned("guesses", 0.3),
        ADDED,
        Sign(
            accounts.Facts,
            0.1,
            lambda f: f.few,
            lambda f: f"{share_text(f.loud_share)} of the failed logins target {plural(len(f.loud), 'account')}",
        ),
        Sign(takeover.Facts, 0.4, lambda f: f.succeeded, takeover.clause),
    ),
    refutes=(
        Sign(
            addresses.Facts,
            0.9,
            lambda f: not f.few,
            lambda f: "no small group of addresses stands out among the failed logins",
        ),
    ),
)

SPREAD_ATTACK = Cause(
    "spread_attack",
    "Attack spread over many addresses",
    phrase=_spread_attack_phrase,
    plan=withstand,
    requires=(addresses.Facts,),
    conclusive=(Conclusive(addresses.Facts, "many"),),
    supports=(
        Sign(
            addresses.Facts,
            0.3,
            lambda f: f.many,
            lambda f: (
                f"failed logins come from {_about_so_many(f)}, none with more than {share_text(f.top_share)} of them"
            ),
        ),
        _mentioned("guesses", 0.4),
        ADDED,
    ),
    refutes=(
        Sign(
            addresses.Facts,
            0.9,
            lambda f: not f.many,
            lambda f: "the failed logins are not spread over unusually many addresses",
        ),
        Sign(attempts.Facts, 0.5, lambda f: f.added is False, lambda f: "no more attempts than before"),
    ),
)

CLOCK = Cause(
    "clock",
    "Clock skew",
    phrase=_clock_phrase,
    plan=set_clocks,
    requires=(failures_by_node.Facts,),
    conclusive=(Conclusive(failures_by_node.Facts, "one_node"),),
    supports=(
        _mentioned("clock"),
        _mentioned("tokens", 0.2),
        Sign(failures_by_node.Facts, 0.6, lambda f: f.one_node, _only_on_node),
        Sign(failures_by_node.Facts, 0.8, lambda f: bool(f.skewed), lambda f: f"the clock of {f.skewed}"),
    ),
    refutes=(
        Sign(failures_by_node.Facts, 0.4, lambda f: f.alike, lambda f: "all pods refuse more logins than usual"),
        Sign(failures_by_node.Facts, 0.9, lambda f: f.skewed == "", lambda f: "the pods' clocks are right"),
        Sign(
            Reasons,
            0.6,
            lambda f: f.reasons_given and f.shares["clock"] + f.shares["tokens"] < 0.1,
            lambda f: "almost no log message mentions clock errors or expired tokens",
        ),
    ),
)

ATTACKS = (BRUTE_FORCE, SPREAD_ATTACK)
CAUSES = (*ATTACKS, KEY, TOKENS, AUTH_SERVICE, CLOCK, DEPLOYMENT)
