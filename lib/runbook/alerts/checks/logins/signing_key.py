"""Was the public key made anew, or is it broken? Whether its Secret was made anew shortly before the onset, and what the file in a pod begins with.

The names and ages of Secrets are read, never a value, so one changed in place is not seen; the file only where the
environment allows to look into pods.
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
from runbook.sources.kubernetes import client as kubernetes
from runbook.sources.kubernetes.containers import PublicKey
from runbook.sources.kubernetes.secrets import Known
from runbook.text.format import duration_text

_KEYS = re.compile(r"jwt|jwks|key|cert|token|auth|sign", re.IGNORECASE)
_NOT_ONES = re.compile(r"^secret/(default-token-|sh\.helm\.release)|^configmap/kube-root-ca\.crt$")
_GOOD = ("public key", "certificate")


@dataclass(frozen=True, kw_only=True)
class Facts(model.Facts):
    """TODO: what is found, units."""

    secrets: TODO
    missing: TODO
    replaced: TODO
    replaced_before: TODO
    unclear: TODO
    form: TODO
    sound: TODO


def _queries(c: Context) -> Mapping[str, Query]:
    namespace, name, path = c.service.namespace, c.service.deployment, c.service.jwt_public_key_path
    asked = {"secrets": kubernetes.secrets(namespace, name)}
    if path and c.environment.kubernetes and c.environment.kubernetes.exec:
        asked["file"] = kubernetes.public_key(namespace, name, path, c.service.container)
    return asked


def _judge(c: Context, answers: Answers, earlier: Results) -> Result:
    names = kubernetes.secrets_of(answers["secrets"]) if answers["secrets"].usable else None
    keys = [one for one in names.known if _is_key(one)] if names else []
    missing = [name for name in names.missing if _KEYS.search(name)] if names else []
    file = _file(answers.get("file"))
    began = split_time(c, earlier.onset)
    nearness = [(one, near(one, answers["secrets"].data["asked_at"], began)) for one in keys]
    newest = max((one for one, is_near in nearness if is_near), key=lambda one: one.created_at or 0.0, default=None)
    unclear = [one.name for one, is_near in nearness if is_near is None]
    facts = Facts(
        secrets=[one.name for one in keys],
        missing=missing,
        replaced=newest.name if newest else None,
        replaced_before=round(began - (newest.created_at or 0.0)) if newest else None,
        unclear=unclear,
        form=file.form if file else None,
        sound=None if file is None else file.form in _GOOD,
    )
    if not keys and not missing and file is None:
        return Result(
            "unknown", "Not known: no Secret of the namespace has a key's name, and no file was looked at.", facts
        )
    bad = bool(newest or missing or facts.sound is False)
    status: Status = "abnormal" if bad else "unknown" if unclear else "normal"
    return Result(status, _sentence(facts, keys, file), facts, tables=_tables(c, answers["secrets"], keys, file))


def _is_key(one: Known) -> bool:
    named = bool(_KEYS.search(one.name)) or one.type == "kubernetes.io/tls"
    return named and one.name.startswith("secret/") and not _NOT_ONES.match(one.name)


def _file(answer: Answer | None) -> PublicKey | None:
    return kubernetes.public_key_of(answer) if answer is not None and answer.usable else None


def _sentence(facts: Facts, keys: Sequence[Known], file: PublicKey | None) -> str:
    said: list[str] = []
    if facts.missing:
        said.append(f"{', '.join(facts.missing)} is missing")
    if facts.replaced:
        before = facts.replaced_before
        order = "before" if before >= 0 else "after"
        said.append(f"{facts.replaced} was made anew {duration_text(abs(before))} {order} the onset")
    elif facts.unclear:
        said.append(
            f"{', '.join(facts.unclear)} may have been made anew shortly before the onset: its age is not known to the minute any more"
        )
    elif not keys:
        said.append("no Secret of the namespace has a key's name")
    else:
        said.append(f"no key's Secret was made anew shortly before the onset, {IN_PLACE}")
    if file is None:
        said.append("the file itself was not looked at")
    elif file.form in _GOOD:
        said.append(f"{file.path} begins as a {file.form} does")
    else:
        trouble = f": {file.error}" if file.error else ""
        said.append(f"{file.path} holds no public key ({file.form}{trouble})")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def _tables(c: Context, secrets: Answer, keys: Sequence[Known], file: PublicKey | None) -> tuple[Table, ...]:
    newest = sorted(keys, key=lambda one: -(one.created_at or 0.0))[:10]
    rows = tuple((one.name, one.type, made_text(c, one, secrets.data["asked_at"])) for one in newest)
    ages = Table("key-secrets", ("Secret", "Type", "Made"), rows)
    head = Table("key-file", (f"First lines in {file.pod}",), tuple((line,) for line in file.lines)) if file else None
    return tuple(one for one in (ages, head) if one is not None and one.rows)


CHECK = Check("signing_key", "Was the key made anew, or is it broken?", Facts, _queries, _judge, optional=("file",))
