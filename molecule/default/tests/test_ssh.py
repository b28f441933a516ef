"""What the host's SSH server offers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# What OpenSSH before 9.0, PuTTY before 0.78, Paramiko and Vagrant have to begin with. All others are listed first.
BEFORE_QUANTUM = "does not provide protection against post-quantum attacks"

SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1"


@pytest.fixture(scope="module")
def audit(host):
    """Return what ssh-audit says of the host, asked over the network."""
    address = host.check_output("hostname --ip-address").split()[0]
    program = Path(sys.executable).with_name("ssh-audit")
    done = subprocess.run([program, "--json", "--skip-rate-test", address], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["kex", "key", "enc", "mac"])
def test_no_algorithm_is_found_fault_with(audit, kind):
    assert audit[kind]
    found = [
        (algorithm["algorithm"], level, text)
        for algorithm in audit[kind]
        for level in ("fail", "warn")
        for text in algorithm["notes"].get(level, [])
        if text != BEFORE_QUANTUM
    ]
    assert found == []


def test_key_exchange_that_withstands_quantum_computers_comes_first(audit):
    assert BEFORE_QUANTUM not in audit["kex"][0]["notes"].get("warn", [])


def test_no_vulnerability_is_known(audit):
    assert audit["cves"] == []


def test_passwords_are_not_taken(host):
    asked = host.run(f"{SSH} -o PreferredAuthentications=none")
    assert "Permission denied (publickey)." in asked.stderr


def test_what_vagrant_offers_on_debian_12_is_enough(host):
    """Without the gem x25519, net-ssh 7.0.1 has no other algorithms that are left."""
    offered = {
        "KexAlgorithms": "ecdh-sha2-nistp256,diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256",
        "HostKeyAlgorithms": "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-256,rsa-sha2-512",
        "Ciphers": "aes256-ctr,aes192-ctr,aes128-ctr",
        "MACs": "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256",
    }
    options = " ".join(f"-o {name}={value}" for name, value in offered.items())
    asked = host.run(f"{SSH} -v -o PreferredAuthentications=none {options}")
    assert "kex: algorithm: diffie-hellman-group-exchange-sha256" in asked.stderr
    assert "Permission denied (publickey)." in asked.stderr


@pytest.mark.parametrize(
    "option",
    [
        "x11forwarding no",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "allowagentforwarding no",
        "allowtcpforwarding local",
        "loglevel VERBOSE",
        "maxauthtries 3",
        "maxsessions 2",
        "tcpkeepalive no",
    ],
)
def test_option_holds(host, option):
    assert option in host.check_output("/usr/sbin/sshd -T").splitlines()
