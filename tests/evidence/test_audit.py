"""An audit proves a bundle unedited, or names each thing that is amiss in one sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.errors import EvidenceError
from runbook.evidence.audit import audit
from runbook.evidence.draft import Draft
from tests import samples
from tests.evidence.test_bundle import ALERT, INCIDENT, record

KEY = b"a key that only the worker knows"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed and signed bundle."""
    draft = Draft(tmp_path_factory.mktemp("evidence"), INCIDENT, ALERT, samples.ALERTED, key=KEY)
    record(draft.recording)
    draft.write(samples.NOTHING)
    (draft.path / "charts").mkdir()
    (draft.path / "charts" / "a.png").write_bytes(samples.PIXEL)
    return draft.seal("complete")


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """A copy to edit, under another name."""
    copy = Path(shutil.copytree(original, tmp_path / "copied"))
    for path in copy.rglob("*"):
        path.chmod(0o700)
    return copy


def reseal(bundle: Path, change: Callable[[dict[str, object]], object]) -> str:
    """Edit the manifest so that its own digest fits again, as a careful forger would."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    raw = json.dumps(manifest).encode()
    (bundle / "manifest.json").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    (bundle / "manifest.json.sha256").write_text(f"{digest}  manifest.json\n")
    return digest


def test_an_untouched_bundle_has_no_problem(bundle: Path) -> None:
    """Also copied elsewhere and renamed it is proved unedited, and its manifest's digest is told."""
    found = audit(bundle, key=KEY)
    assert (found.problems, found.unedited, found.signed) == ((), True, True)
    assert found.manifest_sha256 == hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert audit(bundle, expected=found.manifest_sha256.upper()).unedited


def test_one_changed_byte_is_named(bundle: Path) -> None:
    """The file, its digest now and the sealed one."""
    path = bundle / "report.md"
    path.write_bytes(path.read_bytes().replace(b"Incident", b"incident", 1))
    (problem,) = audit(bundle).problems
    assert problem.startswith("report.md was edited: its SHA-256 is ")


def test_a_file_cut_short_tells_its_sizes(bundle: Path) -> None:
    """A shorter file is edited, and the sentence says by how much."""
    size = (bundle / "report.html").stat().st_size
    with (bundle / "report.html").open("r+b") as file:
        file.truncate(10)
    (problem,) = audit(bundle).problems
    assert problem.endswith(f", 10 bytes instead of {size:,}.")


def test_a_missing_file_is_named(bundle: Path) -> None:
    """Also one in a folder below."""
    (bundle / "charts" / "a.png").unlink()
    assert audit(bundle).problems == ("charts/a.png is missing.",)


def test_an_added_file_is_named_harmlessly(bundle: Path) -> None:
    """Also a hidden one, and one whose name would move the cursor."""
    (bundle / "charts" / ".b\x1b[2K\n").write_text("")
    assert audit(bundle).problems == ("charts/.b␛[2K␊ was added: the manifest does not name it.",)


def test_a_link_in_place_of_a_file_is_named(bundle: Path, tmp_path: Path) -> None:
    """Even one that leads to the very same content is not what was sealed."""
    (bundle / "report.md").rename(tmp_path / "report.md")
    (bundle / "report.md").symlink_to(tmp_path / "report.md")
    (problem,) = audit(bundle).problems
    assert problem.startswith("report.md is not the file that was sealed")


def test_a_link_to_a_folder_is_not_followed(bundle: Path) -> None:
    """It is an added thing, not a way out of the bundle."""
    (bundle / "etc").symlink_to("/etc")
    assert audit(bundle).problems == ("etc was added: the manifest does not name it.",)


def test_a_pipe_does_not_hang_the_audit(bundle: Path) -> None:
    """What is no regular file is named at once."""
    (bundle / "report.md").unlink()
    os.mkfifo(bundle / "report.md")
    (problem,) = audit(bundle).problems
    assert problem.startswith("report.md is not the file that was sealed")


def test_an_edited_manifest_is_found_by_its_own_digest(bundle: Path) -> None:
    """A changed status does not fit the digest beside it."""
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"complete"', '"failed"'))
    (problem,) = audit(bundle).problems
    assert problem.startswith("manifest.json was edited: its SHA-256 is ")


def test_a_careful_forger_is_found_by_the_digest_noted_elsewhere(bundle: Path) -> None:
    """A manifest that fits its files again still is not the one that was sealed."""
    sealed = audit(bundle).manifest_sha256
    reseal(bundle, lambda manifest: manifest.update(made_by="somebody else"))
    assert audit(bundle).unedited
    (problem,) = audit(bundle, expected=sealed).problems
    assert problem.startswith("manifest.json is not the one that was sealed")


def test_a_careful_forger_is_found_by_the_key(bundle: Path) -> None:
    """Without the key no signature can be made that fits."""
    reseal(bundle, lambda manifest: manifest.update(made_by="somebody else"))
    found = audit(bundle, key=KEY)
    assert not found.signed
    assert found.problems == (
        "manifest.json.hmac does not fit manifest.json: it was edited, or sealed with another key.",
    )


def test_a_signature_taken_away_is_named(bundle: Path) -> None:
    """Who has the key expects a signature."""
    (bundle / "manifest.json.hmac").unlink()
    (problem,) = audit(bundle, key=KEY).problems
    assert problem.startswith("manifest.json.hmac is missing")


def test_a_damaged_recording_is_named_even_if_the_manifest_fits(bundle: Path) -> None:
    """The recording proves its own lines."""
    recording = bundle / "recording.jsonl.gz"
    recording.write_bytes(recording.read_bytes()[:-20])
    entry = {"sha256": hashlib.sha256(recording.read_bytes()).hexdigest(), "bytes": recording.stat().st_size}
    added = {"recording.jsonl.gz": entry}
    reseal(bundle, lambda manifest: manifest["files"].update(added))  # type: ignore[attr-defined]
    (problem,) = audit(bundle).problems
    assert "recording.jsonl.gz" in problem


def test_a_complete_run_without_recording_is_named(bundle: Path) -> None:
    """A bundle that claims to be complete has to replay."""
    (bundle / "recording.jsonl.gz").unlink()
    reseal(bundle, lambda manifest: manifest["files"].pop("recording.jsonl.gz"))  # type: ignore[attr-defined]
    assert audit(bundle).problems == ("recording.jsonl.gz is not in the bundle, so that the run cannot be replayed.",)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "charts/../../x"])
def test_a_manifest_cannot_lead_out_of_the_bundle(bundle: Path, name: str) -> None:
    """A path that the bundle does not hold is missing, wherever it leads."""
    (bundle.parent / "outside").write_text("")
    entry = {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}
    reseal(bundle, lambda manifest: manifest["files"].update({name: entry}))  # type: ignore[attr-defined]
    assert audit(bundle).problems == (f"{name} is missing.",)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"\xff", b'{"format": "other/9"}'])
def test_a_manifest_that_is_none_is_named(bundle: Path, raw: bytes) -> None:
    """What cannot be read as this version's manifest proves nothing."""
    (bundle / "manifest.json").write_bytes(raw)
    assert "cannot be read as a manifest of this version" in audit(bundle).problems[-1]


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    """A folder without a manifest, or no folder at all, is an error in one sentence."""
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(EvidenceError, match=r"has no manifest\.json: it is not a bundle"):
            audit(path)
