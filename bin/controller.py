"""Prepare this machine to be a controller.

Makes the locked Python tools in .venv and, for stand-in hosts, sees to a running Docker engine and mmdebstrap.
Installs what is missing on Debian as root; elsewhere it says what to install.

  bin/controller uv        uv only, which installs and locks the others
  bin/controller tools     the Python tools only
  bin/controller package   the Python tools, and in .venv-airflow the hosts' Airflow with the package's tests' tools
  bin/controller standin   the Python tools, the engine and mmdebstrap
  bin/controller vagrant   the Python tools, the engine, mmdebstrap and Vagrant
  bin/controller libvirt   the Python tools, Vagrant with libvirt and QEMU
  bin/controller guestfs   the same, and what vagrant package needs with libvirt
  bin/controller stop      stop the engine and libvirt, if this program started them
  bin/controller stop-libvirt   stop libvirt only

It runs before anything is installed, so it knows the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
# All paths are below the project's folder, where the program goes first.
STATE = Path("build/controller")
UV = Path(".venv-uv/bin/uv")
UV_LOCK = Path("files/airflow/uv.txt")
AIRFLOW = Path(".venv-airflow")
#: What the hosts' Airflow here is made of; beside it only what needs a compiler, as SQLite takes the database's place.
AIRFLOW_LOCKS = (Path("files/airflow/requirements.txt"), Path("cwl_airflow/tests/requirements.txt"))
AIRFLOW_PACKAGE = Path("cwl_airflow")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
DEBIAN = Path("/etc/debian_version")
SYSTEMD = Path("/run/systemd/system")
PROCESSES = Path("/proc")
DPKG = Path("/var/lib/dpkg/info")
BOOT = Path("/boot")
#: Debian's packages by the command that shows that they are there: what draws pictures, and what shows pages.
PACKAGE = {"dot": ("graphviz",), "chromium": ("chromium",)}
STANDIN = {"dockerd": ("docker.io", "iptables", "apparmor"), "mmdebstrap": ("mmdebstrap",)}
VAGRANT = {"vagrant": ("vagrant",)}
LIBVIRT = (
    "vagrant",
    "vagrant-libvirt",
    "qemu-system-x86",
    "qemu-utils",
    "libvirt-daemon-system",
    "libvirt-clients",
    "dnsmasq-base",
)
GUESTFS = ("guestfs-tools",)
#: How many lines of a log are shown.
SHOWN_LOG = 20


class ControllerError(Exception):
    """This machine cannot be prepared; the message says what to do."""


def say(text: str) -> None:
    """Show what is being done."""
    print(f"==> {text}", flush=True)


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command that must work.

    :param environment: variables for it alone.
    :raises ControllerError: it did not work; it has said itself why.
    """
    done = subprocess.run(command, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise ControllerError(f"{' '.join(map(str, command[:3]))} … failed ({done.returncode})")


def works(*command: str | Path) -> bool:
    """Tell whether a command is there and works; what it says is not shown."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def wait_until(answers: Callable[[], bool], seconds: int) -> bool:
    """Wait for something, and tell whether it came."""
    for _ in range(seconds):
        if answers():
            return True
        time.sleep(1)
    return False


def is_root() -> bool:
    """Tell whether this is root."""
    return os.geteuid() == 0


def show_log_end(log: Path) -> None:
    """Show the last lines of a log, if there is one."""
    if log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(*lines[-SHOWN_LOG:], sep="\n", file=sys.stderr)


def need_packages(names: Collection[str]) -> None:
    """Install Debian packages, or say that they are needed.

    :raises ControllerError: they are not there and cannot be installed.
    """
    if not names:
        return
    listed = " ".join(names)
    if not (is_root() and DEBIAN.exists()):
        raise ControllerError(f"please install {listed} (Debian's names), then run this again")
    say(f"Installing {listed}")
    STATE.mkdir(parents=True, exist_ok=True)
    log = STATE / "apt.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = (["update", "-q"], ["install", "--yes", "-q", "--no-install-recommends", *names])
    with log.open("wb") as stream:
        options: dict[str, Any] = {"stdout": stream, "stderr": subprocess.STDOUT, "env": environment}
        installed = all(subprocess.run(["apt-get", *each], check=False, **options).returncode == 0 for each in commands)
    if not installed:
        show_log_end(log)
        raise ControllerError(f"apt could not install {listed} (see {log})")


def engine_command() -> dict[str, tuple[str, ...]]:
    """Return the package of the engine's command, which Debian 13 has apart from the engine."""
    release = re.match(r"\d+", DEBIAN.read_text(encoding="utf-8")) if DEBIAN.exists() else None
    return {"docker": ("docker-cli",)} if release and int(release[0]) >= 13 else {}


def packages_without_command(packages: Mapping[str, Collection[str]]) -> list[str]:
    """Return those packages whose command is not there.

    :param packages: by command.
    """
    return [name for command, names in packages.items() if not shutil.which(command) for name in names]


def packages_not_installed(names: Collection[str]) -> list[str]:
    """Return those packages that dpkg does not know."""
    return [name for name in names if not (DPKG / f"{name}.list").exists()]


def locked_uv_version() -> str:
    """Return the version of uv that is locked."""
    found = re.search(r"^uv==(\S+)", UV_LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise ControllerError(f"{UV_LOCK} names no version of uv: restore the file")
    return found[1]


def installed_uv_version() -> str | None:
    """Return the version of uv that is installed; none if there is none."""
    try:
        done = subprocess.run([UV, "--version"], check=False, capture_output=True, text=True)
    except OSError:
        return None
    words = done.stdout.split()
    return words[1] if done.returncode == 0 and len(words) > 1 else None


def install_uv() -> None:
    """Install uv into a virtual environment of its own."""
    version = locked_uv_version()
    if installed_uv_version() == version:
        return
    if not find_spec("ensurepip"):  # which Debian packages apart
        need_packages(["python3-venv"])
    say(f"Installing uv {version}")
    folder = UV.parents[1]
    run(sys.executable, "-m", "venv", "--clear", folder)
    pip: list[str | Path] = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--no-deps", "--require-hashes", "-r", UV_LOCK)


def install_tools() -> None:
    """Install the locked Python tools into .venv."""
    install_uv()
    # Where a proxy inspects TLS, its authority is among the system's.
    if not os.environ.get("SSL_CERT_FILE") and os.access(AUTHORITIES, os.R_OK):
        os.environ["SSL_CERT_FILE"] = str(AUTHORITIES)
    sync: list[str | Path] = [UV, "sync", "--locked", "--compile-bytecode", "--quiet"]
    if not works(*sync, "--check"):
        say("Installing the locked Python tools into .venv")
        run(*sync)


def made_of(files: Collection[Path]) -> str:
    """Return a checksum of files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def install_package() -> None:
    """Install what a host has into .venv-airflow, but for what needs a compiler, and what the package's tests need."""
    wanted, note = made_of([*AIRFLOW_LOCKS, AIRFLOW_PACKAGE / "pyproject.toml"]), AIRFLOW / "made-of"
    if note.exists() and note.read_text(encoding="utf-8").strip() == wanted:
        return
    say(f"Installing the hosts' Airflow into {AIRFLOW}")
    run(UV, "venv", "--quiet", "--clear", "--no-project", AIRFLOW)
    install: list[str | Path] = [UV, "pip", "install", "--compile-bytecode", "--quiet", "--no-deps"]
    there = {"VIRTUAL_ENV": str(AIRFLOW)}
    run(*install, "--require-hashes", *(f"--requirements={lock}" for lock in AIRFLOW_LOCKS), environment=there)
    run(*install, "--editable", AIRFLOW_PACKAGE, environment=there)
    note.write_text(f"{wanted}\n", encoding="utf-8")


def engine_answers() -> bool:
    """Tell whether a Docker engine answers."""
    return works("docker", "info")


def libvirt_answers() -> bool:
    """Tell whether libvirt answers."""
    return works("virsh", "-c", "qemu:///system", "version")


def start_engine() -> None:
    """See to it that a Docker engine answers.

    :raises ControllerError: none does.
    """
    if engine_answers():
        return
    log = STATE / "dockerd.log"
    if SYSTEMD.is_dir():
        if not is_root():
            raise ControllerError(
                "no Docker engine answers: start it (sudo systemctl start docker) and join the group docker"
            )
        say("Starting the Docker engine")
        run("systemctl", "start", "docker")
    else:
        if not is_root():
            raise ControllerError("no Docker engine answers: start dockerd as root")
        say("No init runs here, so the Docker engine is started by hand; 'make down' stops it again")
        STATE.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            subprocess.Popen(
                ["dockerd", "--pidfile", pid_file("dockerd").absolute()],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    if not wait_until(engine_answers, 60):
        show_log_end(log)
        raise ControllerError("the Docker engine did not start within a minute")


def start_libvirt() -> None:
    """See to it that libvirt answers: where no init runs its daemons, they are started; `stop` stops them again.

    :raises ControllerError: it does not.
    """
    if libvirt_answers():
        return
    if SYSTEMD.is_dir():
        raise ControllerError(
            "libvirt does not answer: start it (sudo systemctl start libvirtd) and join the group libvirt"
        )
    if not is_root():
        raise ControllerError("libvirt does not answer: start libvirtd as root")
    say("No init runs here, so libvirt is started by hand; 'bin/controller stop' stops it again")
    STATE.mkdir(parents=True, exist_ok=True)
    for daemon in ("virtlogd", "libvirtd"):
        run(daemon, "--daemon", "--pid-file", pid_file(daemon).absolute())
    if not wait_until(libvirt_answers, 30):
        raise ControllerError("libvirt did not start within half a minute")


def pid_file(daemon: str) -> Path:
    """Return the file with the process of a daemon that this program started."""
    return STATE / f"{daemon}.pid"


def running_process(daemon: str) -> int | None:
    """Return the process of a daemon that this program started; none if it has ended: its number may be another's."""
    try:
        process = int(pid_file(daemon).read_text(encoding="utf-8"))
        name = (PROCESSES / str(process) / "comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return process if name == daemon else None


def stop_libvirt() -> None:
    """Stop libvirt, if this program started it."""
    for daemon in ("libvirtd", "virtlogd"):
        if process := running_process(daemon):
            os.kill(process, signal.SIGTERM)
        pid_file(daemon).unlink(missing_ok=True)


def stop_engine() -> None:
    """Stop the Docker engine, if this program started it."""
    if process := running_process("dockerd"):
        say("Stopping the Docker engine that was started for the stand-in host")
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: running_process("dockerd") is None, 60)
    pid_file("dockerd").unlink(missing_ok=True)


def prepare_package() -> None:
    """Prepare for the package's tests."""
    install_tools()
    need_packages(packages_without_command(PACKAGE))
    install_package()


def prepare_standin(more: Mapping[str, Collection[str]] | None = None) -> None:
    """Prepare for stand-in hosts.

    :param more: more packages, by command.
    """
    install_tools()
    need_packages(packages_without_command({**STANDIN, **engine_command(), **(more or {})}))
    start_engine()


def prepare_libvirt(guestfs: bool = False) -> None:
    """Prepare for Vagrant with libvirt.

    :param guestfs: whether machines shall be packaged.
    """
    install_tools()
    missing = packages_not_installed([*LIBVIRT, *(GUESTFS if guestfs else ())])
    # libguestfs starts a machine with this computer's kernel.
    if guestfs and not any(BOOT.glob("vmlinuz-*")):
        missing.append("linux-image-cloud-amd64")
    need_packages(missing)
    start_libvirt()


def stop() -> None:
    """Stop what this program started."""
    stop_libvirt()
    stop_engine()


COMMANDS: dict[str, Callable[[], None]] = {
    "uv": install_uv,
    "tools": install_tools,
    "package": prepare_package,
    "standin": prepare_standin,
    "vagrant": lambda: prepare_standin(VAGRANT),
    "libvirt": prepare_libvirt,
    "guestfs": lambda: prepare_libvirt(guestfs=True),
    "stop": stop,
    "stop-libvirt": stop_libvirt,
}


def main(arguments: list[str]) -> int:
    """Do what the command line says; exit code 1 when that is not possible."""
    os.chdir(PROJECT)
    try:
        if len(arguments) != 1 or arguments[0] not in COMMANDS:
            raise ControllerError(f"usage: bin/controller {'|'.join(COMMANDS)}")
        COMMANDS[arguments[0]]()
    except (ControllerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
