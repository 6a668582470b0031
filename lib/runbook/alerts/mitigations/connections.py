"""What to do where the service gets no connection to its database: the pool, the database, the network, the login."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from runbook.alerts.checks.database import database_server, pool, slow_queries
from runbook.alerts.checks.workload import changes, policies, resource_limits, secrets
from runbook.alerts.checks.workload.policies import database_port
from runbook.alerts.mitigations.commands import (
    by_hand,
    change,
    deployment,
    inside,
    kubectl,
    look,
    mysql,
    read,
    restart,
    setting_names,
    until_healthy,
    whole,
    worst_pod,
)
from runbook.config.types import is_object
from runbook.investigation.definitions import Context, Planned, plan
from runbook.investigation.results import Results
from runbook.model import Step
from runbook.sources.probe import network
from runbook.text.shell import AND, INTO, PIPE, command
from runbook.text.time import clock_text

MORE = 1.5  # times its size: what a pool grows to
_VIEW = "SHOW GLOBAL STATUS LIKE '%Connections%'; SHOW FULL PROCESSLIST;"


@plan(pool.Facts, may_read=(database_server.Facts, slow_queries.Facts, changes.Facts, resource_limits.Facts))
def enlarge_pool(c: Context, results: Results) -> Planned:
    """A larger pool if the database has room for it; a restart if connections leak; shorter and fewer queries."""
    facts = results.facts(pool.Facts)
    return "Enlarge the connection pool", (
        *worst_pod(c, results, facts.top_pod if facts else None),
        pool_settings(c, facts.in_use if facts else None, facts.pool if facts else None),
        _raise(c, facts, results.facts(database_server.Facts, optional=True)),
        *restart(c, results, "connections are not returned to the pool: many stay in use though few queries run"),
        _fewer_queries(c, results),
    )


@plan(may_read=(database_server.Facts, slow_queries.Facts, changes.Facts))
def relieve_database(c: Context, results: Results) -> Planned:
    """First ends what blocks the others; then more capacity, replicas, fewer queries, and a restart of the pods."""
    facts = results.facts(database_server.Facts, optional=True)
    return "Relieve the database", (
        *_end(c, facts),
        _look(c),
        by_hand(
            c,
            "Scale the database up: more CPU, memory and max_connections.",
            precondition=f"no single statement blocks the others{_connections(facts)}",
            risk="It costs money. A restart drops all connections.",
            undo="scale back",
        ),
        by_hand(
            c,
            "Send reads to read replicas.",
            precondition="most of the load is reads, and the service may read data that is some seconds old",
            risk="replicas lag behind the primary",
            undo="send all reads to the primary again",
        ),
        _fewer_queries(c, results),
        *restart(c, results, "the database answers again, but the pods keep broken connections"),
    )


@plan(policies.Facts)
def restore_network(c: Context, results: Results) -> Planned:
    """The policies that block connections, one by one; then the database's name, then its port."""
    facts = results.facts(policies.Facts)
    named = [name for name in ((*facts.cuts, *facts.may_cut) if facts else ()) if is_object(str(name))]
    allows = f"Shows whether the policy allows egress to port {database_port(c)}."
    return "Restore the network connection to the database", (
        read(kubectl(c, "get", "networkpolicies"), "Shows the namespace's network policies and their age."),
        *(read(kubectl(c, "describe", "networkpolicy", name), allows) for name in named),
        *_remove(c, facts),
        *_names_and_ports(c),
    )


@plan(secrets.Facts, may_read=(changes.Facts,))
def restore_login(c: Context, results: Results) -> Planned:
    """The Secrets' names first; the database's owners compare the value; new credentials if they leaked."""
    facts = results.facts(secrets.Facts)
    named = [*_secrets(facts.fresh), *_secrets(facts.referenced)] if facts else []
    keys = "Shows its keys with their sizes (no values), and its age."
    return "Restore the login to the database", (
        read(
            kubectl(c, "get", "secrets"),
            "Shows the age of the database's credentials: were they created just before the onset? "
            "A Secret edited in place keeps its age.",
            "your account may list them (names and ages only)",
        ),
        *(read(kubectl(c, "describe", "secret", name), keys) for name in dict.fromkeys(named)),
        read(
            kubectl(c, "describe", deployment(c)),
            "Shows the Secret from which the pods take the user and the password.",
        ),
        look(
            "Have the database's owners confirm that the account exists, is not locked or expired, and takes the "
            "Secret's password. Nobody pastes the password anywhere.",
            "A login with it succeeds.",
            "the Secret is the one that the pods use",
        ),
        *restart(c, results, "the Secret is right and the pods still hold the old password"),
        by_hand(
            c,
            "Rotate the credentials: first a second account or password in the database, then the Secret, then a "
            "restart; drop the old one last.",
            precondition=(
                "they may be compromised: logins from unknown addresses, a value in a log or a repository; "
                "tell security"
            ),
            risk="pods that still hold the old password fail once it is dropped",
            undo="the old password is kept until all pods use the new one",
        ),
    )


def pool_settings(c: Context, in_use: float | None, size: int | None) -> Step:
    """The names of the settings; of a pool that is known also how much of it is in use."""
    use = f"{in_use:,.0f} of {size:,} connections are in use" if in_use is not None and size else "its use is not known"
    what = "Shows the names of the settings for the pool's size and time-outs"
    return read(setting_names(c), f"{what}. Check that their values are as intended ({use}).")


def _secrets(names: Iterable[str]) -> list[str]:
    """The Secrets among “secret/x” and the like; a reference may hold any text, a command only what is a name."""
    found = [str(name).removeprefix("secret/") for name in names if str(name).startswith("secret/")]
    return [name for name in found if is_object(name)]


def _raise(c: Context, facts: pool.Facts | None, server: database_server.Facts | None) -> Step:
    """More connections per pod, as far as the database has room for them."""
    size, pods = (whole(facts.size), whole(facts.pods)) if facts else (None, None)
    most = server.max_connections if server else None
    limit = f"its max_connections of {most:,}" if most else "its max_connections, which this run does not know"
    words, needed = "by half", "the new size times the number of pods"
    if size and pods:
        more = ceil(size * MORE)
        words, needed = f"from {size} to {more} per pod", f"{more * pods:,} connections of {pods} pods"
    return by_hand(
        c,
        f"Raise the pool's size in the service's configuration {words}.",
        precondition=(
            f"the pool is full though queries are fast; the database has room for {needed}: compare with {limit}"
        ),
        risk="all pods are replaced, one after the other; the database gets more connections",
        undo="set the old size again",
        watch=f"Requests no longer wait for a connection. {until_healthy(c)}",
    )


def _fewer_queries(c: Context, results: Results) -> Step:
    """Fewer or shorter queries, by name where a slow one is known."""
    facts = results.facts(slow_queries.Facts, optional=True)
    what = f"the queries “{facts.worst}”" if facts and facts.any else "the slowest and most frequent queries"
    return by_hand(
        c,
        f"Make {what} faster or less frequent: an index, a cache, a time-out, a feature switched off for now.",
        precondition="queries keep connections busy, or there are more of them than usual",
        risk="some pages may be stale or missing",
        undo="switch it on again",
    )


def _look(c: Context) -> Step:
    """The procedure's look at the server; with the client of wherever it is run."""
    return read(
        mysql(c, _VIEW),
        "Shows connections against max_connections, statements that run for long, and many in the same state.",
        "run where the client is, or in the database's pod; USER is your own read-only account",
    )


def _end(c: Context, facts: database_server.Facts | None) -> tuple[Step, ...]:
    """Ends the process that blocks others, else the statement that has run longest."""
    if facts is None:
        return ()
    blocking = whole(facts.blocking)
    id = blocking if blocking is not None else whole(facts.longest_id) if facts.long else None
    if id is None:
        return ()
    why = "others still wait for its locks" if blocking is not None else "it has run longest"
    kill = "KILL" if blocking is not None else "KILL QUERY"
    idle = blocking is not None and facts.blocking_idle
    return (
        change(
            c,
            mysql(c, f"{kill} {id}", "ADMIN"),
            precondition=(
                f"`SHOW FULL PROCESSLIST` still shows process {id}, {why}, it is not a backup, and its owner agrees"
            ),
            risk="its transaction is rolled back, which takes as long as it has written",
            undo="none: what it had not committed is lost" if idle else "start it again when the load is low",
            watch="The number of lock waits and of running statements falls.",
        ),
    )


def _connections(facts: database_server.Facts | None) -> str:
    """How many of the server's connections are in use, as the end of a clause."""
    if facts is None or facts.connected is None or not facts.max_connections:
        return ""
    return f"; {facts.connected:,} of {facts.max_connections:,} connections are in use"


def _remove(c: Context, facts: policies.Facts | None) -> tuple[Step, ...]:
    """The one policy that certainly blocks, if it was created shortly before the onset; saved to a file first."""
    name = str(facts.newest or "") if facts else ""
    if facts is None or not is_object(name) or facts.cuts != (name,) or not facts.near:
        return ()
    since = f"it was created at {clock_text(facts.created, c.started_at)}, " if facts.created else ""
    shown = kubectl(c, "get", "networkpolicy", name, "-o", "json")
    bare = ("jq", "del(.metadata.resourceVersion, .metadata.uid)")
    saved = command((*shown, PIPE, *bare, INTO, f"{name}.json", AND, "test", "-s", f"{name}.json"))
    return (
        change(
            c,
            kubectl(c, "delete", "networkpolicy", name),
            precondition=f"{since}its owner agrees, and it is saved: `{saved}`",
            risk="all else that it blocked is allowed until it is applied again with the database's port",
            undo=kubectl(c, "apply", "-f", f"{name}.json"),
        ),
    )


def _names_and_ports(c: Context) -> tuple[Step, ...]:
    """The database's name and port, tried from a pod, as the service does."""
    there = read(
        kubectl(c, "get", "services,endpoints"), "Shows whether the database's Service is there and has endpoints."
    )
    where = network.place(c.environment.database_address)
    if not where:
        return (there,)
    debug = command(kubectl(c, "debug"))
    has_it = f"the image has this program; else use an ephemeral container: `{debug}`"
    return (
        there,
        read(
            inside(c, deployment(c), "getent", "hosts", where.host),
            f"Shows whether {where.host} resolves in a pod. If it does not, check the cluster's DNS.",
            has_it,
        ),
        read(
            inside(c, deployment(c), "nc", "-z", "-w", "3", where.host, str(where.port)),
            f"Shows whether a pod can connect to {where.host} on port {where.port}.",
            has_it,
        ),
    )
