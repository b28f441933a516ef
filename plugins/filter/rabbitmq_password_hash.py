"""Password hashes in the form in which RabbitMQ stores them."""

from __future__ import annotations

import base64
import hashlib


def rabbitmq_password_hash(password: str, user: str) -> str:
    """Hash a password as RabbitMQ's ``rabbit_password_hashing_sha256`` does.

    The salt is derived from user and password, so that the same input always gives the same
    definitions file and a second run has nothing to change.

    :param password: the password in clear text.
    :param user: the user's name; two users with one password get different hashes.
    :returns: base64 of four bytes of salt and the SHA-256 of salt and password.

    Source: https://www.rabbitmq.com/docs/passwords#this-is-the-algorithm
    """
    secret = password.encode()
    salt = hashlib.sha256(b"\0".join((b"salt", user.encode(), secret))).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + secret).digest()).decode()


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"rabbitmq_password_hash": rabbitmq_password_hash}
