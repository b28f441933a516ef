"""The one address over HTTPS, as it is asked from the host itself by its name."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from api import ADMIN, API, SERVER, curl

CA = "/etc/ssl/site/ca.pem"
HEADERS = {
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture
def site(host):
    """Return the address."""
    return f"https://{host.check_output('hostname')}"


def ask(host, url, *arguments):
    """Return status, headers by their names in small letters, and body."""
    command = ["curl", "--silent", "--max-time", "60", "--cacert", CA, "--include", "--http1.1", *arguments, url]
    head, _, body = host.check_output(shlex.join(command)).replace("\r", "").partition("\n\n")
    while head.startswith("HTTP/1.1 100"):
        head, _, body = body.partition("\n\n")
    status, *lines = head.splitlines()
    fields = [line.partition(":") for line in lines]
    return int(status.split()[1]), {name.lower(): value.strip() for name, _, value in fields}, body


def test_http_leads_to_https(host, site):
    status, headers, _ = ask(host, f"{site.replace('https', 'http')}/dags/two-step?tab=code")
    assert (status, headers["location"]) == (308, f"{site}/dags/two-step?tab=code")


def test_whoever_asks_for_another_name_is_led_to_the_right_one(host, site):
    for url in ("https://localhost/a?b", "https://127.0.0.1/a?b", "http://127.0.0.1/a?b"):
        status, headers, _ = ask(host, url)
        assert (status, headers["location"]) == (308, f"{site}/a?b"), url


@pytest.mark.parametrize(
    "path", ["/", "/auth/login/", "/nowhere", "/cwl-api/", "/cwl-api/api/experimental/ui/", "/flower/", "/rabbitmq/"]
)
def test_a_browser_is_told_what_pages_may_do(host, site, path):
    status, headers, _ = ask(host, site + path)
    assert status < 500, path
    assert headers.items() >= HEADERS.items(), headers
    assert "default-src" in headers["content-security-policy"] or "script-src" in headers["content-security-policy"]
    assert headers["server"] == "nginx"


def test_each_service_is_below_its_path(host, site, secret):
    broker = f"admin:{secret('rabbitmq_admin')}"
    for path, user in (
        ("/cwl-api/api/experimental/wes/service-info", ADMIN),
        ("/flower/workers?json=1", ADMIN),
        ("/rabbitmq/api/overview", broker),
    ):
        status, _, body = ask(host, site + path, "--user", user)
        assert (status, isinstance(json.loads(body), dict)) == (200, True), path
        assert ask(host, site + path)[0] == 401
    for path in ("/cwl-api", "/flower", "/rabbitmq"):
        status, headers, _ = ask(host, site + path)
        assert (status, headers["location"]) == (308, f"{site}{path}/")
    # As a user meets it: relative redirects stay below the path.
    for path in ("/cwl-api/", "/flower/", "/rabbitmq/"):
        shown = host.check_output(
            f"curl --silent --location --cacert {CA} --user admin:x -w '%{{url_effective}}' -o /dev/null {site}{path}"
        )
        assert shown.startswith(site + path), shown


def test_a_login_stays_at_the_address(host, site):
    status, headers, _ = ask(host, f"{site}/api/v2/auth/login")
    assert (status, headers["location"].partition("?")[0]) == (307, f"{site}/auth/login/")
    jar = host.check_output("mktemp")
    cookies = ["--cookie", jar, "--cookie-jar", jar]
    try:
        _, _, page = ask(host, f"{site}/auth/login/", *cookies)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
        name, _, password = ADMIN.partition(":")
        fields = {"csrf_token": token, "username": name, "password": password}
        form = [part for field in fields.items() for part in ("--data-urlencode", "=".join(field))]
        status, headers, _ = ask(
            host, f"{site}/auth/login/", *cookies, "--header", f"Referer: {site}/auth/login/", *form
        )
        assert status == 302
        assert headers["location"] == "/auth/"
        assert ask(host, f"{site}/auth/", *cookies)[1]["location"] == site
        lines = host.check_output("cat %s", jar).splitlines()
        kept = [line.removeprefix("#HttpOnly_").split("\t") for line in lines if line.count("\t") == 6]
        assert kept
        assert {(name, secure) for _, _, _, secure, _, name, _ in kept if secure != "TRUE"} == set()
        assert ask(host, f"{site}/api/v2/dags", *cookies)[0] in (200, 401)
    finally:
        host.check_output("rm %s", jar)


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-Prefix: /evil", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1"],
)
def test_what_a_client_says_of_a_proxy_is_not_believed(host, site, header):
    _, headers, body = ask(host, f"{site}/auth/login/", "--header", header)
    assert "evil" not in body
    status, headers, _ = ask(host, f"{site}/api/v2/auth/login", "--header", header)
    assert (status, headers["location"].partition("?")[0]) == (307, f"{site}/auth/login/")


def test_a_path_comes_as_it_was_sent(host, site):
    for path in ("wes/runs/a%2Fb", "wes/runs/a%20%25b?x=%2F", "dags/a+b/dag_runs"):
        direct = curl(host, f"{API}/{path}", user=ADMIN)
        status, _, body = ask(host, f"{site}/cwl-api/api/experimental/{path}", "--user", ADMIN)
        assert (status, body) == direct, path


def test_a_body_has_a_limit(host, site):
    host.check_output("head --bytes=11M /dev/zero > /tmp/body")
    try:
        upload = ("--request", "POST", "--data-binary", "@/tmp/body", "--header", "Expect:")
        assert ask(host, f"{site}/api/v2/dags", *upload)[0] == 413
        # That of the CWL API counts by itself, and says so in its own words.
        answer = ask(host, f"{site}/cwl-api/api/experimental/wes/runs", *upload, "--user", ADMIN)[2]
        assert "detail" in json.loads(answer)
    finally:
        host.check_output("rm /tmp/body")


def test_what_tasks_ask_is_not_for_everybody(host, site):
    for path in ("/execution/health", "//execution/health", "/%65xecution/health"):
        assert ask(host, site + path)[0] == 404, path
    assert curl(host, f"{SERVER}/execution/health")[0] == 200


def test_old_protocols_are_refused(host, site):
    for options in ("--tls-max 1.0", "--tls-max 1.1", "--tls-max 1.2 --ciphers AES128-SHA:@SECLEVEL=0"):
        assert host.run(f"curl --silent --cacert {CA} {options} {site}/").rc != 0, options
    for options in ("--tlsv1.2 --tls-max 1.2", "--tlsv1.3"):
        host.check_output(f"curl --silent --cacert {CA} {options} {site}/")


def test_its_key_is_root_s(host):
    found = host.file("/etc/ssl/site/host.key")
    assert (found.user, oct(found.mode)) == ("root", "0o600")
    assert host.run("runuser -u airflow -- cat /etc/ssl/site/host.key").rc != 0


def test_plain_http_serves_this_host_alone(host):
    assert curl(host, f"{SERVER}/api/v2/monitor/health")[0] == 200
