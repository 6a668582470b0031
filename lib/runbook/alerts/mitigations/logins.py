"""Logins that work again: the key, the tokens, the auth service, the clocks."""

from __future__ import annotations

from collections.abc import Iterable

from runbook.alerts.checks.logins import failures_by_node
from runbook.alerts.checks.workload import changes
from runbook.alerts.mitigations.commands import (
    by_hand,
    change,
    deployment,
    inside,
    is_pod,
    kubectl,
    look,
    read,
    restart,
    setting_names,
)
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.text.shell import AND, PIPE, command

MOVED = 3  # pods that are moved by a ready command each


@plan(may_read=(changes.Facts,))
def restore_key(c: Context, results: Results) -> Planned:
    """Mounted, well formed, not expired, the issuer's own; then the pods read it again."""
    return "Give the service the key that matches its tokens", (
        read(
            kubectl(c, "describe", deployment(c)),
            "Shows whether the JWT public key's Secret or ConfigMap is mounted where the service reads it.",
        ),
        _ages(c),
        *_key_file(c),
        by_hand(
            c,
            "Put the previous, working key back into its Secret, or have the issuer sign with the key that matches the "
            "new one.",
            precondition="the key was replaced shortly before the onset, or does not match the issuer's",
            risk="tokens that are signed with the other key are refused from then on",
            undo="put the newer key back",
        ),
        *restart(c, results, "the right key is in its Secret and the pods still use the other one"),
    )


@plan(may_read=(changes.Facts,))
def renew_tokens(c: Context, results: Results) -> Planned:
    """The issuer has to issue fresh tokens."""
    return "Have fresh tokens issued", (
        _clocks(c),
        by_hand(
            c,
            "Ask the issuer's owners to renew its certificate, and to issue tokens with their full lifetime.",
            precondition="the refused tokens or the issuer's certificate have expired, and the clocks are right",
            risk="none",
            undo="nothing to undo",
        ),
        *_key_file(c),
        *restart(c, results, "the issuer's certificate was renewed and the pods still use the old one"),
        _leeway(c, "the issuer needs longer: a little more leeway bridges the time"),
    )


@plan(may_read=(changes.Facts,))
def reach_auth_service(c: Context, results: Results) -> Planned:
    """From the network to the auth service itself."""
    return "Restore access to the auth service", (
        read(
            kubectl(c, "get", "pods,endpoints,networkpolicies"),
            "Shows whether the auth service has endpoints, if it runs here, and whether a network policy cuts the "
            "service off from it.",
        ),
        read(
            setting_names(c),
            "Shows the name of the setting that holds the auth service's address. Check that its value is as intended.",
        ),
        look(
            "Ask the owners of the auth service whether it is healthy and whether its certificate has expired.",
            "Complaints about the auth service in the logs end.",
        ),
        *restart(c, results, "the auth service answers again, but the pods keep broken connections to it"),
    )


@plan(failures_by_node.Facts)
def set_clocks(c: Context, results: Results) -> Planned:
    """The node's clock first; meanwhile move its pods to other nodes, or allow a little more leeway."""
    found = results.facts(failures_by_node.Facts)
    node = found.node if found and is_pod(found.node) else None
    away = () if found is None or node is None else (_cordon(c, node), *_moved(c, found.failing_pods))
    return "Correct the clocks", (
        _clocks(c),
        by_hand(
            c,
            f"On {node or 'each node whose pods fail'}: chronyc tracking; then chronyc makestep (or start its time "
            "service).",
            precondition="you may log in to the node, and its time server answers",
            risk="the time jumps: timers on the node may fire early or late",
            undo="nothing to undo: the time service keeps the clock right",
        ),
        *away,
        _leeway(c, "the clocks cannot be corrected at once, and are off by less than a minute"),
    )


def _ages(c: Context) -> Step:
    return read(
        kubectl(c, "get", "secrets", "--sort-by=.metadata.creationTimestamp"),
        "Shows whether the key's Secret was created just before the onset. A Secret edited in place keeps its age.",
        "your account may list them (names and ages only)",
    )


def _key_file(c: Context) -> tuple[Step, ...]:
    """Reads the key where it is used; in words where the profile does not name the file."""
    path = c.service.jwt_public_key_path
    if not path:
        return (
            look(
                "Look at the key file in a pod: one well-formed PEM block (BEGIN PUBLIC KEY), and not expired if it is "
                "a certificate.",
                "Shows whether it is the key that the issuer signs with.",
                "you may exec into the pods; it is the public key, never the private one; the profile does not name "
                "the file (jwt_public_key_path)",
            ),
        )
    head = inside(c, deployment(c), "head", "-n", "3", path)
    expiry = (*inside(c, deployment(c), "cat", path), PIPE, "openssl", "x509", "-noout", "-enddate")
    may = "you may exec into the pods; the file holds the public key, never the private one"
    starts = "It starts with BEGIN PUBLIC KEY or BEGIN CERTIFICATE, without blanks or a second key before that."
    return (
        read(head, starts, may),
        read(
            expiry, "The date after notAfter is in the future. A bare key, without a certificate, gives an error.", may
        ),
    )


def _clocks(c: Context) -> Step:
    return read(
        (*inside(c, deployment(c), "date", "-u"), AND, "date", "-u"),
        "Both times are the same. This reads one pod: repeat it for a pod of each node.",
        "you may exec into the pods, and your own clock is right",
    )


def _leeway(c: Context, precondition: str) -> Step:
    return by_hand(
        c,
        "Raise the leeway of the JWT validation to at most 60 s in the service's configuration.",
        precondition=precondition,
        risk="a token is valid for that much longer, a stolen one too",
        undo="set it back to what it was",
    )


def _cordon(c: Context, node: str) -> Step:
    return change(
        c,
        kubectl(c, "cordon", node),
        precondition="the clock cannot be corrected at once, and the other nodes have room for its pods",
        risk="no new pod is placed on it",
        undo=kubectl(c, "uncordon", node),
        watch=f"`{command(kubectl(c, 'get', 'nodes'))}` shows SchedulingDisabled for it.",
    )


def _moved(c: Context, failing: Iterable[str]) -> tuple[Step, ...]:
    return tuple(
        change(
            c,
            kubectl(c, "delete", f"pod/{pod}"),
            precondition=(
                "the node is cordoned; delete one pod after the other, "
                "each once the previous one's replacement is ready"
            ),
            risk="one pod fewer serves for some seconds",
            undo="nothing to undo: a new pod starts from the same template",
        )
        for pod in list(failing)[:MOVED]
        if is_pod(pod)
    )
