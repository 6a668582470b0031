"""`runbook audit`"""

from __future__ import annotations

from pathlib import Path

import click

from runbook.commands import options


@click.command("audit")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--expect", default="", metavar="SHA256", help="The manifest's digest as `runbook run` printed it.")
@options.as_json
def command(bundle: Path, expect: str, json_: bool) -> int:
    """Check that every file of a bundle is as it was sealed. Exit code 0 if so, 1 if not."""
    from runbook.audit import audit

    found = audit(bundle, expected=expect)
    status = found.manifest.status if found.manifest else ""
    if json_:
        options.print_json(
            {
                "unedited": found.unedited,
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
        options.line(f"Unedited: {len(found.manifest.files)} files of a run that was {status}.")
        options.line(f"Manifest: sha256 {found.manifest_sha256} ({proof})")
    return 0 if found.unedited else 1
