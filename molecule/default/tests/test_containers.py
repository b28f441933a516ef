"""What a container of a step reaches, and what it may become."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

IMAGE = "debian:trixie-slim"
CONNECTED, DROPPED = 0, 124  # of timeout(1); refused would be 1
TABLE = "inet cwl_airflow_containers"


def connect(host, targets, network=None):
    """Try TCP to addresses and ports, from the host or from a container in one of its networks.

    Returns CONNECTED, DROPPED or another status for each.
    """
    attempts = [
        f"(timeout 2 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null; echo {address} {port} $?) &"
        for address, port in targets
    ]
    script = " ".join([*attempts, "wait"])
    where = f"docker run --rm --network={network} {IMAGE} " if network else ""
    lines = host.check_output(f"{where}bash -c %s", script).splitlines()
    found = {(address, int(port)): int(status) for address, port, status in map(str.split, lines)}
    assert set(found) == set(targets)
    return found


@pytest.fixture(params=["bridge", "cwl-test"])
def network(host, request) -> Iterator[str]:
    """Return the engine's own network, and one that was made later."""
    if request.param == "bridge":
        yield "bridge"
        return
    host.check_output(f"docker network create {request.param}")
    try:
        yield request.param
    finally:
        host.check_output(f"docker network rm {request.param}")


def test_no_service_of_the_host_is_reached(host, network):
    ports = {int(found.rsplit(":", 1)[1]) for found in host.socket.get_listening_sockets() if found.startswith("tcp")}
    assert {22, 3306, 5555, 5672, 8080, 8081, 8793, 15672} <= ports
    addresses = host.check_output("hostname --all-ip-addresses").split()  # those of the bridges are the gateways
    assert len(addresses) > 1
    servers = [(address, 22) for address in addresses]
    assert connect(host, servers) == dict.fromkeys(servers, CONNECTED)
    targets = [(address, port) for address in addresses for port in ports]
    found = connect(host, targets, network)
    assert {target: status for target, status in found.items() if status != DROPPED} == {}


def test_what_is_elsewhere_is_reached(host, network):
    registry = host.check_output("getent hosts registry").split()[0], 5000
    assert connect(host, [registry], network) == {registry: CONNECTED}


def test_what_a_cloud_tells_its_machines_is_not_reached(host):
    def dropped():
        rules = host.check_output(f"nft list chain {TABLE} networks")
        return int(re.search(r"169\.254\.0\.0/16 counter packets ([0-9]+)", rules)[1])

    before = dropped()
    connect(host, [("169.254.169.254", 80)], "bridge")
    assert dropped() > before


def test_a_setuid_program_gives_no_rights(host):
    status = host.check_output(f"docker run --rm --user=1000 {IMAGE} cat /proc/self/status")
    assert "NoNewPrivs:\t1" in status
    script = "cp /usr/bin/id /id && chmod u+s /id && stat -c '%U %a' /id && setpriv --reuid=1000 --clear-groups /id -u"
    found = host.check_output(f"docker run --rm --network=none {IMAGE} sh -c %s", script)
    assert found.splitlines() == ["root 4755", "1000"]


def test_rules_come_back_with_the_engine(host):
    host.check_output(f"nft delete table {TABLE}")
    host.check_output("systemctl restart docker")
    assert "drop" in host.check_output(f"nft list chain {TABLE} host")
