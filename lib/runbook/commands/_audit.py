"""`runbook audit`"""

from __future__ import annotations

from pathlib import Path

import click

from runbook.commands import options


@click.command("audit")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--expect", default="", metavar="SHA256", help="The manifest's digest as `runbook run` printed it.")
@click.option("--environment", metavar="NAME", help="Check the signature too, with this environment's seal key.")
@options.settings_file
@options.as_json
def command(bundle: Path, expect: str, environment: str | None, settings_path: Path | None, json_: bool) -> int:
    """Check that every file of a bundle is as it was sealed. Exit code 0 if so, 1 if not."""
    from runbook.audit import audit

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
        proof = "compared with the one given" if expect else "compare it with the one noted when it was sealed"
        signed = ", signed with the environment's key" if found.signed else ""
        options.line(f"Unedited: {len(found.manifest.files)} files of a run that was {status}{signed}.")
        options.line(f"Manifest: sha256 {found.manifest_sha256} ({proof})")
    return 0 if found.unedited else 1


def _key(name: str, settings_path: Path | None) -> bytes:
    from runbook import settings as reader
    from runbook.errors import SettingsError

    settings = reader.load(settings_path)
    key = reader.seal_key(settings.environment(name))
    if not key:
        raise SettingsError(
            f"Environment {name} names no seal key; set seal_key_env or seal_key_file in {settings.path}, or leave out --environment."
        )
    return key
