"""The certificate that people get: of the site's authority, given, or by ACME; and what testssl.sh says of it all."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from api import ADMIN, SERVER, curl, log_in
from converging import converge
from dags import tool, wait_for

CREDENTIALS = Path(os.environ["CREDENTIALS"])
NAME = "cwl.example.org"
CURL = "curl --silent --cacert /etc/ssl/site/ca.pem"
PEBBLE = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/etc/ssl/site/host.pem",
        "privateKey": "/etc/ssl/site/host.key",
        "httpPort": 80,
        "tlsPort": 443,
    }
}


def served(host, name=NAME):
    """Return serial number and issuer of the certificate that somebody gets who asks for a name."""
    return host.check_output(
        f"openssl s_client -connect 127.0.0.1:443 -servername {name} < /dev/null 2> /dev/null"
        " | openssl x509 -noout -serial -issuer"
    ).splitlines()


def converge_proxy(**variables):
    """Run what has to do with the proxy, and return how many changes there were."""
    return int(re.search(r"changed=(\d+)", converge("--tags=certificates,proxy", **variables))[1])


@pytest.fixture
def own(host) -> Iterator[None]:
    """Have a certificate of the site's own authority again afterwards."""
    issuer = served(host)[1]
    yield
    converge_proxy()
    assert served(host)[1] == issuer


def install(host, *packages):
    """Install packages of Debian's."""
    host.check_output(f"apt-get install --yes --no-install-recommends {' '.join(packages)}")


def test_nothing_above_low_is_found(host):
    install(host, "testssl.sh")
    name = host.check_output("hostname")
    command = f"testssl --quiet --color 0 --warnings off --add-ca /etc/ssl/site/ca.pem --jsonfile /tmp/tls.json {name}"
    try:
        host.run(command)
        found = json.loads(host.check_output("cat /tmp/tls.json"))
    finally:
        host.run("rm -f /tmp/tls.json")
    assert {"cert_chain_of_trust", "HSTS_time", "overall_grade"} <= {each["id"] for each in found}
    assert [each for each in found if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")] == []


def test_a_certificate_by_acme_is_had_and_renewed(host, own):
    install(host, "pebble")
    trusted = "/usr/local/share/ca-certificates/site.crt"
    host.check_output(f"cp /etc/ssl/site/ca.pem {trusted} && update-ca-certificates")
    host.check_output("cp /etc/hosts /tmp/hosts && echo '127.0.0.1 %s' >> /etc/hosts", NAME)
    host.check_output("echo %s > /tmp/pebble.json", json.dumps(PEBBLE))
    # Otherwise it waits, and refuses a part of what it is asked, as the real one might.
    settings = "-E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0"
    host.check_output(f"systemd-run --collect --unit=pebble {settings} pebble -config /tmp/pebble.json")
    try:
        wait_for("Pebble", lambda: host.run("curl --silent https://localhost:14000/dir").succeeded, 30)
        variables = {
            "proxy_server_name": NAME,
            "proxy_acme_directory": "https://localhost:14000/dir",
            "proxy_acme_email": "operators@example.org",
        }
        assert converge_proxy(**variables) > 0
        first = served(host)
        assert "Pebble" in first[1]
        assert converge_proxy(**variables) == 0
        # As certbot's timer does, later.
        host.check_output("certbot renew --quiet --force-renewal --no-random-sleep-on-renew")
        wait_for("new certificate", lambda: served(host)[0] != first[0], 30)
        assert "Pebble" in served(host)[1]
        assert host.service("certbot.timer").is_running
    finally:
        host.check_output("cat /tmp/hosts > /etc/hosts && rm /tmp/hosts /tmp/pebble.json")
        host.run(f"systemctl stop pebble; rm -rf /etc/letsencrypt {trusted}; update-ca-certificates --fresh")


def test_a_certificate_that_is_given_is_used(host, own, tmp_path):
    key, pem = tmp_path / "key", tmp_path / "pem"
    subject = ["-subj", "/CN=given", "-addext", f"subjectAltName=DNS:{NAME}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, *subject]
    subprocess.run(command, check=True, capture_output=True)
    variables = {
        "proxy_server_name": NAME,
        "proxy_certificate": pem.read_text(encoding="utf-8"),
        "proxy_certificate_key": key.read_text(encoding="utf-8"),
    }
    assert converge_proxy(**variables) > 0
    assert served(host)[1] == "issuer=CN=given"
    assert host.file("/etc/nginx/site.key").mode == 0o600
    assert converge_proxy(**variables) == 0


@pytest.mark.full
def test_an_authority_of_the_lab_signs(host, own, tmp_path):
    """One that another one has signed, which alone is known to those who ask."""
    authority, key = CREDENTIALS / "ca.pem", CREDENTIALS / "ca_key"
    before = {file: file.read_bytes() for file in (authority, key)}
    extensions = tmp_path / "extensions"
    extensions.write_text(
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n", encoding="utf-8"
    )
    new = ["-newkey", "rsa:2048", "-nodes"]
    for arguments in (
        ["req", "-x509", *new, "-keyout", "root.key", "-out", "root.pem", "-subj", "/O=Lab/CN=Root"],
        ["req", *new, "-keyout", "key", "-out", "request", "-subj", "/O=Lab/CN=Hosts"],
        ["x509", "-req", "-in", "request", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
         "-extfile", "extensions", "-out", "pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)
    try:
        authority.write_bytes((tmp_path / "pem").read_bytes())
        with pytest.raises(AssertionError, match="that was not made here"):
            converge_proxy()
        key.write_bytes(base64.b64encode((tmp_path / "key").read_bytes()))
        assert converge_proxy() > 0
        assert converge_proxy() == 0
        host.check_output("echo %s > /root/root.pem", (tmp_path / "root.pem").read_text(encoding="utf-8"))
        host.check_output("curl --silent --fail --cacert /root/root.pem https://$(hostname)/auth/login/")
    finally:
        host.run("rm -f /root/root.pem")
        for file, content in before.items():
            file.write_bytes(content)


def test_a_certificate_that_ends_soon_is_renewed(host):
    before = served(host)
    host.check_output("rm /etc/ssl/site/host.pem")
    converge_proxy(certificates_days=30, certificates_renew_days=14)
    short = served(host)
    assert (short[0] != before[0], short[1]) == (True, before[1])
    assert converge_proxy() > 0
    assert served(host)[0] != short[0]
    assert converge_proxy() == 0


def test_logins_are_limited(host):
    site = f"https://{host.check_output('hostname')}"
    body = json.dumps({"username": "nobody", "password": "nothing"})
    asking = f"{CURL} --output /dev/null --write-out '%{{http_code}}\\n'"
    paths = ("/auth/token", "/auth/token/cli")  # in turn, as one who guesses would
    once = "; ".join(f"{asking} --json '{body}' {site}{path}" for path in paths)
    asked = host.check_output(f"for try in $(seq 25); do {once}; done").split()
    assert asked[:10] == ["401"] * 10
    assert asked[-1] == "429"
    assert set(asked) == {"401", "429"}
    # Who looks only is not held up, nor who is on the host itself.
    assert host.check_output(f"{asking} {site}/auth/login/") == "200"
    assert curl(host, f"{SERVER}/auth/token", body=body)[0] == 401


def test_what_is_large_goes_through_as_it_is_taken(host, dag):
    dag.write(tool("head -c 300000000 /dev/zero", stdout="zeros", outputs={"zeros": "stdout"}))
    dag.trigger({})
    assert dag.ended() == "success"
    site = f"https://{host.check_output('hostname')}"
    download = f"{CURL} --oauth2-bearer {log_in(host, ADMIN)} {site}/cwl/runs/{dag.dag_id}/run/outputs/zeros"
    # What was sent and not taken would be in a file.
    slow = f"{download} --limit-rate 5M --max-time 8 --output /dev/null"
    host.run(f"{slow} & sleep 5; du --summarize --bytes /var/lib/nginx > /tmp/taken; wait")
    assert int(host.check_output("cut -f 1 /tmp/taken")) < 2**20
    assert host.check_output(f"{download} | wc --bytes") == "300000000"
