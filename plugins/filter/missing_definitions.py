"""What a broker lacks of its definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Definitions = Mapping[str, Sequence[Mapping[str, Any]]]


def missing_definitions(wanted: Definitions, found: Definitions) -> list[str]:
    """Return the kinds of definitions of which a broker has one not, or otherwise.

    :param wanted: what is to be there: by its kind (``users``, ``vhosts``, ``permissions``) what RabbitMQ imports.
    :param found: what the broker exports, which may have more, and more properties of each.
    :returns: the kinds; no values, as these may be secret.

    Source: https://www.rabbitmq.com/docs/definitions
    """
    return [
        kind
        for kind, definitions in wanted.items()
        if not all(
            any(dict(item).items() <= dict(there).items() for there in found.get(kind, [])) for item in definitions
        )
    ]


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"missing_definitions": missing_definitions}
