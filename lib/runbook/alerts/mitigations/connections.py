"""What to do where the database gives no connection: for the pool, the database itself, the way to it, the login."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from runbook.alerts.checks.database import database_server, pool, slow_queries
from runbook.alerts.checks.workload import policies, secrets
from runbook.alerts.checks.workload.policies import database_port
from runbook.alerts.mitigations.commands import (
    change,
    deployment,
    inside,
    kubectl,
    mysql,
    number,
    read,
    restart,
    setting_names,
    until_healthy,
    whole,
    worst_pod,
)
from runbook.config.types import is_object
from runbook.investigation.definitions import Context, Plan
from runbook.investigation.results import Results
from runbook.model import JSON, Step
from runbook.sources.probe import network
from runbook.text.format import clock_text

MORE = 1.5  # by so much a pool grows
_VIEW = "SHOW GLOBAL STATUS LIKE '%Connections%'; SHOW FULL PROCESSLIST;"


def enlarge_pool(c: Context, results: Results) -> Plan:
    """A larger pool where the database takes it; shorter and fewer queries; connections that are held given back."""
    facts = results.facts(pool.Facts)
    return "Give the pool room", (
        *worst_pod(c, results, facts.top_pod),
        read(
            setting_names(c),
            f"the names of the settings for the pool's size and time-outs; check that their values are as intended ({_use(facts)})",
        ),
        _raise(c, facts, results.facts(database_server.Facts)),
        *restart(c, results, "connections are held and not given back: in use stays high though few queries run"),
        _fewer_queries(c, results),
    )


def relieve_database(c: Context, results: Results) -> Plan:
    """What holds the others up is ended first; then room, then replicas."""
    facts = results.facts(database_server.Facts)
    return "Relieve the database", (
        *_end(c, facts),
        _look(c),
        Step(
            "Scale the database up: more CPU, memory and max_connections.",
            f"no single statement holds the others up{_connections(facts)}",
            "costs; a restart of the database drops all connections",
            "scale back",
            until_healthy(c),
        ),
        Step(
            "Send reads to read replicas.",
            "most of the load is reads, and the service may read what is some seconds old",
            "reads lag behind writes",
            "send all to the primary again",
            until_healthy(c),
        ),
        _fewer_queries(c, results),
        *restart(c, results, "the database answers again, yet the pods keep broken connections"),
    )


def open_the_way(c: Context, results: Results) -> Plan:
    """The policies that cut, one by one; then the name, then the port."""
    facts = results.facts(policies.Facts)
    named = [name for name in [*(facts.cuts or ()), *(facts.may_cut or ())] if is_object(str(name))]
    described = tuple(
        read(kubectl(c, "describe", "networkpolicy", name), f"whether it allows egress to port {database_port(c)}")
        for name in named
    )
    return "Open the way to the database", (
        read(kubectl(c, "get", "networkpolicies"), "which policies there are, and their age"),
        *described,
        *_remove(c, facts),
        *_names_and_ports(c),
    )


def mend_login(c: Context, results: Results) -> Plan:
    """The names first; the value is compared by those who may see it; a new one where it leaked."""
    facts = results.facts(secrets.Facts)
    named = [*_secrets(facts.fresh), *_secrets(facts.referenced)]
    described = tuple(
        read(kubectl(c, "describe", "secret", name), "its keys and their sizes (no values), its age")
        for name in dict.fromkeys(named)
    )
    return "Mend the login at the database", (
        read(
            kubectl(c, "get", "secrets"),
            "the age of the database's credentials: were they made anew just before the onset? Those changed in place keep it",
            "your account may list them (names and ages only)",
        ),
        *described,
        read(kubectl(c, "describe", deployment(c)), "which Secret the pods take user and password from"),
        Step(
            "Have the database's owners confirm that the account exists, is not locked or expired, and takes the Secret's password.",
            "the Secret is the one that the pods use",
            "none, as long as nobody pastes the password anywhere",
            "nothing to undo",
            "a login with it succeeds",
        ),
        *restart(c, results, "the Secret is right and the pods still hold the old password"),
        Step(
            "Rotate the credentials: a second account or password in the database first, then the Secret, then a restart, then the old one is dropped.",
            "they may be compromised: logins from unknown addresses, a value in a log or a repository; tell security",
            "pods that still hold the old password fail once it is dropped",
            "the old password is kept until all pods use the new one",
            until_healthy(c),
        ),
    )


def _secrets(names: JSON) -> list[str]:
    """The Secrets among “secret/x” and the like; a reference may hold any text, a command only what is a name."""
    found = [str(name).removeprefix("secret/") for name in names or () if str(name).startswith("secret/")]
    return [name for name in found if is_object(name)]


def _use(facts: Mapping[str, JSON]) -> str:
    used, pool = number(facts.in_use), number(facts.pool)
    return f"now {used:,.0f} of {pool:,.0f} in use" if used is not None and pool else "its use is not known"


def _raise(c: Context, facts: Mapping[str, JSON], server: Mapping[str, JSON]) -> Step:
    """More connections per pod, as far as the database has them."""
    size, pods, most = whole(facts.size), whole(facts.pods), whole(server.get("max_connections"))
    limit = f"its max_connections of {most:,}" if most else "its max_connections, which this run does not know"
    words, needed = "by half", "pods times the new size"
    if size and pods:
        more = ceil(size * MORE)
        words, needed = f"from {size} to {more} a pod", f"{more * pods:,} connections of {pods} pods"
    return Step(
        f"Raise the pool's size in the service's configuration {words}.",
        f"the pool is full though queries are fast; the database has room for {needed}: compare with {limit}",
        "all pods are replaced, one after the other; the database gets more connections",
        "set the old size again",
        f"requests wait no longer, {until_healthy(c)}",
    )


def _fewer_queries(c: Context, results: Results) -> Step:
    """What keeps connections busy, by name where it is known."""
    facts = results.facts(slow_queries.Facts)
    worst = facts.worst if facts.any else None
    what = f"the queries “{worst}”" if worst else "the slowest and most frequent queries"
    return Step(
        f"Make {what} shorter or rarer: an index, a cache, a time-out, a feature switched off for now.",
        "queries keep connections busy, or there are more of them than usual",
        "some pages may be stale or missing",
        "switch it on again",
        until_healthy(c),
    )


def _look(c: Context) -> Step:
    """The procedure's look at the server; with the client of wherever it is run."""
    return read(
        mysql(c, _VIEW),
        "connections against max_connections, statements that run for long, many in the same state",
        "run where the client is, or in the database's pod; USER is your own read-only account",
    )


def _end(c: Context, facts: Mapping[str, JSON]) -> tuple[Step, ...]:
    """The statement that blocks or runs longest."""
    blocking = whole(facts.blocking)
    id = blocking if blocking is not None else whole(facts.longest_id) if facts.long else None
    if id is None:
        return ()
    why = "others wait for its locks" if blocking is not None else "it runs longest"
    kill = "KILL" if blocking is not None else "KILL QUERY"
    idle = blocking is not None and facts.blocking_idle
    return (
        Step(
            mysql(c, f"{kill} {id}", "ADMIN"),
            f"`SHOW FULL PROCESSLIST` still shows process {id}: {why}, it is no backup; and its owner agrees",
            "its transaction is rolled back, which takes as long as it has written",
            "none: what it had not committed is lost" if idle else "start it again when the load is low",
            "lock waits and running statements fall",
        ),
    )


def _connections(facts: Mapping[str, JSON]) -> str:
    connected, most = number(facts.connected), number(facts.max_connections)
    return f"; {connected:,.0f} of {most:,.0f} connections are in use" if connected is not None and most else ""


def _remove(c: Context, facts: Mapping[str, JSON]) -> tuple[Step, ...]:
    """The one policy that surely cuts, if it came shortly before the onset; kept in a file first."""
    name = str(facts.newest or "")
    if not is_object(name) or facts.cuts != [name] or not facts.near:
        return ()
    created = number(facts.created)
    since = f"it was created at {clock_text(created, c.started_at)}, " if created else ""
    shown = kubectl(c, "get", "networkpolicy", name, "-o", "json")
    saved = f"{shown} | jq 'del(.metadata.resourceVersion, .metadata.uid)' > {name}.json && test -s {name}.json"
    return (
        change(
            c,
            kubectl(c, "delete", "networkpolicy", name),
            f"{since}its owner agrees, and it is saved: `{saved}`",
            "what else it forbade is allowed until it comes back with the database's port",
            kubectl(c, "apply", "-f", f"{name}.json"),
        ),
    )


def _names_and_ports(c: Context) -> tuple[Step, ...]:
    """From a pod, for that is the service's way."""
    there = read(kubectl(c, "get", "services,endpoints"), "the database's Service is there and has endpoints")
    where = network.place(c.environment.database_address)
    if not where:
        return (there,)
    has_it = "the image has this program; else an ephemeral container: kubectl debug"
    return (
        there,
        read(
            inside(c, deployment(c), "getent", "hosts", where.host),
            f"whether {where.host} resolves in a pod; if not, look at the cluster's DNS",
            has_it,
        ),
        read(
            inside(c, deployment(c), "nc", "-z", "-w", "3", where.host, str(where.port)),
            f"whether {where.host} lets a pod connect to port {where.port}",
            has_it,
        ),
    )
