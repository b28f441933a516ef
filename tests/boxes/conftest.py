"""A box, opened in a container that has the tools: pytest tests/boxes --box build/….box."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = "cwl-airflow-standin/boxer:latest"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names boxes."""
    parser.addoption(
        "--box", action="append", default=[], metavar="FILE", help="box to test; may be given more than once"
    )
    parser.addoption("--ovf-schema", metavar="FILE", help="DMTF's schema of OVF 1 (DSP8023), what it imports beside it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test for each box."""
    if "box" in metafunc.fixturenames:
        boxes = [Path(box).resolve() for box in metafunc.config.getoption("box")]
        if not boxes:
            raise pytest.UsageError("name a box: --box build/….box")
        metafunc.parametrize("box", boxes, ids=lambda box: box.name, indirect=True, scope="session")


@dataclass
class Entry:
    """A file of the guest."""

    mode: int
    uid: int
    gid: int
    size: int


class Box:
    """A box, unpacked in the container `container`."""

    def __init__(self, container: str, file: Path) -> None:
        """Note where the box is unpacked, and its file."""
        self.container = container
        self.file = file

    def run(self, *command: str) -> str:
        """Run a command in the container and return what it prints."""
        done = subprocess.run(
            ["docker", "exec", "--workdir=/scratch/box", self.container, *command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cached_property
    def names(self) -> list[str]:
        """The members of the archive that are no folders."""
        listing = self.run("tar", "--list", "--file", f"/boxes/{self.file.name}").splitlines()
        return sorted(name.removeprefix("./") for name in listing if not name.endswith("/"))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What metadata.json says."""
        found: dict[str, Any] = json.loads(self.run("cat", "metadata.json"))
        return found

    @property
    def provider(self) -> str:
        """Vagrant's provider."""
        return str(self.metadata["provider"])

    @cached_property
    def disk(self) -> str:
        """The name of the disk."""
        disks = [name for name in self.names if name.endswith((".img", ".vmdk"))]
        assert len(disks) == 1
        return disks[0]

    @cached_property
    def image(self) -> dict[str, Any]:
        """What qemu-img says of the disk."""
        found: dict[str, Any] = json.loads(self.run("qemu-img", "info", "--output=json", self.disk))
        return found

    @cached_property
    def _root(self) -> str:
        """The last partition, as debugfs takes it."""
        self.run("qemu-img", "convert", "-O", "raw", self.disk, "/scratch/disk.raw")
        table = json.loads(self.run("sfdisk", "--json", "/scratch/disk.raw"))["partitiontable"]
        return f"/scratch/disk.raw?offset={table['partitions'][-1]['start'] * table.get('sectorsize', 512)}"

    def debugfs(self, request: str) -> str:
        """Ask debugfs about the guest's root file system."""
        return self.run("debugfs", "-R", request, self._root)

    def read(self, path: str) -> str:
        """Return the text of a file of the guest."""
        return self.debugfs(f"cat {path}")

    def list(self, folder: str) -> dict[str, Entry]:
        """Return the entries of a folder of the guest; none if there is no such folder."""
        found = {}
        for line in self.debugfs(f"ls -p {folder}").splitlines():
            if match := re.fullmatch(r"/\d+/(\d+)/(\d+)/(\d+)/(.+)/(\d*)/", line.strip()):
                mode, uid, gid, name, size = match.groups()
                if name not in (".", ".."):
                    found[name] = Entry(int(mode, 8) & 0o7777, int(uid), int(gid), int(size or 0))
        return found

    def find(self, path: str) -> Entry | None:
        """Return what a path of the guest is, or nothing."""
        folder, _, name = path.rpartition("/")
        return self.list(folder or "/").get(name)


@pytest.fixture(scope="session")
def tools() -> str:
    """Make the image with the tools and return its name."""
    base = "cwl-airflow-standin/root:trixie"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", TOOLS, "--build-arg", f"BASE={base}", "--label",
         "cwl-airflow-production.standin=images", str(PROJECT / "files/box")],
        check=True, capture_output=True,
    )  # fmt: skip
    return TOOLS


@pytest.fixture(scope="session")
def box(request: pytest.FixtureRequest, tools: str) -> Iterator[Box]:
    """Unpack a box and return it."""
    file: Path = request.param
    container = subprocess.run(
        ["docker", "run", "--detach", "--network=none", "--label=cwl-airflow-production.standin=boxes",
         f"--volume={file.parent}:/boxes:ro", "--volume=/scratch", "--workdir=/scratch", "--entrypoint=sleep", tools,
         "infinity"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    try:
        subprocess.run(["docker", "exec", container, "mkdir", "/scratch/box"], check=True)
        opened = Box(container, file)
        opened.run("tar", "--extract", "--file", f"/boxes/{file.name}")
        yield opened
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], check=True, capture_output=True)
