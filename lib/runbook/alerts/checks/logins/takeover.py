"""Did a guess succeed? Successful logins from an address after many failed ones.

An address from which people logged in before, such as an office's, is not taken for an attacker's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.logins.addresses import is_address
from runbook.alerts.checks.logins.failures_by_field import PHRASE, first_few
from runbook.alerts.checks.logs import error_messages
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Query, Result, Table
from runbook.sources.elasticsearch.client import matching, search
from runbook.text.escape import plain_text
from runbook.text.format import count_text, plural
from runbook.text.time import clock_text

MANY = 10  # failed logins before the one that succeeds
ADDRESSES, ACCOUNTS = 1000, 5


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """Whether someone logged in after many failed attempts from a new address; from which addresses, to which accounts,
    and how many failed logins these addresses have in all.
    """

    succeeded: bool
    addresses: tuple[str, ...]
    accounts: tuple[str, ...]
    failures: int


@dataclass(frozen=True)
class Intrusion:
    """An address that failed MANY times and then logged in: all its failures, the accounts it logged in to, and when it
    did so last (epoch seconds, UTC).
    """

    address: str
    failures: int
    accounts: tuple[str, ...]
    last: float


def _queries(c: Context) -> Mapping[str, Query]:
    service, split = c.service, error_messages.sample_split(c)
    failed, succeeded = ({"match_phrase": {service.message_field: text}} for text in (PHRASE, service.login_phrase))
    either = matching(service, c.start, c.end, "", PHRASE, service.login_phrase)
    early = {"range": {service.time_field: {"lt": round(split * 1000), "format": "epoch_millis"}}}
    into = {
        "accounts": {"terms": {"field": service.username_field, "size": ACCOUNTS}},
        "last": {"max": {"field": service.time_field}},
        "early": {"filter": early},
    }
    by_time = {service.time_field: {"order": "asc", "numeric_type": "date", "unmapped_type": "date"}}
    last_of_many = {"top_hits": {"from": MANY - 1, "size": 1, "sort": [by_time], "_source": False}}
    each = {
        "failed": {"filter": failed},
        "guessed": {"filter": failed, "aggs": {"last of many": last_of_many}},
        "succeeded": {"filter": succeeded, "aggs": into},
    }
    most = {"size": ADDRESSES, "order": {"failed": "desc"}, "collect_mode": "breadth_first"}
    terms = {"field": service.client_ip_field, **most}
    counted = {"addresses": {"terms": terms, "aggs": each}, "succeeded": {"filter": succeeded}}
    return {"logins": search(service.index, {"query": either, "size": 0, "track_total_hits": True, "aggs": counted})}


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    found = answers["logins"].data["aggregations"]
    if not found["succeeded"]["doc_count"]:
        said = (
            f"Not known: the logs hold no message with “{c.service.login_phrase}”, so successful logins cannot be seen."
        )
        return Result("unknown", said)
    if not found["addresses"]["buckets"]:
        return Result("unknown", "Not known: logins are logged without the client's address.")
    intrusions = sorted(_intrusions(answers["logins"]), key=lambda one: one.address)
    if intrusions and (missing := error_messages.usual_gap(c)):
        return Result("unknown", f"Not known: {missing}")
    facts = Facts(
        succeeded=bool(intrusions),
        addresses=tuple(one.address for one in intrusions),
        accounts=tuple(sorted({name for one in intrusions for name in one.accounts})),
        failures=sum(one.failures for one in intrusions),
    )
    if intrusions:
        return Result("abnormal", f"Yes: {clause(facts)}.", facts, tables=(_table(c, intrusions),))
    seen = sum(one["succeeded"]["doc_count"] for one in found["addresses"]["buckets"])
    total = found["succeeded"]["doc_count"]
    if seen < total:
        said = f"only {count_text(seen)} of {plural(total, 'successful login')} could be assigned to an address"
        return Result("unknown", f"Not known: {said}.")
    said = f"none of {plural(total, 'successful login')} came from a new address after {MANY} failed ones"
    return Result("normal", f"No: {said}.", facts)


def _intrusions(answer: Answer) -> Iterator[Intrusion]:
    for one in answer.data["aggregations"]["addresses"]["buckets"]:
        address, succeeded = one.get("key_as_string", one["key"]), one["succeeded"]
        guessed = one["guessed"]["last of many"]["hits"]["hits"]
        if not guessed or not succeeded["doc_count"] or succeeded["early"]["doc_count"]:
            continue
        if succeeded["last"]["value"] > guessed[0]["sort"][0] and is_address(address):
            names = tuple(str(account["key"]) for account in succeeded["accounts"]["buckets"])
            yield Intrusion(address, one["failed"]["doc_count"], names, succeeded["last"]["value"] / 1000)


def clause(facts: Facts) -> str:
    """Who logged in, e.g. "203.0.113.9 logged in as admin after at least 10 failed attempts (412 in all)"."""
    names = first_few([plain_text(name, 40) for name in facts.accounts]) or "an unknown account"
    each = " each" if len(facts.addresses) > 1 else ""
    failures = f"at least {MANY} failed attempts{each} ({count_text(facts.failures)} in all)"
    return f"{first_few(facts.addresses)} logged in as {names} after {failures}"


def _table(c: Context, intrusions: list[Intrusion]) -> Table:
    rows = tuple(
        (one.address, count_text(one.failures), ", ".join(one.accounts), clock_text(one.last, c.started_at))
        for one in intrusions
    )
    return Table("logins-after-failures", ("Client address", "Failed logins", "Then logged in as", "Last login"), rows)


CHECK = Check("takeover", "Did a guess succeed?", Facts, _queries, _judge, requires=("logins",))
