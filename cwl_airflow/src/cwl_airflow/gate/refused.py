"""What the gate says when it does not let something through."""

from __future__ import annotations

import re

from cwltool.errors import WorkflowException


class Refused(WorkflowException):
    """Something that a run may not do; the message is one line that names it, the path and what would allow it."""

    def __init__(self, message: str) -> None:
        """Say why, in one line whatever a name or path has in it."""
        super().__init__(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: ascii(found[0])[1:-1], message))
