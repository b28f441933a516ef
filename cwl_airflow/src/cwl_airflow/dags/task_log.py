"""What cwltool says goes into the log of the task that runs it, at its own level."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

#: The loggers of cwltool and its parts that write to stderr by themselves.
LOGGERS = ("cwltool", "salad", "cwl_utils")
#: It only shows the traceback of what it raises.
RAISES = logging.getLogger("cwl_utils")


@contextlib.contextmanager
def cwltool_in_task_log(quiet: bool) -> Iterator[None]:
    """Show what cwltool says in the log of the task.

    Airflow's root logger takes it with its level. What is written to stderr, Airflow shows as an error, whatever it is:
    so what cwltool's programs write, as a container engine that pulls an image, goes to stdout.

    :param quiet: only its warnings.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    handlers = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = []
        logger.setLevel(logging.WARNING if quiet else logging.INFO)
    RAISES.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(sys.stdout):
            yield
    finally:
        for logger, own in zip(loggers, handlers, strict=True):
            logger.handlers = own
