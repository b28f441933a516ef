"""The CWL API keeps what its specification says, whatever it is asked: schemathesis, always with the same requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from api import ADMIN, API, curl, made_user
from dags import DAGS, TMP
from forward import forwarded

#: What a document, a name or a time must be like cannot be said in the specification, so that what it allows may be
#: refused: positive_data_acceptance says nothing here.
CONFIG = """
seed = 1
continue-on-failure = true
request-timeout = 30

[auth.basic]
username = "${API_USER}"
password = "${API_PASSWORD}"

[generation]
deterministic = true
database = "none"
max-examples = 8
allow-x00 = true

[phases.stateful]
enabled = false

[checks.positive_data_acceptance]
enabled = false
"""


def left_on(host):
    """Return what an upload may leave: files of DAGs, DAGs, and folders of attachments."""
    # Not the folders of runs, which it may well start.
    files = host.check_output(
        f"find {DAGS} {TMP} -maxdepth 2 -not -path '*/__pycache__*' -path '{DAGS}*' -o -path '{TMP}/@wes/*'"
    ).split("\n")
    return {*files, *(dag["dag_id"] for dag in json.loads(curl(host, f"{API}/dags", user=ADMIN)[1])["dags"])}


@pytest.fixture(params=["Viewer", *(pytest.param(role, marks=pytest.mark.full) for role in ("Admin", "User"))])
def login(host, request):
    """Return the login of a user of a role."""
    with made_user(host, "checks", request.param) as made:
        yield made


def test_the_api_keeps_its_specification(host, login, tmp_path):
    user, _, password = login.partition(":")
    status, specification = curl(host, f"{API}/swagger.json", user=login)
    assert status == 200
    (tmp_path / "swagger.json").write_text(specification, encoding="utf-8")
    (tmp_path / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    before = left_on(host)
    with forwarded(host, 8081) as port:
        done = subprocess.run(
            [Path(sys.executable).parent / "st", "run", "swagger.json", f"--url={API.replace('8081', str(port))}"],
            cwd=tmp_path,
            env={**os.environ, "API_USER": user, "API_PASSWORD": password},
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_on(host) == before
