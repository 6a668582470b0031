"""What a person who wrote an unknown name probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def hint(name: str, known: Iterable[str]) -> str:
    """Words for the end of an error: the nearest known name, if one is near, and all of them."""
    names = sorted(known)
    by_folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold()[:200], by_folded, n=1)
    meant = f"did you mean {by_folded[near[0]]}? Known" if near else "known"
    return f"{meant}: {', '.join(names) or 'none'}."
