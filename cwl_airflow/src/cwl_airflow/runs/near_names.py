"""What somebody may have meant by a name that is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of some names that somebody may have meant."""
    by_fold = {other.lower(): other for other in names}
    found = difflib.get_close_matches(name.lower(), by_fold, n=1, cutoff=0.7)
    return by_fold[found[0]] if found else None


def did_you_mean(name: str | None) -> str:
    """Return the question whether somebody meant a name; nothing without one."""
    return f" Did you mean '{name}'?" if name else ""
