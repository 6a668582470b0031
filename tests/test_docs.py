"""What README.md and docs/ say is true: links, commands, settings, files, names."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import tomli_w

from runbook import errors
from runbook.cli.main import COMMANDS, cli
from runbook.config import settings
from runbook.evidence.manifest import Manifest
from runbook.recording.keys import Header
from tests import ROOT

README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
WORDS = 900
SERVICE = {
    "metric_prefix": "x_",
    "metric_labels": {"app": "x"},
    "log_app": "x",
    "index": "x",
    "namespace": "x",
    "deployment": "x",
}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    """The blocks of code of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines(program: str) -> Iterator[tuple[str, list[str]]]:
    """Every command line of a program in blocks of shell, with its page."""
    for page in PAGES:
        for line in "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
            if line.startswith(f"{program} "):
                yield page.name, shlex.split(line.partition(" > ")[0], comments=True)[1:]


def mentions() -> Iterator[tuple[str, list[str]]]:
    """Every `runbook COMMAND …` in a sentence or a table, with its page."""
    for page in PAGES:
        for words in re.findall(r"`runbook ([a-z][^`]*)`", prose(page)):
            yield page.name, words.split()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found, f"there is no command {name}"
    return found


def merged(block: dict[str, Any]) -> dict[str, Any]:
    """A fragment as a whole file: what it leaves out is filled in with the least that the settings need."""
    tables = block if {"service", "environment", "alerts"} & set(block) else {"environment": {"it": block}}
    environments = {name: {"service": "x", **table} for name, table in tables.get("environment", {}).items()}
    named = {"x": {}, **tables.get("service", {}), **{one["service"]: {} for one in environments.values()}}
    services = {name: {**SERVICE, **tables.get("service", {}).get(name, {})} for name in named}
    return {**tables, "service": services, "environment": environments}


def test_the_readme_takes_five_minutes():
    """It has at most 900 words, code included."""
    assert len(text("README.md").split()) <= WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path):
    """Each relative link and picture is a file of the project, each anchor one of its headings."""
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", prose(page)):
        path, _, anchor = "".join(target).partition("#")
        if "://" in path:
            continue
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path):
    """A path of the project in a sentence or a table exists, placeholders apart."""
    named = re.findall(r"`((?:lib|tests|docs|deploy|notebooks|tools)/[\w./-]+)`", prose(page))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_command_line_parses():
    """Each `runbook …` line in a block of shell names a command, its options and all its arguments."""
    found = list(lines("runbook"))
    assert found
    for page, (name, *arguments) in found:
        one = command(name)
        given, rest, _ = one.make_parser(click.Context(one)).parse_args(list(arguments))
        missing = [p.name for p in one.params if p.required and given.get(p.name or "") is None]
        assert not rest and not missing, f"{page}: runbook {name} {arguments}"


def test_every_option_that_is_mentioned_exists():
    """Each option of a `runbook …` in a sentence or a table is one of that command."""
    for page, (name, *rest) in mentions():
        known = {text for parameter in command(name).params for text in (*parameter.opts, "--help")}
        assert {word for word in rest if word.startswith("-")} <= known, f"{page}: runbook {name} {rest}"


def test_every_parameter_for_papermill_exists():
    """Each `-p name` is a parameter of the notebook that is run."""
    found = list(lines("papermill"))
    assert found
    for page, (notebook, _, *arguments) in found:
        cells = json.loads(text(notebook))["cells"]
        declared = next("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", ()))
        given = {name for flag, name in pairwise(arguments) if flag == "-p"}
        assert given <= set(re.findall(r"^(\w+):", declared, re.MULTILINE)), page


def test_every_target_of_make_exists():
    """Each `make …` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    said = {arguments[0] for _, arguments in lines("make")}
    said |= {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`", prose(page))}
    assert said <= targets


def test_every_module_that_is_run_exists():
    """Each `python -m tests.…` is a module of the tests."""
    said = {name for page in PAGES for name in re.findall(r"python -m (tests[\w.]*)", page.read_text(encoding="utf-8"))}
    paths = [ROOT / name.replace(".", "/") for name in said]
    assert all(path.with_suffix(".py").exists() or (path / "__main__.py").exists() for path in paths), said


@pytest.mark.parametrize(
    ("page", "block"),
    [pytest.param(page, block, id=page.stem) for page in PAGES for block in blocks(page, "toml")],
)
def test_every_block_of_settings_loads(page: Path, block: str, tmp_path: Path):
    """A block of TOML, made whole, is taken by the reader of the settings."""
    file = tmp_path / settings.FILE_NAME
    file.write_text(tomli_w.dumps(merged(tomllib.loads(block))), encoding="utf-8")
    assert settings.load(file).path == file


@pytest.mark.parametrize("page", ["README.md", "docs/exit-codes.md"])
def test_every_command_is_documented(page: str):
    """README and the exit codes have a row for each command."""
    assert {name for name in COMMANDS if f"| `runbook {name}" not in text(page)} == set()


def test_every_error_is_documented():
    """docs/exit-codes.md has a row for each class of errors.py, and for nothing else."""
    classes = {
        name for name, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.RunbookError)
    }
    rows = set(re.findall(r"^\| `(\w+)` \|", text("docs/exit-codes.md"), re.MULTILINE))
    assert rows == classes


def test_every_exit_code_is_documented():
    """docs/exit-codes.md has a row for each exit code that the program's own words name."""
    from runbook.cli import main

    named = set(re.findall(r"\b(\d+) (?:complete|failed|wrong|evidence|interrupted|where)", main.__doc__ or ""))
    assert named and named <= set(re.findall(r"^\| (\d+) \|", text("docs/exit-codes.md"), re.MULTILINE))


def test_every_field_is_documented():
    """docs/formats.md names each field of the manifest, of findings.json and of a recording's header."""
    findings = json.loads(text("lib/runbook/reporting/findings.schema.json"))["properties"]
    fields = {*Manifest.__struct_fields__, *findings, *inspect.signature(Header).parameters}
    assert {name for name in fields if f"`{name}`" not in text("docs/formats.md")} == set()


def test_the_answer_of_the_readme_is_the_notebooks():
    """The verdict that README quotes stands in the committed notebook."""
    quoted = re.findall(r"^> \*\*(.*)\*\*$", text("README.md"), re.MULTILINE)
    assert quoted
    assert all(verdict in text("notebooks/HighErrorRate.ipynb") for verdict in quoted)


def test_the_commands_of_the_readme_are_the_notebooks():
    """Each command that README quotes from the report stands in the committed notebook."""
    quoted = re.findall(r"^kubectl .*$", text("README.md"), re.MULTILINE)
    assert quoted
    assert all(line in text("notebooks/HighErrorRate.ipynb") for line in quoted)
