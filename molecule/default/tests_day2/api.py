"""The CWL API and its users, for the tests."""

from __future__ import annotations

import hashlib
import os
import shlex
from contextlib import contextmanager
from pathlib import Path

API = "http://127.0.0.1:8081/api/experimental"
ADMIN = f"admin:{(Path(os.environ['CREDENTIALS']) / 'airflow_admin').read_text(encoding='utf-8').strip()}"


def curl(host, url, *arguments, user=None, bearer=None, body=None):
    """Ask from the host itself, and return status and answer."""
    command = ["curl", "--silent", "--max-time", "60", "--write-out", "\n%{http_code}", *arguments]
    if user:
        command += ["--user", user]
    if bearer:
        command += ["--header", f"Authorization: Bearer {bearer}"]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data", body]
    answer, _, status = host.check_output(shlex.join([*command, url])).rpartition("\n")
    return int(status), answer


@contextmanager
def made_user(host, name, role):
    """Make a user of a role."""
    host.check_output(
        f"airflow users create --username {name} --password {name}-only --role {role} --firstname A --lastname B "
        f"--email {name}@example.org"
    )
    # To check one as Airflow stores it takes 0.1 s of a core, and some tests ask hundreds of times.
    stored = f"pbkdf2:sha256:1$salt${hashlib.pbkdf2_hmac('sha256', f'{name}-only'.encode(), b'salt', 1).hex()}"
    change = f"UPDATE airflow.ab_user SET password = '{stored}' WHERE username = '{name}'"
    host.check_output(shlex.join(["mysql", f"--execute={change}"]))
    try:
        yield f"{name}:{name}-only"
    finally:
        host.check_output(f"airflow users delete --username {name}")
