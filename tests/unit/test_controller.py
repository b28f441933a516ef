"""What `bin/controller` decides: what is missing, what it installs, starts and stops, and what it says."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = PROJECT / "bin/controller.py"


class Machine:
    """A machine with the files that a test gives it; commands are only noted, and work or not."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Load the program, and have nothing: no Debian, no init, no engine; root asks."""
        specification = importlib.util.spec_from_file_location("controller", PROGRAM)
        assert specification and specification.loader
        self.program: Any = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self.program)
        self.folder = folder
        self.patch = monkeypatch
        #: What was run, and what does not work, by the beginnings of command lines.
        self.ran: list[str] = []
        self.failing: set[str] = set()
        #: Commands and packages that are there.
        self.commands: set[str] = set()
        for name in ("DEBIAN", "SYSTEMD", "PROCESSES", "DPKG", "BOOT", "AUTHORITIES"):
            monkeypatch.setattr(self.program, name, folder / name.lower())
        monkeypatch.setattr(self.program, "PROJECT", folder)
        monkeypatch.setattr(self.program, "is_root", lambda: True)
        monkeypatch.setattr(self.program.subprocess, "run", self.run)
        monkeypatch.setattr(self.program.shutil, "which", lambda name: name if name in self.commands else None)
        monkeypatch.setattr(self.program.time, "sleep", lambda _: None)
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.chdir(folder)
        self.write("files/airflow/uv.txt", "# made\nuv==1.2.3 \\\n    --hash=sha256:0\n")
        self.write("files/airflow/requirements.txt", "airflow")
        self.write("cwl_airflow/tests/requirements.txt", "pytest")
        self.write("cwl_airflow/pyproject.toml", "[project]")
        (folder / ".venv-airflow").mkdir()

    def run(self, command: Any, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Note a command."""
        line = " ".join(map(str, command))
        self.ran.append(line)
        if line == ".venv-uv/bin/uv --version":
            if "uv" not in self.commands:
                raise FileNotFoundError(line)
            return subprocess.CompletedProcess(command, 0, "uv 1.2.3 (of today)\n")
        if line.startswith("apt-get"):
            options["stdout"].write(b"".join(b"line %d\n" % number for number in range(50)))
        return subprocess.CompletedProcess(command, int(any(line.startswith(start) for start in self.failing)), "")

    def write(self, name: str, text: str = "") -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def is_not_root(self) -> None:
        """Let somebody else ask."""
        self.patch.setattr(self.program, "is_root", lambda: False)

    def prepare(self, what: str) -> int:
        """Prepare the machine, with uv there."""
        self.commands.add("uv")
        status: int = self.program.main([what])
        self.ran = [line for line in self.ran if not line.startswith(".venv-uv")]
        return status


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("arguments", [[], ["up"], ["uv", "tools"]])
def test_what_it_does_not_know_is_an_error(
    machine: Machine, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.program.main(arguments) == 1
    assert capsys.readouterr().err.startswith("error: usage: bin/controller uv|tools|package|standin|")
    assert machine.ran == []


def test_it_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        "print({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'__main__'})"
    )
    shown = subprocess.check_output([sys.executable, "-I", "-S", "-c", code, str(PROGRAM)], text=True)
    assert shown.strip() == "set()"


def test_uv_is_installed_by_its_hashes(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.program.main(["uv"]) == 0
    version, venv, pip = machine.ran
    assert version == ".venv-uv/bin/uv --version"
    assert venv == f"{sys.executable} -m venv --clear .venv-uv"
    assert pip.endswith("--no-deps --require-hashes -r files/airflow/uv.txt")
    assert capsys.readouterr().out == "==> Installing uv 1.2.3\n"


def test_uv_of_the_locked_version_stays(machine: Machine) -> None:
    machine.commands |= {"uv", "dot", "chromium"}
    assert machine.program.main(["uv"]) == 0
    assert machine.ran == [".venv-uv/bin/uv --version"]
    machine.write("files/airflow/uv.txt", "uv==1.2.4 \\\n")
    assert machine.program.main(["uv"]) == 0
    assert len(machine.ran) == 1 + 3


def test_a_lock_without_uv_is_an_error(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.write("files/airflow/uv.txt", "pip==1\n")
    assert machine.program.main(["uv"]) == 1
    assert capsys.readouterr().err == "error: files/airflow/uv.txt names no version of uv: restore the file\n"


def test_debian_has_what_makes_environments_in_a_package(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.patch.setattr(machine.program, "find_spec", lambda _: None)
    assert machine.program.main(["uv"]) == 1
    assert "please install python3-venv (Debian's names), then run this again" in capsys.readouterr().err
    machine.write("debian")
    assert machine.program.main(["uv"]) == 0
    assert "apt-get install --yes -q --no-install-recommends python3-venv" in machine.ran


def test_tools_that_are_there_are_not_installed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.commands |= {"uv", "dot", "chromium"}
    sync = ".venv-uv/bin/uv sync --locked --compile-bytecode --quiet"
    assert machine.program.main(["tools"]) == 0
    assert machine.ran[1:] == [f"{sync} --check"]
    machine.failing.add(f"{sync} --check")
    assert machine.program.main(["tools"]) == 0
    assert machine.ran[-2:] == [f"{sync} --check", sync]
    assert capsys.readouterr().out == "==> Installing the locked Python tools into .venv\n"


@pytest.mark.parametrize(("given", "used"), [(None, "authorities"), ("/of/the/user", "/of/the/user")])
def test_the_systems_authorities_count_unless_others_are_named(machine: Machine, given: str | None, used: str) -> None:
    machine.write("authorities")
    if given:
        machine.patch.setenv("SSL_CERT_FILE", given)
    else:
        machine.patch.setenv("SSL_CERT_FILE", "")  # which is restored after the test
    machine.prepare("tools")
    assert os.environ["SSL_CERT_FILE"].endswith(used)


def test_a_command_that_fails_is_named(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.failing.add(".venv-uv/bin/uv sync")
    assert machine.prepare("tools") == 1
    assert capsys.readouterr().err == "error: .venv-uv/bin/uv sync --locked … failed (1)\n"


def test_the_hosts_airflow_is_made_again_when_its_locks_change(machine: Machine) -> None:
    machine.commands |= {"uv", "dot", "chromium"}

    def made() -> list[str]:
        machine.ran.clear()
        assert machine.program.main(["package"]) == 0
        return [line.removeprefix(".venv-uv/bin/uv ") for line in machine.ran[2:]]

    locks = "--requirements=files/airflow/requirements.txt --requirements=cwl_airflow/tests/requirements.txt"
    assert made() == [
        "venv --quiet --clear --no-project .venv-airflow",
        f"pip install --compile-bytecode --quiet --no-deps --require-hashes {locks}",
        "pip install --compile-bytecode --quiet --no-deps --editable cwl_airflow",
    ]
    assert made() == []
    machine.write("cwl_airflow/pyproject.toml", "[project.scripts]")
    assert len(made()) == 3


def test_the_packages_tests_need_what_draws_and_what_shows(machine: Machine) -> None:
    machine.write("debian")
    machine.commands |= {"uv"}
    assert machine.prepare("package") == 0
    assert "apt-get install --yes -q --no-install-recommends graphviz chromium" in machine.ran


def test_what_is_half_made_is_made_again(machine: Machine) -> None:
    machine.failing.add(".venv-uv/bin/uv pip")
    assert machine.prepare("package") == 1
    assert not (machine.folder / ".venv-airflow/made-of").exists()


@pytest.mark.parametrize(
    ("what", "there", "missing"),
    [
        ("standin", (), "docker.io iptables apparmor mmdebstrap"),
        ("vagrant", (), "docker.io iptables apparmor mmdebstrap vagrant"),
        ("vagrant", ("dockerd", "vagrant"), "mmdebstrap"),
        ("standin", ("dockerd", "mmdebstrap"), None),
    ],
)
def test_a_stand_in_needs_engine_and_mmdebstrap(
    machine: Machine, what: str, there: tuple[str, ...], missing: str | None
) -> None:
    machine.write("debian")
    machine.commands |= set(there)
    assert machine.prepare(what) == 0
    install = "apt-get install --yes -q --no-install-recommends"
    assert machine.ran == [*(["apt-get update -q", f"{install} {missing}"] if missing else []), "docker info"]


@pytest.mark.parametrize(
    ("release", "there", "missing"),
    [
        ("12.12\n", (), "docker.io iptables apparmor"),
        ("13.2\n", (), "docker.io iptables apparmor docker-cli"),
        ("13.2\n", ("dockerd",), "docker-cli"),
    ],
)
def test_debian_13_has_the_engines_command_apart(
    machine: Machine, release: str, there: tuple[str, ...], missing: str
) -> None:
    machine.write("debian", release)
    machine.commands |= {"mmdebstrap", *there}
    assert machine.prepare("standin") == 0
    assert f"apt-get install --yes -q --no-install-recommends {missing}" in machine.ran


@pytest.mark.parametrize(
    ("what", "kernel", "more"),
    [
        ("libvirt", False, ""),
        ("guestfs", False, " guestfs-tools linux-image-cloud-amd64"),
        ("guestfs", True, " guestfs-tools"),
    ],
)
def test_libvirt_needs_packages(machine: Machine, what: str, kernel: bool, more: str) -> None:
    machine.write("debian")
    machine.write("dpkg/vagrant.list")
    if kernel:
        machine.write("boot/vmlinuz-6.1.0")
    assert machine.prepare(what) == 0
    names = "vagrant-libvirt qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients dnsmasq-base"
    assert machine.ran[1] == f"apt-get install --yes -q --no-install-recommends {names}{more}"


def test_what_is_missing_is_named_where_it_cannot_be_installed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.write("debian")
    machine.is_not_root()
    assert machine.prepare("standin") == 1
    said = "error: please install docker.io iptables apparmor mmdebstrap (Debian's names), then run this again\n"
    assert capsys.readouterr().err == said
    assert machine.ran == []


@pytest.mark.parametrize("failing", ["apt-get update", "apt-get install"])
def test_apts_last_lines_are_shown_when_it_fails(
    machine: Machine, failing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.write("debian")
    machine.commands |= {"dockerd"}
    machine.failing.add(failing)
    assert machine.prepare("standin") == 1
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines == [f"line {number}" for number in range(30, 50)]
    assert last == "error: apt could not install mmdebstrap (see build/controller/apt.log)"


@pytest.fixture
def engine(machine: Machine) -> Machine:
    """Return a machine whose engine does not answer."""
    machine.commands |= {"dockerd", "mmdebstrap"}
    machine.failing.add("docker info")
    return machine


def starts(machine: Machine, question: str) -> Callable[..., None]:
    """Return what starts a daemon: it answers from then on."""

    def start(command: list[Any], **_: Any) -> None:
        machine.ran.append(" ".join(map(str, command)))
        machine.failing.discard(question)

    return start


def test_an_engine_without_init_is_started_by_hand(engine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.patch.setattr(engine.program.subprocess, "Popen", starts(engine, "docker info"))
    assert engine.prepare("standin") == 0
    pid_file = engine.folder / "build/controller/dockerd.pid"
    assert engine.ran == ["docker info", f"dockerd --pidfile {pid_file}", "docker info"]
    assert "'make down' stops it again" in capsys.readouterr().out


def test_an_engine_of_systemd_is_started_there(engine: Machine) -> None:
    (engine.folder / "systemd").mkdir()
    run = engine.run
    started = starts(engine, "docker info")
    engine.patch.setattr(
        engine.program.subprocess,
        "run",
        lambda command, **options: (started(command) if command[0] == "systemctl" else None) or run(command, **options),
    )
    assert engine.prepare("standin") == 0
    assert "systemctl start docker" in engine.ran


@pytest.mark.parametrize(
    ("systemd", "said"), [(True, "start it (sudo systemctl start docker)"), (False, "start dockerd as root")]
)
def test_who_is_not_root_is_told_to_start_the_engine(
    engine: Machine, systemd: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.is_not_root()
    if systemd:
        (engine.folder / "systemd").mkdir()
    assert engine.prepare("standin") == 1
    assert f"error: no Docker engine answers: {said}" in capsys.readouterr().err


def test_an_engine_that_does_not_start_shows_its_log(engine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    def start(*_: Any, stdout: Any, **__: Any) -> None:
        stdout.write(b"no such device\n")

    engine.patch.setattr(engine.program.subprocess, "Popen", start)
    assert engine.prepare("standin") == 1
    said = "no such device\nerror: the Docker engine did not start within a minute\n"
    assert capsys.readouterr().err == said
    assert engine.ran.count("docker info") == 1 + 60


@pytest.fixture
def libvirt(machine: Machine) -> Machine:
    """Return a machine whose libvirt does not answer."""
    for name in machine.program.LIBVIRT:
        machine.write(f"dpkg/{name}.list")
    machine.failing.add("virsh")
    return machine


def test_libvirt_without_init_is_started_by_hand(libvirt: Machine) -> None:
    run = libvirt.run
    started = starts(libvirt, "virsh")
    libvirt.patch.setattr(
        libvirt.program.subprocess,
        "run",
        lambda command, **options: (started(command) if command[0] == "libvirtd" else None) or run(command, **options),
    )
    assert libvirt.prepare("libvirt") == 0
    folder = libvirt.folder / "build/controller"
    assert f"virtlogd --daemon --pid-file {folder}/virtlogd.pid" in libvirt.ran
    assert f"libvirtd --daemon --pid-file {folder}/libvirtd.pid" in libvirt.ran


@pytest.mark.parametrize(
    ("systemd", "root", "said"),
    [
        (True, True, "libvirt does not answer: start it (sudo systemctl start libvirtd)"),
        (False, False, "libvirt does not answer: start libvirtd as root"),
        (False, True, "libvirt did not start within half a minute"),
    ],
)
def test_libvirt_that_cannot_be_started(
    libvirt: Machine, systemd: bool, root: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if systemd:
        (libvirt.folder / "systemd").mkdir()
    if not root:
        libvirt.is_not_root()
    assert libvirt.prepare("libvirt") == 1
    assert f"error: {said}" in capsys.readouterr().err


class Daemons:
    """Daemons that this program started, and what it sends them."""

    def __init__(self, machine: Machine) -> None:
        """Send nothing to real processes."""
        self.machine = machine
        self.told: list[tuple[int, int]] = []
        machine.patch.setattr(machine.program.os, "kill", self.kill)

    def add(self, name: str, process: int, running: str | None) -> Path:
        """Note the process of a daemon, and have a process of that number run."""
        if running:
            self.machine.write(f"processes/{process}/comm", f"{running}\n")
        return self.machine.write(f"build/controller/{name}.pid", f"{process}\n")

    def kill(self, process: int, number: int) -> None:
        """End a process."""
        self.told.append((process, number))
        (self.machine.folder / f"processes/{process}/comm").unlink()


@pytest.fixture
def daemons(machine: Machine) -> Daemons:
    return Daemons(machine)


def test_what_was_started_is_stopped(machine: Machine, daemons: Daemons, capsys: pytest.CaptureFixture[str]) -> None:
    notes = [daemons.add(name, number, name) for number, name in enumerate(("dockerd", "libvirtd", "virtlogd"), 100)]
    assert machine.program.main(["stop"]) == 0
    assert daemons.told == [(101, signal.SIGTERM), (102, signal.SIGTERM), (100, signal.SIGTERM)]
    assert not [note for note in notes if note.exists()]
    assert capsys.readouterr().out == "==> Stopping the Docker engine that was started for the stand-in host\n"


def test_libvirt_is_stopped_alone(machine: Machine, daemons: Daemons) -> None:
    kept = daemons.add("dockerd", 100, "dockerd")
    daemons.add("libvirtd", 101, "libvirtd")
    assert machine.program.main(["stop-libvirt"]) == 0
    assert daemons.told == [(101, signal.SIGTERM)]
    assert kept.exists()


@pytest.mark.parametrize("running", ["bash", None])
def test_a_process_of_somebody_else_goes_on(machine: Machine, daemons: Daemons, running: str | None) -> None:
    note = daemons.add("dockerd", 100, running)
    assert machine.program.main(["stop"]) == 0
    assert daemons.told == []
    assert not note.exists()


@pytest.mark.parametrize("text", ["", "no number"])
def test_a_note_that_says_nothing_stops_nothing(machine: Machine, daemons: Daemons, text: str) -> None:
    machine.write("build/controller/dockerd.pid", text)
    assert machine.program.main(["stop"]) == 0
    assert daemons.told == []


def test_who_interrupts_it_sees_no_traceback(machine: Machine) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    machine.patch.setitem(machine.program.COMMANDS, "uv", interrupt)
    assert machine.program.main(["uv"]) == 130


def test_the_real_commands_tell_whether_they_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = Machine(tmp_path, monkeypatch).program
    monkeypatch.undo()
    assert program.works("true") and not program.works("false") and not program.works(tmp_path / "none")
    assert program.installed_uv_version() in (program.locked_uv_version(), None)


def shim(folder: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run `bin/controller` where only these commands are."""
    for command in commands:
        (folder / command).write_text(f'#!/bin/sh\necho {command} "$@"\n', encoding="utf-8")
        (folder / command).chmod(0o755)
    (folder / "dirname").symlink_to("/usr/bin/dirname")
    (folder / "id").write_text("#!/bin/sh\necho 1000\n", encoding="utf-8")
    (folder / "id").chmod(0o755)
    command = ["/bin/sh", str(PROJECT / "bin/controller"), "tools"]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def test_the_program_is_run_by_python(tmp_path: Path) -> None:
    done = shim(tmp_path, "python3")
    assert (done.returncode, done.stdout) == (0, "python3 bin/controller.py tools\n")


def test_without_python_it_is_named(tmp_path: Path) -> None:
    done = shim(tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: please install python3 (Debian's name), then run this again\n")
