"""What testssl.sh says of the ports that hosts have for each other, but for MySQL's, which it cannot ask."""

from __future__ import annotations

import json

import pytest
import testinfra

#: Where it is asked, on the host itself.
SERVERS = {
    "broker": ("cluster-mq", "192.168.65.11:5671"),
    "page of the broker": ("cluster-mq", "192.168.65.11:15672"),
    "API server": ("cluster-head", "192.168.65.12:8080"),
    "logs of a worker": ("cluster-node-1", "192.168.65.13:8793"),
}


@pytest.mark.full
@pytest.mark.parametrize("server", SERVERS)
def test_nothing_above_low_is_found(server):
    name, address = SERVERS[server]
    host = testinfra.get_host(f"docker://{name}")
    host.check_output("apt-get install --yes --no-install-recommends testssl.sh")
    # Protocols, ciphers, forward secrecy, preferences, certificate and known attacks: no browser reads headers there.
    checks = "-p -s -f -P -S -U"
    options = "--quiet --color 0 --warnings off --add-ca /etc/ssl/site/ca.pem --jsonfile /tmp/tls.json"
    try:
        done = host.run(f"testssl {checks} {options} {address}")
        found = json.loads(host.check_output("cat /tmp/tls.json"))
    finally:
        host.run("rm -f /tmp/tls.json")
    assert {"cert_chain_of_trust", "TLS1_3"} <= {each["id"] for each in found}, done.stdout
    assert [each for each in found if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")] == []
