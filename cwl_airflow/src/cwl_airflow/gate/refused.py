"""What the gate says when it does not let something through."""

from __future__ import annotations

import re

from cwltool.errors import WorkflowException


def in_one_line(text: str) -> str:
    """Return a text without what would end its line, whatever a name or path has in it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: ascii(found[0])[1:-1], text)


class Refused(WorkflowException):
    """Something that a run may not do; the message is one line that names it, the path and what would allow it."""

    def __init__(self, message: str) -> None:
        """Say why, in one line."""
        super().__init__(in_one_line(message))
