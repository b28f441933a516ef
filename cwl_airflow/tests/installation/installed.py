"""An Airflow that nobody of this project set up, with the package: pip, SQLite, LocalExecutor, no containers."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[3]
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
#: For how long anything may take, in seconds: a busy machine is no reason to fail.
DEADLINE = 600
SERVICES = ("api-server", "scheduler --skip-serve-logs", "dag-processor")


@dataclass
class Installation:
    """A virtual environment with the package, and a home for its Airflow."""

    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its api-server is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        """Airflow's home."""
        return self.folder / "home"

    def install(self) -> None:
        """Install the package as anybody would, in the releases that the project locked."""
        uv = next(
            path for path in (str(PROJECT / ".venv-uv/bin/uv"), shutil.which("uv")) if path and Path(path).exists()
        )
        more = {"SSL_CERT_FILE": str(AUTHORITIES)} if AUTHORITIES.exists() else {}
        environment = {**more, **_without_airflow(), "UV_NO_CONFIG": "1"}

        def run(*command: str | Path) -> None:
            subprocess.run([uv, *command], check=True, env=environment, timeout=DEADLINE)

        run("build", "--quiet", "--wheel", "--out-dir", self.folder, PROJECT / "cwl_airflow")
        run("venv", "--quiet", "--python", sys.executable, self.folder / "venv")
        (wheel,) = self.folder.glob("*.whl")
        constraints = self.folder / "constraints.txt"
        lock = (PROJECT / "files/airflow/requirements.txt").read_text(encoding="utf-8")
        pins = [line.removesuffix(" \\") for line in lock.splitlines() if not line.startswith((" ", "#"))]
        constraints.write_text("\n".join(pins), encoding="utf-8")
        python = self.folder / "venv/bin/python"
        run("pip", "install", "--quiet", "--python", python, "--constraint", constraints, wheel)

    def configure(self) -> None:
        """Say what Airflow has to know, and add a DAG."""
        settings = {
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "2",
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": "someone:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            # What is enough on a quiet machine ends tasks and services where other tests take both cores.
            "CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db?timeout=120",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "3600",
            "WORKERS__EXECUTION_API_RETRIES": "30",
            "WORKERS__EXECUTION_API_TIMEOUT": "60",
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__SECRET_KEY": "of the test",
            "API_AUTH__JWT_SECRET": "of the test " * 6,
            "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "CWL__USE_CONTAINER": "False",
        }
        self.environment = {
            "AIRFLOW_HOME": str(self.home),
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/venv/bin:/usr/bin:/bin",
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        }
        shutil.copytree(PROJECT / "files/workflows/two-step", self.home / "dags/two-step")
        shutil.copytree(Path(__file__).with_name("dags"), self.home / "dags/shown")
        (self.home / "passwords.json").write_text('{"someone": "secret"}', encoding="utf-8")
        # As whom the commands ask Airflow.
        login = {"user": "someone", "password": "secret"}
        (self.home / "administrator.json").write_text(json.dumps(login), encoding="utf-8")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment."""
        program = self.folder / "venv/bin" / command[0]
        return subprocess.run(
            [program, *command[1:]],
            check=False,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )

    @contextmanager
    def services(self) -> Iterator[None]:
        """Have Airflow's services run meanwhile, and none of their processes afterwards."""
        started: list[subprocess.Popen[bytes]] = []
        try:
            for service in SERVICES:
                with (self.folder / f"{service.split()[0]}.log").open("wb") as log:
                    command = [str(self.folder / "venv/bin/airflow"), *service.split()]
                    # A group of its own, with all that it starts.
                    process = subprocess.Popen(
                        command,
                        env=self.environment,
                        stdout=log,
                        stderr=log,
                        cwd=self.home,
                        start_new_session=True,
                        preexec_fn=_end_with_parent,
                    )
                    started.append(process)
            self._wait_for_answer(started)
            yield
        finally:
            for process in started:
                _end_group(process)

    def _wait_for_answer(self, started: list[subprocess.Popen[bytes]]) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            ended = [" ".join(map(str, each.args)) for each in started if each.poll() is not None]  # type: ignore[union-attr]
            assert not ended, f"{ended} ended:\n{self.logs()}"
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/api/v2/version", timeout=60):
                return
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)

    def logs(self) -> str:
        """Return the end of what the services wrote."""
        ends = [f"{log.name}:\n{log.read_text(encoding='utf-8')[-2000:]}" for log in sorted(self.folder.glob("*.log"))]
        return "\n".join(ends)


def _without_airflow() -> dict[str, str]:
    """Return the environment without what says where the Airflow of other tests is, or the Python of these."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "PYTHON")) and name not in ("VIRTUAL_ENV", "CONDA_PREFIX")
    }


def _end_with_parent() -> None:
    """Have this process ended when the tests are killed (PR_SET_PDEATHSIG in prctl(2))."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process, and all that is in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
