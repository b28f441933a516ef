"""What the gate says when it does not let something through."""

from __future__ import annotations

from cwltool.errors import WorkflowException


class Refused(WorkflowException):  # type: ignore[misc]  # cwltool is typed in part only
    """Something that a run may not do; the message is one line that names it, the path and what would allow it."""
