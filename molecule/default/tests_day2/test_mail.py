"""What a site mails of its runs and of itself, through a real mail server; rotate.yml told the role where that is."""

from __future__ import annotations

import hashlib
import json
import shlex

import pytest
from dags import tool, wait_for

UNIT = "test-mail"
#: Prints what comes: with Debian's own Python, as the host's Airflow has no mail server.
SERVER = """
import asyncio, hashlib, json
from email import message_from_bytes, policy
from aiosmtpd.smtp import SMTP, AuthResult

logins = []

class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        found = {name: mail[name] for name in ("Subject", "From", "Message-ID")}
        found["text"] = " ".join(mail.get_content().split())
        print(json.dumps({**found, "to": envelope.rcpt_tos, "login": logins[-1]}), flush=True)
        return "250 taken"

def log_in(server, session, envelope, mechanism, data):
    logins.append([data.login.decode(), hashlib.sha256(data.password).hexdigest()])
    return AuthResult(success=True)

def speak():
    return SMTP(Mailbox(), authenticator=log_in, auth_required=True, auth_require_tls=False)

async def serve():
    await (await asyncio.get_running_loop().create_server(speak, "127.0.0.1", 18025)).serve_forever()

asyncio.run(serve())
"""


class Mailbox:
    """The mail server, as a unit of its own; what it printed is in its journal."""

    def __init__(self, host):
        """Be there, with nothing that other tests left to mail."""
        self.host = host
        host.check_output(
            f"systemd-run --quiet --collect --unit={UNIT} /usr/bin/python3 -W ignore -c {shlex.quote(SERVER)}"
        )
        wait_for("mail server", lambda: host.socket("tcp://127.0.0.1:18025").is_listening, 30)
        # It would wait for a server that was not there, and send no more than so many in an hour.
        host.check_output("systemctl stop airflow-cwl-reports")
        host.check_output("mysql --execute=\"DELETE FROM airflow.cwl_reports WHERE route = 'mail'\"")
        host.check_output("systemctl start airflow-cwl-reports")

    def mails(self):
        """Return what came."""
        lines = self.host.check_output(f"journalctl --unit={UNIT} --output=cat --no-pager").splitlines()
        return [json.loads(line) for line in lines if line.startswith('{"')]

    def wait(self, end, seconds):
        """Wait for mails whose subject has that end, and return them."""
        return wait_for(end, lambda: [mail for mail in self.mails() if mail["Subject"].endswith(end)], seconds)


@pytest.fixture(scope="module")
def mailbox(host):
    """Return the mail server, which is not there before and afterwards."""
    apt = "DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet"
    host.check_output(f"{apt} install --no-install-recommends python3-aiosmtpd")
    try:
        yield Mailbox(host)
    finally:
        host.run(f"systemctl stop {UNIT}")
        host.check_output(f"{apt} purge --auto-remove python3-aiosmtpd")


def test_a_failed_run_is_mailed_once(dag, mailbox, secret):
    dag.write(tool("echo 'no luck' >&2; exit 3"))
    dag.trigger({"job": {}})
    assert dag.ended() == "failed"
    (mail,) = mailbox.wait(f": {dag.dag_id} failed", 120)
    assert (mail["From"], mail["to"]) == ("cwl@example.org", ["operators@example.org"])
    assert "Run: run Started: " in mail["text"]
    assert "exit status 3: no luck " in mail["text"]
    assert mail["login"] == ["cwl", hashlib.sha256(secret("mail_password").encode()).hexdigest()]
    mailbox.host.check_output("systemctl restart airflow-cwl-reports")
    dag.clear()
    wait_for("second mail", lambda: len(mailbox.wait(f": {dag.dag_id} failed", 1)) > 1, 120)
    keys = [mail["Message-ID"] for mail in mailbox.mails() if mail["Subject"].endswith(f": {dag.dag_id} failed")]
    assert len(keys) == len(set(keys)) == 2


@pytest.mark.full  # it is looked at the site every two minutes, and told after two looks
def test_a_site_without_a_worker_is_mailed(host, mailbox):
    host.check_output("systemctl stop airflow-worker")
    try:
        mailbox.wait("not well", 420)
    finally:
        host.check_output("systemctl start airflow-worker")
    assert any("no worker takes its tasks" in mail["text"] for mail in mailbox.mails())
    mailbox.wait(": well again", 420)
