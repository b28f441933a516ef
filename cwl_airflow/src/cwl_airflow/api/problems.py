"""What is answered in place of a result: a problem of RFC 9457."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

#: Their media type.
PROBLEM = "application/problem+json"
#: Characters of what an error says, at most: some say all that they were given.
LONGEST = 2000


class Problem(HTTPException):
    """What is answered instead; it says why in one sentence."""

    def __init__(self, status: int, detail: str) -> None:
        """Answer with a status of HTTP and a message."""
        super().__init__(status, f"{one_line(detail)}.")


class Answer(JSONResponse):
    """A problem as it is sent."""

    media_type = PROBLEM

    def __init__(self, status: int, detail: str) -> None:
        """Send a status of HTTP and a sentence."""
        super().__init__(problem_members(status, detail), status)


def problem_members(status: int, detail: str) -> dict[str, Any]:
    """Return the members of a problem.

    :param status: of HTTP.
    :param detail: what is wrong, as a sentence.
    """
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def one_line(error: object) -> str:
    """Return what an error says as one line, without its middle if it is long, and without a full stop."""
    try:
        text = " ".join(str(error).split()).rstrip(".")
    except Exception:  # some of ruamel.yaml's cannot
        text = type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
