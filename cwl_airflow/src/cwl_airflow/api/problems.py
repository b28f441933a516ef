"""What is answered in place of a result: a problem of RFC 9457, as connexion answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

#: Their media type.
PROBLEM = "application/problem+json"
#: Characters of what an error says, at most: some say all that they were given.
LONGEST = 2000


def described(status: int, detail: str) -> dict[str, Any]:
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
