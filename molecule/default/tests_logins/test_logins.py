"""People log in by an LDAP directory (slapd), then by a provider (Canaille), and users of the site's own as ever."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from api import ADMIN, AIRFLOW, API, SERVER, USERS, ask, curl
from browser import Browser
from dags import wait_for
from directory import ADMINS, BIND_PASSWORD, PASSWORD, VIEWERS
from provider import PASSWORD as ITS_PASSWORD
from provider import SECRET

LEAVES = "dn: {}\nchangetype: modify\nreplace: member\nmember: uid=nobody,ou=people,dc=example,dc=org\n"
LOCAL = ADMIN.partition(":")[2]


def readable(host, secret):
    """Return the files with a secret, but those that systemd shows a unit alone; and see that nothing else tells it."""
    assert secret not in host.check_output("ps -eo args")
    assert secret not in host.check_output("journalctl --no-pager --quiet")
    where = "/etc /run /opt/airflow/ /var/lib/airflow /var/log"
    files = host.run(f"grep --devices=skip -rlF -- '{secret}' {where}").stdout.split()
    return sorted(file for file in files if not file.startswith("/run/credentials/airflow-"))


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(("name", "role"), [("ann", "Admin"), ("bea", "Viewer"), ("dan", "Viewer")])
def test_a_group_gives_its_role(host, token, roles, name, role):
    assert token(name, PASSWORD)
    assert roles(name) == [role]
    assert curl(host, f"{API}/wes/runs", user=f"{name}:{PASSWORD}")[0] == 200


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "wrong"), ("cid", PASSWORD), ("admin", PASSWORD), ("\uff41\uff4e\uff4e", PASSWORD), ("*", PASSWORD)],
)
def test_others_are_refused(host, token, roles, name, password):
    assert token(name, password) is None
    assert curl(host, f"{API}/wes/runs", user=f"{name}:{password}")[0] == 401
    assert roles("cid") is None, "who may not log in is no user"


@pytest.mark.usefixtures("directory")
def test_a_user_of_the_site_s_own_logs_in_as_before(host, token, site, browser, roles, user):
    assert token("admin", LOCAL)
    assert token(*user.split(":"))
    assert curl(host, f"{API}/wes/runs", user=ADMIN)[0] == 200
    shown = browser.get(f"{site}/auth/login/").submit(username="admin", password=LOCAL)
    assert (shown.status, shown.url) == (200, f"{site}/")
    assert browser.get(f"{site}/ui/auth/me").status == 200
    assert roles("admin") == ["Admin"]


@pytest.mark.usefixtures("directory")
def test_the_page_lets_in_whom_the_directory_knows(site, browser):
    page = browser.get(f"{site}/auth/login/")
    for name, password in (("cid", PASSWORD), ("bea", "wrong")):
        page = page.submit(username=name, password=password)
        assert page.url.startswith(f"{site}/auth/login/")
        assert browser.get(f"{site}/ui/auth/me").status == 401
    shown = page.submit(username="bea", password=PASSWORD)
    assert (shown.status, shown.url) == (200, f"{site}/")
    assert '"bea"' in browser.get(f"{site}/ui/auth/me").text
    # A password of one's own would be good when the group is not any more.
    browser.get(f"{site}/auth/resetmypassword/form").submit(password="of-bea-alone", conf_password="of-bea-alone")


@pytest.mark.usefixtures("directory")
def test_nobody_gets_a_password_here(host, token):
    body = json.dumps({"password": "of-bea-alone"})
    status, answer = curl(host, f"{USERS}/bea", "--request", "PATCH", user=ADMIN, body=body)
    assert (status, "Failed to update user" in answer) == (500, True), answer
    assert token("bea", "of-bea-alone") is None
    assert token("bea", PASSWORD)


def test_who_leaves_a_group_has_lost_the_role_with_the_next_login(host, token, roles, directory):
    before = token("ann", PASSWORD)
    directory.change(LEAVES.format(ADMINS))
    assert token("ann", PASSWORD) is None
    assert roles("ann") == []
    # If it had been used, Airflow would remember for half a minute what it was good for.
    assert curl(host, f"{AIRFLOW}/variables", bearer=before)[0] == 403
    directory.change(LEAVES.format(VIEWERS).replace("=nobody,", "=ann,"))
    assert token("ann", PASSWORD)
    assert roles("ann") == ["Viewer"]
    # Of whom the directory tells nothing any more.
    assert token("dan", PASSWORD) is None
    assert roles("dan") == []


@pytest.mark.usefixtures("directory")
def test_a_directory_with_a_foreign_certificate_gets_no_password(host, token):
    trusted = "/usr/local/share/ca-certificates/site.crt"
    host.check_output(f"mv {trusted} /tmp && update-ca-certificates --fresh")
    try:
        assert token("ann", PASSWORD) is None
        assert token("admin", LOCAL)
    finally:
        host.check_output(f"mv /tmp/site.crt {trusted} && update-ca-certificates")
    assert token("ann", PASSWORD)


@pytest.mark.usefixtures("directory")
def test_the_password_of_the_site_is_where_its_services_read_it(host):
    units = ("cwl-api", "webserver")
    assert readable(host, BIND_PASSWORD) == [f"/etc/airflow/credentials/{unit}.ldap_bind_password" for unit in units]


@pytest.mark.usefixtures("directory")
def test_who_is_in_no_group_gets_the_default_role_if_there_is_one(host, token, roles):
    # The next run of site.yml sets it back.
    host.check_output('sed -i \'/default_role/s/""/"Viewer"/\' /etc/airflow/logins.json')
    host.check_output("systemctl restart airflow-webserver")
    wait_for("API server", lambda: host.run(f"curl --silent --fail {AIRFLOW}/monitor/health").succeeded, 90)
    assert token("cid", PASSWORD)
    assert roles("cid") == ["Viewer"]
    ask(host, "DELETE", f"{USERS}/cid")


def sign_in(browser, site, name):
    """Go from Airflow's page to the provider's, log in there, and return the page to which that leads."""
    page = browser.get(f"{site}/auth/login/oidc")
    assert page.url.startswith("https://") and not page.url.startswith(f"{site}/"), page.url
    return page.submit(login=name).submit(password=ITS_PASSWORD)


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(("name", "role"), [("ann", "Admin"), ("bea", "Viewer")])
def test_the_provider_says_who_somebody_is(site, browser, token, roles, name, role):
    shown = sign_in(browser, site, name)
    assert (shown.status, shown.url) == (200, f"{site}/")
    assert f'"{name}"' in browser.get(f"{site}/ui/auth/me").text
    assert roles(name) == [role]
    assert token(name, ITS_PASSWORD) is None


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("name", ["cid", "admin"])
def test_the_provider_lets_in_nobody_else(host, site, browser, token, roles, name):
    assert sign_in(browser, site, name).url == f"{site}/auth/login/"
    assert browser.get(f"{site}/ui/auth/me").status == 401
    assert (roles("cid"), roles("admin")) == (None, ["Admin"])
    assert token("admin", LOCAL)
    assert curl(host, f"{API}/wes/runs", user=ADMIN)[0] == 200


@pytest.mark.usefixtures("provider")
def test_who_comes_without_the_provider_is_not_let_in(site, browser):
    assert browser.get(f"{site}/auth/oauth-authorized/oidc?code=x&state=y").url == f"{site}/auth/login/"
    assert browser.get(f"{site}/ui/auth/me").status == 401
    assert browser.get(f"{site}/auth/register/form").status == 404


@pytest.mark.usefixtures("provider")
def test_the_provider_sends_people_back_to_the_outside_address(host):
    said = {"Proto": "https", "Host": "cwl.example.org:8443", "Port": "8443", "For": "192.0.2.1"}
    headers = [part for name, value in said.items() for part in ("--header", f"X-Forwarded-{name}: {value}")]
    shown = ["--output", "/dev/null", "--write-out", "%{redirect_url}\n%{http_code}"]
    status, url = curl(host, f"{SERVER}/auth/login/oidc", *headers, *shown)
    assert status == 302
    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == ["https://cwl.example.org:8443/auth/oauth-authorized/oidc"]
    assert asked["code_challenge_method"] == ["S256"]


def test_who_leaves_a_group_of_the_provider_s_is_not_let_in_again(host, site, browser, provider, roles):
    provider.set_members("viewers", "cid")
    assert sign_in(browser, site, "bea").url == f"{site}/auth/login/"
    assert roles("bea") == []
    assert sign_in(Browser(host), site, "cid").url == f"{site}/"
    assert roles("cid") == ["Viewer"]


@pytest.mark.usefixtures("provider")
def test_the_secret_of_the_site_is_where_its_services_read_it(host):
    units = ("cwl-api", "webserver")
    assert readable(host, SECRET) == [f"/etc/airflow/credentials/{unit}.oidc_client_secret" for unit in units]
