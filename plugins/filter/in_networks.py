"""Whether an address is in one of some networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def in_networks(address: str, networks: Iterable[str]) -> bool:
    """Tell whether an address is in one of some networks; an address is a network of its own."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(each, strict=False) for each in networks)


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"in_networks": in_networks}
