"""`runbook audit`"""

from __future__ import annotations

import re
from pathlib import Path

import click

from runbook.cli import options


@click.command("audit")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--expect", default="", metavar="SHA256", help="The manifest's digest as `runbook run` printed it.")
@click.option("--environment", metavar="NAME", help="Check the signature too, with this environment's seal key.")
@options.settings_file
@options.as_json
def command(*, bundle: Path, expect: str, environment: str | None, settings_path: Path | None, json_: bool) -> int:
    """Check that every file of a bundle is as it was sealed. Exit code 0 if so, 1 if not."""
    from runbook.evidence.audit import audit

    if expect and not re.fullmatch(r"\s*[0-9a-fA-F]{64}\s*", expect, re.ASCII):
        raise click.UsageError(
            "--expect takes the 64 hexadecimal digits that `runbook run` printed.", click.get_current_context()
        )
    found = audit(bundle, expected=expect, key=_key(environment, settings_path) if environment else b"")
    status = found.manifest.status if found.manifest else ""
    if json_:
        options.print_json(
            {
                "unedited": found.unedited,
                "signed": found.signed,
                "problems": found.problems,
                "manifest_sha256": found.manifest_sha256,
                "status": status,
            }
        )
        return 0 if found.unedited else 1
    for problem in found.problems:
        options.line(problem)
    if found.unedited and found.manifest:
        files = f"{len(found.manifest.files)} files of a run that was {status}"
        if expect or found.signed:
            signed = ", signed with the environment's key" if found.signed else ""
            options.line(f"Unedited: {files}{signed}.")
        else:
            options.line(f"Agrees with its manifest: {files}.")
            options.line(
                "This does not detect someone who changed both files and manifest; "
                "use --expect or a seal key (--environment)."
            )
        options.line(f"Manifest: sha256 {found.manifest_sha256}{' (as expected)' if expect else ''}")
    return 0 if found.unedited else 1


def _key(name: str, settings_path: Path | None) -> bytes:
    from runbook.config import secrets
    from runbook.config import settings as reader
    from runbook.errors import SettingsError

    settings = reader.load(settings_path)
    key = secrets.seal_key(settings.environment(name))
    if not key:
        raise SettingsError(
            f"Environment {name} names no seal key; set seal_key_env or seal_key_file in {settings.path}, "
            "or leave out --environment."
        )
    return key
