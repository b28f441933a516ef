"""What cwltool says goes into the log of the task that runs it, at its own level."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

#: The loggers of cwltool and its parts that write to stderr by themselves.
LOGGERS = ("cwltool", "salad", "cwl_utils")


def _is_no_error_that_is_raised(record: logging.LogRecord) -> bool:
    """Tell whether nobody else shows a message: cwl_utils shows each error that it raises, with its traceback."""
    return not record.exc_info


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
    logging.getLogger("cwl_utils").addFilter(_is_no_error_that_is_raised)
    try:
        with contextlib.redirect_stderr(sys.stdout):
            yield
    finally:
        for logger, own in zip(loggers, handlers, strict=True):
            logger.handlers = own
