"""Rules that would lock Ansible out are taken back by themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import testinfra
from dags import wait_for

PROJECT = Path(__file__).parents[3]
NAME, ADDRESS = "cluster-node-2", "192.168.65.14"
UNCHECKED = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]


@pytest.fixture
def key(tmp_path):
    """Return a key with which root logs in."""
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    host = testinfra.get_host(f"docker://{NAME}")
    public = file.with_suffix(".pub").read_text(encoding="utf-8").strip()
    host.check_output(f"install -d -m 0700 /root/.ssh && printf %s\\\\n '{public}' > /root/.ssh/authorized_keys")
    yield file
    host.check_output("rm /root/.ssh/authorized_keys")


def logs_in(key):
    """Tell whether SSH gets in."""
    command = ["ssh", "-i", str(key), "-o", "ConnectTimeout=3", *UNCHECKED, f"root@{ADDRESS}", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.full
def test_new_rules_that_lock_ansible_out_are_taken_back(key, tmp_path):
    variables = {
        "ansible_user": "root",
        "ansible_host": ADDRESS,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": " ".join(UNCHECKED),
        "ansible_ssh_host_key_checking": False,
        "ansible_python_interpreter": "/usr/bin/python3",
        "firewall_ssh_clients": ["203.0.113.0/24"],
        "firewall_rollback_seconds": 30,
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {NAME: variables}}}), encoding="utf-8")
    rules = testinfra.get_host(f"docker://{NAME}").file("/etc/nftables-site.nft").content_string
    assert logs_in(key)
    done = subprocess.run(
        [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", str(inventory), "molecule/cluster/firewall.yml"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Come back" in done.stdout
    wait_for("way back in", lambda: logs_in(key), 60)
    # What loads at the next boot are the rules of before.
    assert testinfra.get_host(f"docker://{NAME}").file("/etc/nftables-site.nft").content_string == rules
    assert "203.0.113.0" not in testinfra.get_host(f"docker://{NAME}").check_output("nft list table inet site")
