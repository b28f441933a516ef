"""What the tests of the state share. Each takes testinfra's `host`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from api import made_user
from dags import Dag
from receiver import made_receiver

SERVICES = [
    f"airflow-{service}"
    for service in (
        "webserver",
        "scheduler",
        "dag-processor",
        "triggerer",
        "worker",
        "flower",
        "cwl-api",
        "cwl-reports",
    )
]
CREDENTIALS = Path(__file__).parents[2] / "wiring/credentials.yml"
#: Names of the secrets that are made for a site.
MADE = [name for name, secret in yaml.safe_load(CREDENTIALS.read_text())["credentials"].items() if "value" in secret]
UNITS = [
    *SERVICES,
    "airflow-cwl-javascript.socket",
    "airflow-cwl-tidy.timer",
    "mysql",
    "rabbitmq-server",
    "docker",
    "nginx",
]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the journal of the unit that a failed test is about."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    parameters = getattr(item, "callspec", None)
    unit = parameters.params.get("unit") if parameters else None
    if report.failed and unit:
        host = item.funcargs["host"]  # type: ignore[attr-defined]
        journal = host.run(f"journalctl --no-pager --lines=40 --unit={unit}").stdout
        report.sections.append((f"journal of {unit}", journal))


@pytest.fixture(scope="session")
def secret() -> object:
    """Return a function that reads a secret of the site."""
    folder = Path(os.environ["CREDENTIALS"])
    return lambda name: (folder / name).read_text(encoding="utf-8").strip()


@pytest.fixture
def dag(host, request):
    """Return a DAG that is removed afterwards."""
    made = Dag(host, re.sub(r"[^a-z0-9]+", "-", request.node.name.split("[")[0]))
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def receiver(host, secret):
    """Return the receiver of the site's reports, which does not run yet."""
    with made_receiver(host, secret("report_private_key")) as made:
        yield made


@pytest.fixture
def viewer(host):
    """Return the login of a user who may only read."""
    with made_user(host, "looks", "Viewer") as made:
        yield made


@pytest.fixture
def user(host):
    """Return the login of a user who may trigger and stop, but not add documents."""
    with made_user(host, "uses", "User") as made:
        yield made
