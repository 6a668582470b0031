"""Was the public key replaced, or is it broken? When its Secret was created, and how the key file in a pod starts.

Only names and ages of Secrets are read, never a value, so a Secret edited in place is not noticed. The file is read
only where the environment allows exec into pods.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook import model
from runbook.alerts.checks.toolkit.series import split_time
from runbook.alerts.checks.workload.secrets import IN_PLACE, made_text, near
from runbook.investigation.definitions import Answers, Check, Context
from runbook.investigation.results import Results
from runbook.model import Answer, Query, Result, Status, Table
from runbook.sources.kubernetes import containers, secrets
from runbook.sources.kubernetes import queries as kubernetes
from runbook.sources.kubernetes.containers import KeyForm, PublicKey
from runbook.sources.kubernetes.secrets import Known
from runbook.text.time import duration_text

_KEYS = re.compile(r"jwt|jwks|key|cert|token|auth|sign", re.IGNORECASE)
_NOT_ONES = re.compile(r"^secret/(default-token-|sh\.helm\.release)|^configmap/kube-root-ca\.crt$")
_GOOD = ("public key", "certificate")


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """The Secrets that may hold a key, by name ("secret/jwt"), and those of them that the deployment needs and lacks.

    `replaced` is the newest that was created near the onset, `replaced_before` so many seconds before it (negative:
    after it); `unclear` those whose age is too coarse to say. `form` is what the key file starts like, `sound` whether
    that is a public key or a certificate (both None: the file was not read).
    """

    secrets: tuple[str, ...]
    missing: tuple[str, ...]
    replaced: str | None
    replaced_before: int | None
    unclear: tuple[str, ...]
    form: KeyForm | None
    sound: bool | None


def _queries(c: Context) -> Mapping[str, Query]:
    namespace, name, path = c.service.namespace, c.service.deployment, c.service.jwt_public_key_path
    asked = {"secrets": kubernetes.secrets(namespace, name)}
    if path and c.environment.kubernetes and c.environment.kubernetes.exec:
        asked["file"] = kubernetes.public_key(namespace, name, path, c.service.container)
    return asked


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    names = secrets.secrets_of(answers["secrets"]) if answers["secrets"].usable else None
    keys = [one for one in names.known if _is_key(one)] if names else []
    missing = tuple(name for name in names.missing if _KEYS.search(name)) if names else ()
    file = _file(answers.get("file"))
    began = split_time(c, earlier.onset)
    nearness = [(one, near(one, answers["secrets"].data["asked_at"], began)) for one in keys]
    newest = max((one for one, is_near in nearness if is_near), key=lambda one: one.created_at or 0.0, default=None)
    unclear = tuple(one.name for one, is_near in nearness if is_near is None)
    facts = Facts(
        secrets=tuple(one.name for one in keys),
        missing=missing,
        replaced=newest.name if newest else None,
        replaced_before=round(began - (newest.created_at or 0.0)) if newest else None,
        unclear=unclear,
        form=file.form if file else None,
        sound=None if file is None else file.form in _GOOD,
    )
    if not keys and not missing and file is None:
        return Result(
            "unknown",
            "Not known: no Secret of the namespace is named like a key, and the key file was not read.",
            facts,
        )
    bad = bool(newest or missing or facts.sound is False)
    status: Status = "abnormal" if bad else "unknown" if unclear else "normal"
    return Result(status, _sentence(facts, file), facts, tables=_tables(c, answers["secrets"], keys, file))


def _is_key(one: Known) -> bool:
    named = bool(_KEYS.search(one.name)) or one.type == "kubernetes.io/tls"
    return named and one.name.startswith("secret/") and not _NOT_ONES.match(one.name)


def _file(answer: Answer | None) -> PublicKey | None:
    return containers.public_key_of(answer) if answer is not None and answer.usable else None


def created_text(facts: Facts) -> str:
    """When the Secret near the onset was created, e.g. "secret/jwt was created 90 s before the onset"."""
    before = facts.replaced_before or 0
    return f"{facts.replaced} was created {duration_text(abs(before))} {'before' if before >= 0 else 'after'} the onset"


def missing_text(facts: Facts) -> str:
    """Which Secrets are missing, as a clause."""
    return f"{', '.join(facts.missing)} {'is' if len(facts.missing) == 1 else 'are'} missing"


def _sentence(facts: Facts, file: PublicKey | None) -> str:
    clauses = ([missing_text(facts)] if facts.missing else []) + [_age(facts), _head(file)]
    return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)


def _age(facts: Facts) -> str:
    """Whether a Secret with a key was created near the onset."""
    if facts.replaced:
        return created_text(facts)
    if facts.unclear:
        names = ", ".join(facts.unclear)
        return f"{names} may have been created shortly before the onset: the age is no longer known to the minute"
    if not facts.secrets:
        return "no Secret of the namespace is named like a key"
    return f"no Secret with a key was created shortly before the onset. {IN_PLACE}"


def _head(file: PublicKey | None) -> str:
    """How the key file starts."""
    if file is None:
        return "the key file was not read"
    if file.form in _GOOD:
        return f"{file.path} starts like a {file.form}"
    return f"{file.path} holds no public key ({file.form}{f': {file.error}' if file.error else ''})"


def _tables(c: Context, secrets: Answer, keys: Sequence[Known], file: PublicKey | None) -> tuple[Table, ...]:
    newest = sorted(keys, key=lambda one: -(one.created_at or 0.0))[:10]
    rows = tuple((one.name, one.type, made_text(c, one, secrets.data["asked_at"])) for one in newest)
    ages = Table("key-secrets", ("Secret", "Type", "Created"), rows)
    head = Table("key-file", (f"First lines in {file.pod}",), tuple((line,) for line in file.lines)) if file else None
    return tuple(one for one in (ages, head) if one is not None and one.rows)


CHECK = Check("signing_key", "Was the key replaced, or is it broken?", Facts, _queries, _judge, optional=("file",))
