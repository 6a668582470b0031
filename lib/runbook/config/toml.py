"""Reads a TOML file into typed values strictly; every refusal is one sentence: the file, the key, what was expected."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from runbook.config.types import KINDS, WORDS
from runbook.errors import SettingsError
from runbook.text.suggest import hint

T = TypeVar("T")
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at (?:`key` in )?`(?P<path>[^`]*)`)?\Z", re.DOTALL)
_TYPES = re.compile(r"Expected `(?P<wanted>[^`]*)`(?P<rest>.*)", re.DOTALL)


def read(path: Path) -> dict[str, Any]:
    """The file's tables, whatever is in them."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(
            f"The settings file {path} does not exist; correct --settings or RUNBOOK_SETTINGS."
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); correct its permissions.") from None
    except RecursionError:
        raise SettingsError(f"{path} is not valid: its lists are nested too deeply; correct them.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}; correct that line.") from None


def convert(raw: object, kind: type[T], path: Path, key: str) -> T:
    """The value of a key as `kind`; SettingsError where it does not fit."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        found = _MESSAGE.match(str(error))
        what, inner = (found["what"], found["path"] or "$") if found else (str(error), "$")
        refuse(path, f"{key}{inner.removeprefix('$')}", _told(what, _type_at(kind, inner)))


def refuse(path: Path, key: str, what: str) -> NoReturn:
    """Raise the one sentence about a key."""
    raise SettingsError(f"{path}: `{key}` {what}") from None


def known(raw: Mapping[str, Any], names: Iterable[str], path: Path) -> None:
    """Refuse a top-level table that has no meaning."""
    for name in raw:
        if name not in names:
            refuse(path, name, f"is not a table of the settings; {hint(name, names)}")


def _told(what: str, kind: Any) -> str:
    """One of msgspec's messages in our words."""
    if unknown := re.match(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return f"has an unknown key `{unknown[1]}`; {hint(unknown[1], _fields(kind))}"
    if missing := re.match(r"Object missing required field `(.*)`", what):
        return f"lacks `{missing[1]}`; add it."
    if what.startswith("Invalid enum value"):
        choices = " or ".join(f'"{choice}"' for choice in get_args(kind))
        return f"should be {choices}."
    for pattern, words in WORDS.items():
        if repr(pattern) in what:
            return f"should be {words}."
    if expected := _TYPES.match(what):
        wanted = " or ".join(KINDS.get(name, name) for name in expected["wanted"].split(" | ") if name != "null")
        got = re.sub(r"`(\w+)`", lambda match: KINDS.get(match[1], match[1]), expected["rest"])
        return f"should be {wanted}{_limit(got)}."
    return f"is wrong: {what}."


def _limit(rest: str) -> str:
    """The second half of an expectation: ", got text", or " above 0"."""
    return rest.replace(">=", "from").replace("<=", "up to").replace(">", "above").replace("<", "below")


def _fields(kind: Any) -> list[str]:
    return list(get_type_hints(kind)) if isinstance(kind, type) else []


def _type_at(kind: Any, inner: str) -> Any:
    """The declared type at a path like `$.auth.headers[...]`, optional and annotated layers taken off."""
    for name in re.findall(r"\.(\w+)", inner):
        kind = _bare(get_type_hints(kind).get(name)) if isinstance(kind, type) else None
    return kind


def _bare(kind: Any) -> Any:
    if get_origin(kind) is Literal or isinstance(kind, type):
        return kind
    choices = [one for one in get_args(kind) if isinstance(one, type) and one is not type(None)]
    return choices[0] if choices else kind
