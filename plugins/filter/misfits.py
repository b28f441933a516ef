"""Find values that do not have the form that they need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any


def misfits(forms: Iterable[Mapping[str, Any]]) -> list[str]:
    """Describe the values that do not have their form.

    One assertion for all: each item of a loop costs Ansible as much as a task.

    :param forms: for each variable its ``name``, the values ``given`` there, the ``pattern`` that the whole of each
        must match (a regular expression), and the ``fix`` to be told.
    :returns: one line for each variable with such values, which names them.
    """
    lines = []
    for form in forms:
        wrong = [value for value in form["given"] if not re.fullmatch(form["pattern"], str(value))]
        if wrong:
            lines.append(f"{form['name']} has {', '.join(map(json.dumps, wrong))}: {form['fix']}")
    return lines


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"misfits": misfits}
