"""Tests with a real Airflow: its database (SQLite), its users and roles, and the folders of a site.

They need what is on the hosts (files/airflow/requirements.txt), with pytest, hypothesis, httpx and schemathesis. The
database is migrated once for all tests, which takes seconds; each test that asks for one gets a copy of the file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

#: Before anything imports Airflow, which reads its settings once.
HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
FOLDERS = {name: HOME / "cwl" / name for name in ("tmp", "inputs", "outputs", "pickle")}
SETTINGS = {
    "CORE__DAGS_FOLDER": f"{HOME}/dags",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__UNIT_TEST_MODE": "False",
    "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "CELERY__BROKER_URL": "memory://",  # with no worker behind it
    "CORE__FERNET_KEY": "",
    "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    "LOGGING__BASE_LOG_FOLDER": f"{HOME}/logs",
    "LOGGING__LOGGING_LEVEL": "WARNING",
    "WEBSERVER__SECRET_KEY": "of the tests",
    **{f"CWL__{name.upper()}_FOLDER": str(folder) for name, folder in FOLDERS.items()},
}
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


@pytest.fixture(scope="session")
def airflow_home() -> Iterator[Path]:
    """Return Airflow's home, with a database that is migrated and empty but for the roles that Airflow makes."""
    from airflow.utils import db
    from cwl_airflow.api.users import Users

    db.initdb()
    users = Users()
    with users._app.app_context():
        users._manager.security_manager.sync_roles()
    _forget_connections()
    shutil.copy(HOME / "airflow.db", HOME / "empty.db")
    yield HOME
    _forget_connections()
    shutil.rmtree(HOME)


@pytest.fixture
def clean_database(airflow_home: Path) -> Path:
    """Return the file of a database that is as after its migration."""
    return restored(airflow_home / "empty.db")


@pytest.fixture
def site(airflow_home: Path) -> Site:
    """Return the folders of a site, which are empty."""
    folders = Site(airflow_home / "dags", *FOLDERS.values())
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    return folders


def restored(saved: Path) -> Path:
    """Put a copy of a database in the place of Airflow's, and return its file."""
    _forget_connections()
    file = HOME / "airflow.db"
    shutil.copy(saved, file)
    return file


def _forget_connections() -> None:
    from airflow import settings

    settings.Session.remove()
    settings.engine.dispose()


@pytest.fixture(scope="session")
def api_database(airflow_home: Path) -> Path:
    """Return the file of a database with users of each role and two DAGs, `mine` and `other`."""
    import api
    from airflow.models import Variable
    from cwl_airflow.api.tokens.used import create_tables

    saved = airflow_home / "api.db"
    restored(airflow_home / "empty.db")
    folder = airflow_home / "dags"
    folder.mkdir(exist_ok=True)
    api.make_users()
    for dag_id in ("mine", "other"):
        api.add_dag(folder, dag_id)
    create_tables()
    Variable.set("jwt_backend_public_key", api.public_key())
    _forget_connections()
    shutil.copy(airflow_home / "airflow.db", saved)
    return saved


@pytest.fixture(scope="session")
def application(api_database: Path) -> Any:
    """Return the application of the CWL API."""
    from cwl_airflow.api.app import create_app

    return create_app()


@pytest.fixture
def api(application: Any, api_database: Path, site: Site) -> Any:
    """Return the CWL API of a site with two DAGs and users of each role."""
    from api import DOCUMENT, Api

    restored(api_database)
    (site.dags / "tool.cwl").write_bytes(DOCUMENT)
    return Api(application)
