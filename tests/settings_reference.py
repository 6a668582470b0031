"""docs/settings.md: every table and key of runbook.toml, read off lib/runbook/config/schema.py.

python -m tests.settings_reference        # writes it; a test holds it fresh
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import inf
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from runbook.alerts.thresholds import SHIPPED
from runbook.config import schema
from runbook.config.types import KINDS, WORDS
from runbook.investigation.thresholds import Threshold
from tests import ROOT

PAGE = ROOT / "docs/settings.md"
THRESHOLDS = "[service.NAME.thresholds]"
OPEN_TABLE = (
    "What the alerts fire at. The table is open: an alert declares its thresholds by name, default and unit, one "
    "of your own as well. A name that no alert declares is refused, with the nearest one that is. "
    "The shipped alerts declare:"
)
PATHS = ("kubeconfig", "recording", "evidence")  # and every key that ends in _file
TABLES: Mapping[str, type[msgspec.Struct]] = {
    "[service.NAME]": schema.Service,
    "[alerts]": schema.Alerts,
    "[environment.NAME]": schema.Environment,
    "[environment.NAME.prometheus]": schema.Prometheus,
    "[environment.NAME.elasticsearch]": schema.Elasticsearch,
    "[environment.NAME.kubernetes]": schema.Kubernetes,
    "[environment.NAME.mysql]": schema.MySQL,
    "[environment.NAME.prometheus.auth] and [environment.NAME.elasticsearch.auth]": schema.Auth,
}
UNITS = {  # by the end of a key's name
    "_per_second": "per second",
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_ratio": "a share of 1: 0.05 is 5 %",
}
INTRODUCTION = """\
# Settings: every key of runbook.toml

Made from `lib/runbook/config/schema.py` by `python -m tests.settings_reference`; a test holds it fresh. How to fill the
file in, step by step: [Your service](your-service.md).

The file has three kinds of tables. A *service profile*, `[service.NAME]`, says what one service calls its metrics, log
fields and Kubernetes objects. An *environment*, `[environment.NAME]`, says where to ask, and which profile runs there.
Several environments may share a profile. `[alerts]` says where alerts of your own are.

- A key that is not in these tables is refused, with the nearest one that is.
- Secrets never stand in the file. A key that ends in `_env` names an environment variable, one that ends in `_file` a
  file; the secret is read from there when it is needed. Name only one of the two.
- Paths are relative to the folder of runbook.toml; `~` is the home folder.
- Sizes are in bytes, times in seconds; the key's name says which.

Which file is read: `--settings`, else the variable `RUNBOOK_SETTINGS`, else the nearest `runbook.toml` upward from the
current folder, else the one that comes with the package. Three more variables count: `RUNBOOK_ENVIRONMENT` is the
environment where none is named on the command line, `RUNBOOK_EVIDENCE` the folder in which a notebook opened by hand or
run by papermill leaves its bundle, and `RUNBOOK_BUNDLE` is set by `runbook run` for its own kernel: do not set it."""


def descriptions(table: type[msgspec.Struct]) -> dict[str, str]:
    """The text below each setting of a table, on one line, by the setting's name."""
    body = ast.parse(inspect.getsource(table)).body[0].body  # type: ignore[attr-defined]
    return {
        setting.target.id: " ".join(str(text.value.value).split())
        for setting, text in pairwise(body)
        if isinstance(setting, ast.AnnAssign)
        and isinstance(setting.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def kind(annotation: Any) -> str:
    """A type in plain words: an address beginning with http:// or https://."""
    if get_origin(annotation) is Literal:
        return " or ".join(f'`"{choice}"`' for choice in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return kind(next(one for one in get_args(annotation) if one is not type(None)))
    if get_origin(annotation) is dict:
        name, value = get_args(annotation)
        return f"a table of {kind(name).removeprefix('a ')} = {kind(value)}"
    if get_origin(annotation) is list:
        return f"a list of {kind(get_args(annotation)[0])}s"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return "a table"
    base, limits = _unwrapped(annotation)
    if limits is None:
        return KINDS[base.__name__]
    if limits.pattern:
        return _head(WORDS[limits.pattern])
    above = f" above {limits.gt}" if limits.gt is not None else ""
    return f"{KINDS[base.__name__]}{above}{f', up to {limits.le}' if limits.le is not None else ''}"


def _unwrapped(annotation: Any) -> tuple[Any, msgspec.Meta | None]:
    """The plain type and what is said of it."""
    if not hasattr(annotation, "__metadata__"):
        return annotation, None
    return annotation.__origin__, next(one for one in annotation.__metadata__ if isinstance(one, msgspec.Meta))


def _head(words: str) -> str:
    """The first half of what a value should be; the whole of it stands at the end of the page."""
    return min((words.partition(mark)[0] for mark in (", ", ": ", "; ")), key=len)


def unit(name: str) -> str:
    """The unit that a key's name tells, "" where it tells none."""
    return next((words for end, words in UNITS.items() if name.endswith(end)), "")


def default(field: FieldInfo) -> str:
    """The default as TOML writes it; "required" where there is none."""
    value = field.default if field.default is not msgspec.NODEFAULT else msgspec.NODEFAULT
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is msgspec.NODEFAULT:
        return "**required**"
    if value is None or value in ("", {}, []):
        return "none"
    if isinstance(value, msgspec.Struct):
        return "its own"
    return f"`{msgspec.json.encode(value).decode()}`"


def rows(table: type[msgspec.Struct]) -> Iterator[str]:
    """A line for each key of a table."""
    told = descriptions(table)
    for field in msgspec.structs.fields(table):
        if table is schema.Service and field.name == "name":
            continue  # the table's own name
        measured = f"; {unit(field.name)}" if unit(field.name) else ""
        said = told.get(field.name, "")
        value = "a path" if field.name.endswith("_file") or field.name in PATHS else kind(field.type)
        yield f"| `{field.name}` | {value}{measured} | {default(field)} |{f' {said} ' if said else ' '}|"


def thresholds() -> list[str]:
    """The table of thresholds: those that the shipped alerts declare."""
    head = ["", f"## `{THRESHOLDS}`", "", OPEN_TABLE, "", "| key | value | default | meaning |", "|---|---|---|---|"]
    return head + [
        f"| `{one.name}` | {_limits(one)}; {one.unit} | `{one.default}` | {one.meaning}. |" for one in SHIPPED
    ]


def _limits(one: Threshold) -> str:
    below = "" if one.less_than == inf else f", below {one.less_than:g}"
    return f"{'a whole' if one.whole else 'a'} number above 0{below}"


def section(heading: str, table: type[msgspec.Struct]) -> list[str]:
    """One table of the file: what it is for, and its keys."""
    names = ", ".join(f"`{name}`" for name in heading.replace(" and ", ", ").split(", "))
    told = inspect.cleandoc(table.__doc__ or "")
    return ["", f"## {names}", "", told, "", "| key | value | default | meaning |", "|---|---|---|---|", *rows(table)]


def page() -> str:
    """The reference in Markdown."""
    lines = INTRODUCTION.splitlines()
    for heading, table in TABLES.items():
        lines += section(heading, table)
        if table is schema.Service:
            lines += thresholds()
    lines += ["", "## The kinds of value", "", "| in short | in full |", "|---|---|"]
    lines += [f"| {_head(words)} | {words} |" for words in dict.fromkeys(WORDS.values()) if _head(words) != words]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} holds {sum(len(list(rows(table))) for table in TABLES.values())} keys.")
