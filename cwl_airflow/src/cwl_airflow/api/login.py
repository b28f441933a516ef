"""A login of HTTP (RFC 7617)."""

from __future__ import annotations

import base64
import binascii


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return user and password; none unless both are there.

    :param header: ``Authorization`` of a request.
    """
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeError):
        return None
    return (user, password) if user and password else None
