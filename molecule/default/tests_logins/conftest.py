"""A directory and a provider of logins on the host, and what is put back when the last test has ended."""

from __future__ import annotations

import json

import pytest
from api import ADMIN, USERS, ask, curl
from browser import Browser
from converging import converge
from directory import ADMINS, BIND, BIND_PASSWORD, VIEWERS, Directory
from provider import CLIENT, SCOPES, SECRET, Provider


@pytest.fixture(scope="module")
def site(host):
    """Return the address, whose authority the host trusts meanwhile; afterwards logins are the site's own again."""
    trusted = "/usr/local/share/ca-certificates/site.crt"
    host.check_output(f"cp /etc/ssl/site/ca.pem {trusted} && update-ca-certificates")
    try:
        yield f"https://{host.check_output('hostname')}"
    finally:
        for name in ("ann", "bea", "cid", "dan"):
            curl(host, f"{USERS}/{name}", "--request", "DELETE", user=ADMIN)
        host.check_output(f"rm {trusted} && update-ca-certificates --fresh")
        converge("--tags=airflow")


@pytest.fixture
def browser(host):
    """Return a browser."""
    return Browser(host)


@pytest.fixture(scope="module")
def directory(host, site):
    """Return a directory that the site's logins are of."""
    made = Directory(host)
    try:
        made.start()
        converge(
            "--tags=airflow",
            airflow_ldap_url="ldap://localhost:1389",
            airflow_ldap_bind_user=BIND,
            airflow_ldap_bind_password=BIND_PASSWORD,
            airflow_ldap_search_base="ou=people,dc=example,dc=org",
            airflow_login_roles={ADMINS: ["Admin"], VIEWERS: ["Viewer"]},
        )
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def provider(host, site):
    """Return a provider that the site's logins are of."""
    made = Provider(host)
    try:
        made.start(site)
        converge(
            "--tags=airflow",
            airflow_oidc_url=made.url,
            airflow_oidc_client_id=CLIENT,
            airflow_oidc_client_secret=SECRET,
            airflow_oidc_scopes=SCOPES,
            airflow_login_roles={"admins": ["Admin"], "viewers": ["Viewer"]},
        )
        yield made
    finally:
        made.stop()


@pytest.fixture
def roles(host):
    """Return a function that returns the roles of a user, none if there is no such user."""

    def of(name):
        found = ask(host, "GET", f"{USERS}/{name}", missing=True)
        return found and [role["name"] for role in found["roles"]]

    return of


@pytest.fixture
def token(host):
    """Return a function that returns the token that somebody gets for a password, none if there is none."""

    def of(name, password):
        body = json.dumps({"username": name, "password": password})
        status, answer = curl(host, "http://127.0.0.1:8080/auth/token", body=body)
        assert status in (201, 401), answer
        return json.loads(answer)["access_token"] if status == 201 else None

    return of
