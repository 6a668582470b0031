"""Logins that work again: the key, the tokens, whoever verifies them, the clocks; and keeping attackers out."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from runbook.alerts.checks.logins import addresses, failures_by_node, takeover
from runbook.alerts.checks.logins.addresses import is_address
from runbook.alerts.mitigations.commands import (
    change,
    deployment,
    inside,
    is_pod,
    kubectl,
    read,
    restart,
    setting_names,
    until_healthy,
)
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.text.format import plain_text

BLOCKED = 5  # addresses that are blocked by a ready command each
UNDONE = "nothing to undo"


def restore_key(c: Context, results: Results) -> Plan:
    """Mounted, well formed, not expired, the issuer's own; then the pods read it anew."""
    return "Give the service the key that matches its tokens", (
        read(
            kubectl(c, "describe", deployment(c)),
            "the JWT public key's Secret or ConfigMap is mounted where the service reads it",
        ),
        _ages(c),
        *_key_file(c),
        Step(
            "Put the key that did well back into its Secret, or have the issuer sign with the key that matches the new one.",
            "the key was replaced shortly before the onset, or does not match the issuer's",
            "tokens that are signed with the other key are refused from then on",
            "put the newer key back",
            until_healthy(c),
        ),
        *restart(c, results, "the right key is in its Secret and the pods still hold the other one"),
    )


def renew_tokens(c: Context, results: Results) -> Plan:
    """Whoever hands out tokens has to hand out fresh ones."""
    return "Have fresh tokens handed out", (
        _clocks(c),
        Step(
            "Ask the issuer's owners to renew its certificate, and to hand out tokens with their full lifetime.",
            "the refused tokens or the issuer's certificate have expired, and the clocks are right",
            "none",
            UNDONE,
            until_healthy(c),
        ),
        *_key_file(c),
        *restart(c, results, "the issuer's certificate was renewed and the pods still hold the old one"),
        _leeway(c, "the issuer needs longer: a little more leeway bridges it"),
    )


def reach_auth_service(c: Context, results: Results) -> Plan:
    """From the network to the auth service itself."""
    return "Reach the auth service again", (
        read(
            kubectl(c, "get", "pods,endpoints,networkpolicies"),
            "the auth service's endpoints are there, if it runs here, and no policy cuts the service off from it",
        ),
        read(
            setting_names(c),
            "the name of the setting that holds the auth service's address; check that its value is as intended",
        ),
        Step(
            "Ask the owners of the auth service whether it is healthy and whether its certificate has expired.",
            "none",
            "none",
            UNDONE,
            "complaints about the auth service end in the logs",
        ),
        *restart(c, results, "the auth service answers again, yet the pods keep broken connections to it"),
    )


def set_clocks(c: Context, results: Results) -> Plan:
    """The node's clock first; meanwhile its pods elsewhere, or a little more leeway."""
    facts = results.facts(failures_by_node.Facts)
    node = facts.node
    known = node if is_pod(node) else None
    away = () if known is None else (_cordon(c, known), *_moved(c, facts.failing_pods or ()))
    return "Set the clocks right", (
        _clocks(c),
        Step(
            f"On {known or 'each node whose pods fail'}: chronyc tracking; then chronyc makestep (or start its time service).",
            "you may log in to the node, and its time server answers",
            "the time jumps: timers on the node may fire early or late",
            "nothing to undo: the time service keeps it right",
            until_healthy(c),
        ),
        *away,
        _leeway(c, "the clocks cannot be set right at once, and are off by less than a minute"),
    )


def keep_out(c: Context, results: Results) -> Plan:
    """Close the accounts that were taken over, slow everybody down, and block exactly the addresses that were found."""
    loud = results.facts(addresses.Facts).get("loud") or ()
    found = [one.get("address") for one in loud if isinstance(one, dict)]
    taken = results.facts(takeover.Facts).get("addresses") or ()
    return "Keep the attackers out", (
        *_close_accounts(c, results),
        _slow_down(c),
        *_block(c, [*taken, *found]),
    )


def withstand(c: Context, results: Results) -> Plan:
    """Too many addresses to block: limits by account and in all, and a second proof."""
    taken = results.facts(takeover.Facts).get("addresses") or ()
    return "Withstand guesses from many addresses", (
        *_close_accounts(c, results),
        _slow_down(c),
        Step(
            "Ask for a second proof (a code, a captcha) at the login, and lock an account for some minutes after five failures.",
            "the login supports it",
            "users who mistype are locked out for these minutes; attackers may lock others out",
            "switch it off again",
            until_healthy(c),
        ),
        *_block(c, taken),
        Step(
            "Have the provider or the web application firewall filter the attack by its pattern (networks, user agent, path).",
            "security agrees",
            "some real users are refused",
            "take the filter out",
            until_healthy(c),
        ),
    )


def _ages(c: Context) -> Step:
    return read(
        kubectl(c, "get", "secrets", "--sort-by=.metadata.creationTimestamp"),
        "the key's age: was it made anew just before the onset? One changed in place keeps its age",
        "your account may list them (names and ages only)",
    )


def _key_file(c: Context) -> tuple[Step, ...]:
    """Reading the key where it is used; in words where the profile does not say which file it is."""
    path = c.service.jwt_public_key_path
    if not path:
        return (
            Step(
                "Look at the key file in a pod: one well-formed PEM block (BEGIN PUBLIC KEY), and not expired if it is a certificate.",
                "you may look into the pods; the profile does not name the file (jwt_public_key_path)",
                "none, as long as it is the public key",
                UNDONE,
                "it is the key that the issuer signs with",
            ),
        )
    head = inside(c, deployment(c), "head", "-n", "3", path)
    whole = inside(c, deployment(c), "cat", path)
    may = "you may look into the pods (exec); the file holds the public key, never the private one"
    return (
        read(head, "it begins with BEGIN PUBLIC KEY or BEGIN CERTIFICATE, without blanks or a second key before", may),
        read(f"{whole} | openssl x509 -noout -enddate", "notAfter lies ahead; an error, where it is a bare key", may),
    )


def _clocks(c: Context) -> Step:
    return read(
        f"{inside(c, deployment(c), 'date', '-u')} && date -u",
        "both times are the same; exec takes one pod: repeat it for a pod of each node",
        "you may look into the pods (exec), and your own clock is right",
    )


def _leeway(c: Context, precondition: str) -> Step:
    return Step(
        "Raise the leeway of the JWT validation to at most 60 s in the service's configuration.",
        precondition,
        "a token is valid for that much longer, a stolen one too",
        "set it back to what it was",
        until_healthy(c),
    )


def _cordon(c: Context, node: str) -> Step:
    plain = kubectl(c, "cordon", node)
    return change(
        c,
        plain,
        "the clock cannot be set right at once, and the other nodes have room for its pods",
        "no new pod is placed on it",
        kubectl(c, "uncordon", node),
        "it says SchedulingDisabled in `kubectl get nodes`",
    )


def _moved(c: Context, failing: Iterable[JSON]) -> tuple[Step, ...]:
    return tuple(
        change(
            c,
            kubectl(c, "delete", f"pod/{pod}"),
            "the node is cordoned; one pod after the other, each once its successor is ready",
            "one pod fewer serves for some seconds",
            "nothing to undo: a new pod starts from the same template",
        )
        for pod in list(failing)[:3]
        if is_pod(pod)
    )


def _close_accounts(c: Context, results: Results) -> tuple[Step, ...]:
    """For the accounts that somebody got into; none where nobody did."""
    accounts = results.facts(takeover.Facts).get("accounts") or ()
    names = ", ".join(plain_text(str(name), 40) for name in accounts)
    if not names:
        return ()
    return (
        Step(
            f"With security: end the sessions of {names}, lock the accounts, and look at what they did since the onset.",
            "security was called",
            "the real users cannot log in until they have a new password",
            "unlock the account once its user has a new password",
            "nobody logs in to these accounts any more",
        ),
    )


def _slow_down(c: Context) -> Step:
    return Step(
        f"Switch on rate limiting for {c.service.login_path} at the proxy: a few attempts a minute by address and by account.",
        "the proxy sees the client's own address",
        "users behind one address (an office) may be refused for a while",
        "switch it off again",
        until_healthy(c),
    )


def _block(c: Context, found: Iterable[JSON]) -> tuple[Step, ...]:
    """A ready command for each address, as the procedure has it; only what is an address gets into one."""
    addresses = [one for one in dict.fromkeys(found) if is_address(one)]
    return tuple(_blocked(c, address) for address in addresses[:BLOCKED])


def _blocked(c: Context, address: str) -> Step:
    known = str(ip_address(address))
    ours = f"{known} is none of ours (an office, a proxy, a health check)"
    if not c.service.proxy_deployment:
        return Step(
            f"Block {known} at the proxy.",
            f"{ours}; the profile does not name the proxy's deployment",
            "everybody behind this address is cut off",
            f"take the block of {known} out again",
            f"no further message names {known}",
        )
    proxy, table = f"deployment/{c.service.proxy_deployment}", "ip6tables" if ":" in known else "iptables"

    def rule(what: str) -> str:
        return kubectl(c, "exec", proxy, "--", table, what, "INPUT", "-s", known, "-j", "DROP")

    return change(
        c,
        rule("-A"),
        f"{ours}; the proxy sees the client's own address and may change its rules; exec takes one pod: repeat it for each",
        "everybody behind this address is cut off; the rule is gone when the proxy's pod restarts",
        rule("-D"),
        f"no further message names {known}",
    )
