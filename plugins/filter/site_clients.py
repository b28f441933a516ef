"""Which hosts ask a service of a host, by the groups of the inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def site_clients(
    askers: Mapping[str, Iterable[str]], groups: Mapping[str, Iterable[str]], host: str
) -> dict[str, list[str]]:
    """Return for each service the other hosts that ask it, each once, in the order of the inventory.

    :param askers: the groups whose hosts ask it, by service.
    :param groups: Ansible's groups with the names of their hosts; one that is not there has none.
    :param host: the one that has the service, which asks itself over loopback.
    """
    return {
        service: list(dict.fromkeys(name for group in asking for name in groups.get(group, ()) if name != host))
        for service, asking in askers.items()
    }


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {"site_clients": site_clients}
