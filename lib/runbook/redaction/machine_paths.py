"""The folders of this machine, out of a text that others will read: what lies in them stays named."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import runbook

ELSEWHERE = "…"


def shortener(*private: Path) -> Callable[[str], str]:
    """Takes those folders out of a text: `~` for the home folder, `…` for temporary ones and each in `private`.

    A file that Python can import reads as it is imported: `runbook/incident.py`.
    """
    names: dict[str, str] = {}
    for folder, name in _folders(private):
        for path in (folder, folder.resolve()):
            if path.is_absolute() and path != Path(path.anchor):
                names.setdefault(str(path), name)
    folders = "|".join(re.escape(folder) for folder in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.~-])({folders})(?![\w.-])/?")

    def shortened(found: re.Match[str]) -> str:
        name, inside = names[found[1]], found[0].endswith("/")
        return f"{name}/" if name and inside else name or ("" if inside else ".")

    return lambda text: pattern.sub(shortened, text)


def _folders(private: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    with suppress(RuntimeError):  # there is no home folder
        yield Path.home(), "~"
    yield from ((folder, ELSEWHERE) for folder in private)
    yield Path(runbook.__file__).parent.parent, ""
    yield from ((Path(entry), "") for entry in sys.path if Path(entry).is_absolute())
    yield from ((Path(folder), ELSEWHERE) for folder in (tempfile.gettempdir(), sys.prefix, sys.base_prefix))
