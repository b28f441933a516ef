"""Airflow's home in the tests: its settings, the folders of a site, and the file of its database.

Imported before anything imports Airflow, which reads its settings once.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
FOLDERS = {name: HOME / "cwl" / name for name in ("tmp", "inputs", "outputs", "pickle")}
SETTINGS = {
    "CORE__DAGS_FOLDER": f"{HOME}/dags",
    "CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # a busy machine is no reason to fail
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__UNIT_TEST_MODE": "False",
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "CELERY__BROKER_URL": "memory://",  # with no worker behind it
    "CORE__FERNET_KEY": "",
    "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    "LOGGING__BASE_LOG_FOLDER": f"{HOME}/logs",
    "LOGGING__LOGGING_LEVEL": "WARNING",
    "API__SECRET_KEY": "of the tests",
    "API_AUTH__JWT_SECRET": "of the tests" * 6,  # of 64 bytes or more
    **{f"CWL__{name.upper()}_FOLDER": str(folder) for name, folder in FOLDERS.items()},
}
#: Users of Airflow by name, which is their password, with their role. `Narrow` may start and see runs of DAG `mine`.
USERS = {"boss": "Admin", "reader": "Narrow"}
for name in [name for name in os.environ if name.startswith("AIRFLOW__")]:
    del os.environ[name]
os.environ |= {"AIRFLOW_HOME": str(HOME)} | {f"AIRFLOW__{name}": value for name, value in SETTINGS.items()}


class Site(NamedTuple):
    """The folders of a site."""

    dags: Path
    tmp: Path
    inputs: Path
    outputs: Path
    pickle: Path


def restored(saved: Path) -> Path:
    """Put a copy of a database in the place of Airflow's, and return its file."""
    forget_connections()
    file = HOME / "airflow.db"
    # Left by a process that was killed, they would be written into the copy.
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    shutil.copy(saved, file)
    return file


def forget_connections() -> None:
    """Close what is open of the database: its file may be replaced then."""
    from airflow import settings

    settings.Session.remove()
    settings.engine.dispose()
    # Of the routes that are asynchronous.
    if settings.async_engine is not None:
        settings.async_engine.sync_engine.dispose()
