"""Who asks whom in a site, and from which networks."""

from __future__ import annotations

import pytest
from in_networks import in_networks
from site_clients import site_clients

GROUPS = {"webserver": ["head"], "worker": ["one", "head", "two"], "proxy": []}


def test_a_service_is_asked_by_the_other_hosts_of_its_groups() -> None:
    askers = {"database": ["webserver", "worker", "scheduler"], "logs": ["webserver"], "page": ["proxy", "flower"]}
    assert site_clients(askers, GROUPS, "one") == {"database": ["head", "two"], "logs": ["head"], "page": []}
    assert site_clients(askers, GROUPS, "db") == {"database": ["head", "one", "two"], "logs": ["head"], "page": []}


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("192.0.2.7", ["198.51.100.1", "192.0.2.7"], True),
        ("192.0.3.7", ["192.0.2.0/24", "192.0.2.7"], False),
        ("192.0.2.7", ["192.0.2.1/24"], True),
        ("2001:db8::1", ["192.0.2.0/24", "2001:db8::/32"], True),
        ("2001:db9::1", ["2001:db8::/32"], False),
        ("192.0.2.7", [], False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, networks: list[str], inside: bool) -> None:
    assert in_networks(address, networks) == inside
