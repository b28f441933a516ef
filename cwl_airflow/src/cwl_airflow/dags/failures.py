"""How the failure of a task is told: a line for the page and the reports, and the tool's last lines for the log."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException

from ..javascript.thrown import FAILED, failed_expression, thrown_error

if TYPE_CHECKING:
    from ..runs.executor import JobFailure

#: Errors that have the object in question after what is wrong.
OF_CWLTOOL = ("cwltool.", "cwl_utils.", "schema_salad.")
#: Where errors come from that say all: of any other one wants to know where it was raised.
EXPECTED = (*OF_CWLTOOL, "cwl_airflow.gate.", "cwl_airflow.runs.images")
#: Where in a document something is wrong.
PLACE = re.compile(r"^\S+:\d+:\d+: ?", re.MULTILINE)
#: The same amid a text, with the folder of the document.
FOLDER_OF_PLACE = re.compile(r"(?<=\s)\S+/(?=[^\s/]+:\d+:\d+: )")
#: What there is to do about something, by how cwltool says it.
WHAT_TO_DO = {
    "contains illegal characters": ", with which it could become a command in this tool: rename the file, or set "
    "relax_path_checks"
}
#: JSON as cwltool shows it, on several lines.
OBJECT = re.compile(r"(?:\n in )?\{\n")
#: Characters of an error in one line, with the name of what failed.
LONGEST_ERROR = 600


class StepFailed(AirflowException):
    """A task failed; the message says in one line which, and why."""


def is_expected(error: BaseException) -> bool:
    """Tell whether an error says all by its message."""
    return isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith(EXPECTED)


def error_line(error: BaseException, name: str, task_id: str) -> str:
    """Return in one line what failed, and why.

    :param name: of the step or else the task.
    """
    said = " ".join(str(error).split()) if isinstance(error, StepFailed) else last_line(error)
    return shorten(said if said.startswith((f"{name}:", f"{task_id}:")) else f"{name}: {said}", LONGEST_ERROR)


def last_line(error: BaseException) -> str:
    """Return in one line what is wrong: cwltool puts it after where it was, and the object in question after it."""
    text = PLACE.sub("", str(error))
    if is_of_expression(error):
        text = of_expression(error)
    elif type(error).__module__.startswith(OF_CWLTOOL):
        text = with_what_to_do(OBJECT.split(text)[0])
    return shorten(" ".join(text.split()), 400) or type(error).__name__


def error_text(error: BaseException) -> str:
    """Return what is wrong, for the log: of an expression that failed without all the inputs that it was given."""
    if not is_of_expression(error):
        return with_what_to_do(str(error))
    return "\n".join(filter(None, [of_expression(error), failed_expression(PLACE.sub("", str(error)))]))


def with_what_to_do(text: str) -> str:
    """Return what cwltool says is wrong, and what to do where it does not say it."""
    return text + next((more for said, more in WHAT_TO_DO.items() if text.endswith(said)), "")


def is_of_expression(error: BaseException) -> bool:
    """Tell whether an expression failed."""
    return type(error).__module__.startswith(OF_CWLTOOL) and FAILED in str(error)


def of_expression(error: BaseException) -> str:
    """Return in one line where an expression is, and what it threw."""
    place = PLACE.match(str(error))
    where = os.path.basename(place[0]) if place else ""
    return where + thrown_error(PLACE.sub("", str(error)).strip())


def failure_text(failure: JobFailure) -> str:
    """Return how a job failed, for the log: its command and the last lines that it wrote."""
    lines = "\n".join(failure.lines) or "(it wrote nothing)"
    return f"{failure.name} failed ({failure.reason})\n{failure.command}\n{lines}"


def failure_line(failure: JobFailure) -> str:
    """Return how a job failed, in one line."""
    # What a tool wrote that ended well says nothing of what is wrong with its outputs.
    said = f": {failure.lines[-1]}" if failure.lines and not failure.ended_well else ""
    return f"'{shorten(failure.command)}' {FOLDER_OF_PLACE.sub('', failure.reason)}{said}"


def shorten(text: str, length: int = 200) -> str:
    """Return a text with its middle left out if it is long."""
    return text if len(text) <= length else f"{text[: length // 2]} … {text[-length // 2 :]}"
