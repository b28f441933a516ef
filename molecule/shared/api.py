"""The APIs of Airflow and of CWL, and their users, for the tests: Airflow's own commands take seconds to start."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from contextlib import contextmanager
from pathlib import Path

SERVER = "http://127.0.0.1:8080"
AIRFLOW = f"{SERVER}/api/v2"
USERS = f"{SERVER}/auth/fab/v1/users"
API = "http://127.0.0.1:8081/api/experimental"
ADMIN = f"admin:{(Path(os.environ['CREDENTIALS']) / 'airflow_admin').read_text(encoding='utf-8').strip()}"


#: Tokens of Airflow's own API by login.
TOKENS = {}


def log_in(host, user):
    """Return the token for which Airflow's own API takes a login, name and password with a colon between."""
    if user not in TOKENS:
        name, _, password = user.partition(":")
        body = json.dumps({"username": name, "password": password})
        status, answer = curl(host, f"{SERVER}/auth/token", body=body)
        assert status == 201, f"{status} {answer}"
        TOKENS[user] = json.loads(answer)["access_token"]
    return TOKENS[user]


def curl(host, url, *arguments, user=None, bearer=None, body=None):
    """Ask from the host itself, and return status and answer."""
    command = ["curl", "--silent", "--max-time", "60", "--write-out", "\n%{http_code}", *arguments]
    if user and url.startswith(SERVER):
        user, bearer = None, log_in(host, user)
    if user:
        command += ["--user", user]
    if bearer:
        command += ["--header", f"Authorization: Bearer {bearer}"]
    if body is not None:
        command += ["--header", "Content-Type: application/json", "--data", body]
    answer, _, status = host.check_output(shlex.join([*command, url])).rpartition("\n")
    return int(status), answer


def ask(host, method, url, body=None, missing=False):
    """Return what Airflow's REST API answers to its administrator.

    :param missing: whether there may be nothing: then nothing is returned.
    """
    text = None if body is None else json.dumps(body)
    status, answer = curl(host, url, "--request", method, user=ADMIN, body=text)
    if status == 404 and missing:
        return None
    assert 200 <= status < 300, f"{method} {url}: {status} {answer}"
    return json.loads(answer) if answer else None


@contextmanager
def made_user(host, name, role):
    """Make a user of a role."""
    body = {
        "username": name,
        "password": f"{name}-only",
        "first_name": "A",
        "last_name": "B",
        "email": f"{name}@example.org",
        "roles": [{"name": role}],
    }
    ask(host, "POST", USERS, body)
    # To check one as Airflow stores it takes 0.1 s of a core, and some tests ask hundreds of times.
    stored = f"pbkdf2:sha256:1$salt${hashlib.pbkdf2_hmac('sha256', f'{name}-only'.encode(), b'salt', 1).hex()}"
    change = f"UPDATE airflow.ab_user SET password = '{stored}' WHERE username = '{name}'"
    host.check_output(shlex.join(["mysql", f"--execute={change}"]))
    try:
        yield f"{name}:{name}-only"
    finally:
        ask(host, "DELETE", f"{USERS}/{name}")
        TOKENS.pop(f"{name}:{name}-only", None)
