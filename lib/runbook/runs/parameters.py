"""The parameters of a notebook, strictly: what it declares, and whether what was given fits.

papermill only warns about an unknown name and guesses types (007 becomes 7), so nothing is left to it. All pure.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runbook.errors import ParameterError
from runbook.investigation.window import Value, refuse
from runbook.model import JSON
from runbook.text.suggest import hint

KINDS: Final[Mapping[str, type[str] | type[int] | type[float] | type[bool]]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
}
_FLOAT: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INT: Final = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)


@dataclass(frozen=True)
class Declared:
    """One line of a notebook's parameters cell: `name: kind = default  # comment`."""

    name: str
    kind: str
    default: Value
    comment: str = ""


def declared(notebook: JSON) -> dict[str, Declared]:
    """What the notebook's cell tagged `parameters` declares, in its order."""
    cells = [cell for cell in notebook.get("cells", ()) if "parameters" in cell.get("metadata", {}).get("tags", ())]
    if len(cells) != 1:
        raise ParameterError(f"The notebook has {len(cells) or 'no'} cells tagged `parameters`; it needs exactly one.")
    source = cells[0].get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    try:
        lines = ast.parse(text).body
    except SyntaxError as error:
        raise ParameterError(
            f"The notebook's parameters cell is not Python (line {error.lineno}); correct it."
        ) from None
    found = [_declaration(line, text.splitlines()) for line in lines]
    return {one.name: one for one in found}


def _declaration(line: ast.stmt, source: Sequence[str]) -> Declared:
    match line:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind), value=ast.expr() as value) if (
            kind in KINDS
        ):
            pass
        case _:
            raise ParameterError(
                f"Line {line.lineno} of the notebook's parameters cell is not `name: type = value` "
                f"with one of {', '.join(KINDS)}."
            )
    try:
        default = ast.literal_eval(value)
    except ValueError:
        raise ParameterError(f"The default of the parameter {name} is not a literal; write the value itself.") from None
    comment = source[(line.end_lineno or line.lineno) - 1][line.end_col_offset or 0 :].strip().removeprefix("#").strip()
    return Declared(name, kind, _typed(name, kind, default), comment)


def check(known: Mapping[str, Declared], given: Mapping[str, Value]) -> dict[str, Value]:
    """The given values in the declared types; texts are read, anything else must have the type already."""
    for name in given:
        if name not in known:
            raise ParameterError(f"The notebook has no parameter {name[:80]!r}; {hint(name, known)}")
    return {name: _read(name, known[name].kind, value) for name, value in given.items()}


def _read(name: str, kind: str, value: Value) -> Value:
    if kind == "str" or not isinstance(value, str):
        return _typed(name, kind, value)
    if kind == "bool" and value in ("true", "false", "True", "False"):
        return value.casefold() == "true"
    if kind == "int" and _INT.fullmatch(value) and len(value) < 20:
        return int(value)
    if kind == "float" and _FLOAT.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    refuse(name, value, {"bool": "true or false", "int": "a whole number like 7", "float": "a number like 0.5"}[kind])


def _typed(name: str, kind: str, value: Value) -> Value:
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value) is not KINDS[kind]:
        raise ParameterError(
            f"The parameter {name} is declared as {kind} but is {type(value).__name__}; give it a {kind}."
        )
    return value
