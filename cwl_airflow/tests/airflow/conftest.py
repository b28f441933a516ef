"""Tests with a real Airflow: its database (SQLite), its users and roles, and the folders of a site.

They need what is on the hosts (files/airflow/requirements.txt), with pytest, hypothesis, httpx and schemathesis. The
database is migrated once for all tests, which takes seconds; each test that asks for one gets a copy of the file.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from home import FOLDERS, HOME, USERS, Site, forget_connections, restored
from sqlalchemy import event


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Return Airflow's home, with a database that is migrated and empty but for the roles that Airflow makes."""
    from airflow import settings
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils import db

    # What a test writes need not outlive a failure of the machine.
    event.listen(settings.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    db.initdb()
    with get_application_builder() as builder:
        builder.sm.sync_roles()
    forget_connections()
    shutil.copy(HOME / "airflow.db", HOME / "empty.db")
    return HOME


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


@pytest.fixture(scope="session")
def users_database(airflow_home: Path) -> Path:
    """Return the file of a database with the users of `home.USERS` and two DAGs of a task, `mine` and `other`."""
    import rows
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
    from cwl_airflow.callers import DOCUMENTS

    saved = airflow_home / "users.db"
    restored(airflow_home / "empty.db")
    allowed = {
        "Narrow": [("can_read", "DAG:mine"), ("can_edit", "DAG:mine"), ("can_create", "DAG Runs")],
        "Admin": [("can_create", DOCUMENTS)],
    }
    with get_application_builder() as builder:
        manager = builder.sm
        manager.add_role("Narrow")
        for role, permissions in allowed.items():
            for permission in permissions:
                manager.add_permission_to_role(manager.find_role(role), manager.create_permission(*permission))
        for name, role in USERS.items():
            manager.add_user(name, "A", "B", f"{name}@example.org", manager.find_role(role), password=name)
    for dag_id in ("mine", "other"):
        with DAG(dag_id, schedule=None) as dag:
            EmptyOperator(task_id="start")
        rows.add_dag(dag)
    forget_connections()
    shutil.copy(airflow_home / "airflow.db", saved)
    return saved


@pytest.fixture
def api_server(users_database: Path) -> Iterator[Any]:
    """Return a client of Airflow's api-server, which needs no network."""
    from airflow.api_fastapi.app import cached_app
    from fastapi.testclient import TestClient

    restored(users_database)
    with TestClient(cached_app()) as client:
        yield client


@pytest.fixture(scope="session")
def api_database(airflow_home: Path) -> Path:
    """Return the file of a database with users of each role and two DAGs, `mine` and `other`."""
    import api
    from airflow.models import Variable
    from airflow.settings import engine
    from cwl_airflow.schema import upgrade

    saved = airflow_home / "api.db"
    restored(airflow_home / "empty.db")
    folder = airflow_home / "dags"
    folder.mkdir(exist_ok=True)
    api.make_users()
    for dag_id in ("mine", "other"):
        api.add_dag(folder, dag_id)
    upgrade(engine)
    Variable.set("jwt_backend_public_key", api.public_key())
    forget_connections()
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


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a local time that is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()
