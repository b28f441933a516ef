"""What every box must be, whoever made it; the format by https://developer.hashicorp.com/vagrant/docs/boxes/base."""

from __future__ import annotations

import json
import math
import re
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from conftest import PROJECT, Box

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"


@pytest.fixture
def libvirt(box: Box) -> Box:
    """Return the box if it is one for libvirt."""
    if box.provider != "libvirt":
        pytest.skip("a box for another provider")
    return box


@pytest.fixture
def virtualbox(box: Box) -> Box:
    """Return the box if it is one for VirtualBox."""
    if box.provider != "virtualbox":
        pytest.skip("a box for another provider")
    return box


@pytest.fixture
def ovf(virtualbox: Box) -> ElementTree.Element:
    """Return the description of the machine."""
    return ElementTree.fromstring(virtualbox.run("cat", "box.ovf"))


def items(ovf: ElementTree.Element, kind: int) -> list[dict[str, str]]:
    """Return the hardware of a kind (CIM's ResourceType), in order."""
    found = []
    for item in ovf.iter(f"{OVF}Item"):
        values = {element.tag.removeprefix(RASD): element.text or "" for element in item}
        if values["ResourceType"] == str(kind):
            found.append(values)
    return found


def test_layout(box: Box) -> None:
    disk = {"libvirt": ["box.img"], "virtualbox": ["box.ovf", "box.vmdk"]}[box.provider]
    assert box.names == sorted(["Vagrantfile", "metadata.json", *disk])


def test_disk_is_whole_and_stands_alone(box: Box) -> None:
    assert "backing-filename" not in box.image
    if box.image["format"] == "qcow2":
        assert "No errors were found" in box.run("qemu-img", "check", box.disk)


def test_size_in_metadata_is_rounded_up(libvirt: Box) -> None:
    assert libvirt.metadata["format"] == "qcow2" == libvirt.image["format"]
    assert libvirt.metadata["virtual_size"] == math.ceil(libvirt.image["virtual-size"] / 1024**3)


def test_vmdk_is_of_a_form_that_virtualbox_imports(virtualbox: Box) -> None:
    header = virtualbox.run("head", "--bytes=12", virtualbox.disk).encode("latin-1")
    magic, version, _ = struct.unpack("<4sII", header)
    assert magic == b"KDMV"
    assert version == 1
    assert virtualbox.image["format-specific"]["data"]["create-type"] in ("monolithicSparse", "streamOptimized")


def test_ovf_names_the_disk(virtualbox: Box, ovf: ElementTree.Element) -> None:
    file = ovf.find(f"{OVF}References/{OVF}File")
    disk = ovf.find(f"{OVF}DiskSection/{OVF}Disk")
    assert file is not None
    assert disk is not None
    assert file.get(f"{OVF}href") == virtualbox.disk
    assert file.get(f"{OVF}size") == virtualbox.run("stat", "--format=%s", virtualbox.disk).strip()
    assert disk.get(f"{OVF}fileRef") == file.get(f"{OVF}id")
    assert disk.get(f"{OVF}capacity") == str(virtualbox.image["virtual-size"])
    (drive,) = items(ovf, 17)
    assert drive["HostResource"] == f"/disk/{disk.get(f'{OVF}diskId')}"
    assert drive["Parent"] in [controller["InstanceID"] for controller in items(ovf, 20)]


def test_ovf_follows_its_schema(virtualbox: Box, pytestconfig: pytest.Config) -> None:
    schema = pytestconfig.getoption("ovf_schema")
    if not schema:
        pytest.skip("DMTF's schema is not part of this project: name a copy with --ovf-schema")
    folder, name = Path(schema).resolve().parent, Path(schema).name
    subprocess.run(["docker", "cp", str(folder), f"{virtualbox.container}:/scratch/schema"], check=True)
    virtualbox.run("xmllint", "--nonet", "--noout", "--schema", f"/scratch/schema/{name}", "box.ovf")


def test_first_network_card_is_nat(virtualbox: Box, ovf: ElementTree.Element) -> None:
    networks = [network.get(f"{OVF}name") for network in ovf.iter(f"{OVF}Network")]
    assert items(ovf, 10)[0]["Connection"] == "NAT"
    assert "NAT" in networks
    assert re.search(r'config\.vm\.base_mac = "080027[0-9A-F]{6}"', virtualbox.run("cat", "Vagrantfile"))


def test_ports_are_forwarded_to_loopback_only(box: Box) -> None:
    ports = re.findall(r'"forwarded_port",[^\n]*', box.run("cat", "Vagrantfile"))
    assert all('host_ip: "127.0.0.1"' in port for port in ports)


def test_vagrant_logs_in_with_its_keys(box: Box) -> None:
    user = re.search(r"^vagrant:[^:]*:(\d+):(\d+)::?[^:]*:(/[^:]*):", box.read("/etc/passwd"), re.MULTILINE)
    assert user
    uid, gid, home = int(user[1]), int(user[2]), user[3]
    folder = box.find(f"{home}/.ssh")
    keys = box.find(f"{home}/.ssh/authorized_keys")
    assert folder is not None
    assert keys is not None
    assert (folder.mode, folder.uid, folder.gid) == (0o700, uid, gid)
    assert (keys.mode, keys.uid, keys.gid) == (0o600, uid, gid)
    known = (PROJECT / "roles/vagrant_guest/files/vagrant.pub").read_text(encoding="utf-8").splitlines()
    there = [line.split()[:2] for line in box.read(f"{home}/.ssh/authorized_keys").splitlines()]
    assert [key.split()[:2] for key in known] == there


def test_vagrant_becomes_root_and_root_is_locked(box: Box) -> None:
    sudoers = box.find("/etc/sudoers.d/vagrant")
    assert sudoers is not None
    assert (sudoers.mode, sudoers.uid) == (0o440, 0)
    assert "NOPASSWD" in box.read("/etc/sudoers.d/vagrant")
    assert re.search(r"^root:[!*]", box.read("/etc/shadow"), re.MULTILINE)
    assert re.search(r"^vagrant:[!*]", box.read("/etc/shadow"), re.MULTILINE)


@pytest.mark.parametrize(
    "field",
    [
        "Port 22",
        "PubkeyAuthentication yes",
        "AuthorizedKeysFile %h/.ssh/authorized_keys",
        "PermitEmptyPasswords no",
        "UseDNS no",
        "PasswordAuthentication no",
        "X11Forwarding no",
    ],
)
def test_ssh_server_has_the_fields_that_vagrant_wants(box: Box, field: str) -> None:
    folder = "/etc/ssh/sshd_config.d"
    lines = [line.strip() for name in box.list(folder) for line in box.read(f"{folder}/{name}").splitlines()]
    assert field in lines


def test_engine_starts_no_container_without_its_firewall(box: Box) -> None:
    if box.find("/etc/docker/daemon.json"):
        assert "container-firewall.service" in box.list("/etc/systemd/system/docker.service.requires")
        assert "drop" in box.read("/etc/docker/container-firewall.nft")


def test_machine_has_no_identity_yet(box: Box) -> None:
    machine_id = box.find("/etc/machine-id")
    assert machine_id is not None
    assert machine_id.size == 0
    assert [name for name in box.list("/etc/ssh") if name.startswith("ssh_host_")] == []
    assert box.find("/var/lib/systemd/random-seed") is None
    assert box.find("/var/lib/rabbitmq/.erlang.cookie") is None
    assert [name for name in box.list("/var/lib/mysql") if name.endswith(".pem") or name == "auto.cnf"] == []
    assert box.find("/etc/ssh/machine-id") is None
    assert box.find("/etc/cwl-airflow") is None


def test_nothing_of_the_build_machine_is_left(box: Box) -> None:
    assert box.list("/usr/local/share/ca-certificates") == {}
    assert [name for name in box.list("/etc/apt/apt.conf.d") if "proxy" in name] == []
    for folder in ("/var/lib/apt/lists", "/tmp", "/var/tmp"):
        assert box.list(folder) == {}
    for path in (
        "/.dockerenv",
        "/root/.ansible",
        "/root/.bash_history",
        "/root/.ssh",
        "/root/.cache",
        "/sbin/boot-container",
    ):
        assert box.find(path) is None, path
    if box.find("/etc/docker/daemon.json"):
        assert not json.loads(box.read("/etc/docker/daemon.json")).get("registry-mirrors")
    assert [name for name, entry in box.list("/var/log").items() if entry.size and name.endswith("log")] == []


def test_packages_come_from_debian_with_its_security_fixes(box: Box) -> None:
    sources = box.read("/etc/apt/sources.list")
    assert "http://deb.debian.org/debian trixie main" in sources
    assert "trixie-security" in sources
    assert "trixie-updates" in sources


def test_only_mysql_comes_from_unstable(box: Box) -> None:
    source = "/etc/apt/sources.list.d/unstable.sources"
    if not box.find("/etc/docker/daemon.json"):
        assert box.find(source) is None
        return
    assert "URIs: http://deb.debian.org/debian\n" in box.read(source)
    assert "Check-Valid-Until" not in box.read(source)
    pins = box.read("/etc/apt/preferences.d/unstable.pref")
    assert "Package: mysql-server " in pins
    assert pins.endswith("Package: *\nPin: release n=sid\nPin-Priority: -1\n")


def test_initramfs_has_every_hypervisors_drivers(box: Box) -> None:
    (initramfs,) = [name for name in box.list("/boot") if name.startswith("initrd.img-")]
    box.debugfs(f"dump /boot/{initramfs} /scratch/initramfs")
    # Or in the kernel itself.
    builtin = box.read(f"/usr/lib/modules/{initramfs.removeprefix('initrd.img-')}/modules.builtin")
    listing = box.run("lsinitramfs", "/scratch/initramfs") + builtin
    for driver in ("ahci", "ata_piix", "e1000", "virtio_blk", "virtio_net", "virtio_pci", "virtio_scsi"):
        assert f"/{driver}.ko" in listing, driver


def test_root_grows_at_the_first_boot(box: Box) -> None:
    assert "x-systemd.growfs" in box.read("/etc/fstab")
    assert "Type=root" in box.read("/etc/repart.d/50-root.conf")
