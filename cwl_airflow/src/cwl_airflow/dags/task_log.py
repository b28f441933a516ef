"""What cwltool says goes into the log of the task that runs it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def cwltool_in_task_log(quiet: bool) -> Iterator[None]:
    """Show what cwltool says in the log of the task.

    :param quiet: only its warnings.
    """
    cwltool = logging.getLogger("cwltool")
    handlers, stderr = cwltool.handlers[:], sys.stderr
    cwltool.handlers = logging.getLogger("airflow.task").handlers[:]
    cwltool.setLevel(logging.WARNING if quiet else logging.INFO)
    sys.stderr = sys.__stderr__  # cwltool hands it to processes: it must be a real file
    try:
        yield
    finally:
        sys.stderr = stderr
        cwltool.handlers = handlers
