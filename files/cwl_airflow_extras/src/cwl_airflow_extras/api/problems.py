"""What is answered in place of a result: a problem of RFC 9457, as connexion answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

#: Their media type.
PROBLEM = "application/problem+json"


def described(status: int, detail: str) -> dict[str, Any]:
    """Return the members of a problem.

    :param status: of HTTP.
    :param detail: what is wrong, as a sentence.
    """
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
