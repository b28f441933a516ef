"""No secret of the site is seen where others look: in journals, logs, processes, files, nor in what Ansible prints."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from api import ADMIN, log_in
from dags import IMAGE, Dag, tool
from leaks import forms_of, names_in, run_with_input, watch

PROJECT = Path(__file__).parents[3]
CREDENTIALS = Path(os.environ["CREDENTIALS"])
#: What no site has: it is put everywhere, and has to be found.
CANARY = "canary-of-leaks/+ %"
#: Files with secrets on the host: they are changed, so that Ansible writes them again and shows what it would.
WRITTEN = [
    "/etc/airflow/administrator.json",
    "/etc/airflow/airflow.cfg",
    "/etc/airflow/credentials/cwl-reports.notices",
    "/etc/airflow/credentials/cwl-reports.report_private_key",
    "/etc/airflow/worker.env",
    "/etc/rabbitmq/definitions.json",
]
#: Who may have which secrets in its environment: the worker and its tasks (docs/security.md).
HOLDERS = {
    ("environ", "airflow-worker.service", name)
    for name in ("mysql_airflow", "rabbitmq_airflow", "webserver_secret_key")
}
#: Folders with what packages brought, which are large.
NOT_OURS = "--exclude-dir=site-packages --exclude-dir=lists"
#: All but the files of Debian's packages, of the kernel and of devices.
WHERE = "/boot /etc /home /media /mnt /opt /root /run /srv /tmp /var"


@pytest.fixture(scope="module")
def forms():
    """Return how each secret of the site may look, and the canary."""
    # What the authority says of itself is for everybody.
    files = [file for file in CREDENTIALS.iterdir() if file.is_file() and file.name not in ("ca.pem", "ca.crl")]
    secrets = {file.name: file.read_text(encoding="utf-8") for file in files}
    secrets["ca_key in PEM"] = base64.b64decode(secrets["ca_key"]).decode()
    table = yaml.safe_load((PROJECT / "wiring/credentials.yml").read_text(encoding="utf-8"))["credentials"]
    assert {name for name, secret in table.items() if "value" in secret} | {
        "mail_password",
        "report_private_key",
    } <= secrets.keys()
    return {name: forms_of(text) for name, text in (secrets | {"canary": CANARY}).items()}


@pytest.fixture(scope="module")
def patterns(host, forms):
    """Return a file with the forms on the host, one a line, that only root can read."""
    file = "/root/leaks"
    text = "".join(f"{form}\n" for all_forms in forms.values() for form in all_forms)
    assert run_with_input(host, f"umask 077; cat > {file}", text).returncode == 0
    try:
        yield file
    finally:
        host.check_output(f"rm {file}")


def found_in_files(host, patterns, folders, user="root"):
    """Return the files in which a user of the host sees a secret."""
    search = f"runuser -u {user} -- grep --devices=skip {NOT_OURS} -rlsF --file=- {folders} < {patterns}"
    return set(host.run(search).stdout.splitlines())


def work(host):
    """Let a host do what it is for: a run with a container, the commands that know secrets, a login."""
    made = Dag(host, "leaks")
    made.write(tool("echo done", hints=IMAGE))
    try:
        made.trigger({"job": {}})
        assert made.ended() == "success"
    finally:
        made.remove()
    host.check_output("airflow users list && airflow connections list && cwl-airflow-check amqp sql")
    flower = "curl --silent --fail --config - http://127.0.0.1:5555/flower/workers?json=1"
    assert run_with_input(host, flower, f'user = "{ADMIN}"').returncode == 0


@pytest.fixture(scope="module")
def printed(host, forms):
    """Return what Ansible prints of a site whose files with secrets it writes, and what processes showed meanwhile."""
    rotate = yaml.safe_load((PROJECT / "molecule/default/rotate.yml").read_text(encoding="utf-8"))
    (reports,) = [play["vars"] for play in rotate if play.get("ansible.builtin.import_playbook") == "../../site.yml"]
    command = [
        Path(sys.executable).with_name("ansible-playbook"),
        "-vvv",
        "--diff",
        "--extra-vars",
        json.dumps(reports),
    ]
    command += [word for each in os.environ["INVENTORY"].split(",") for word in ("--inventory", each)]
    for file in WRITTEN:
        host.check_output(f"echo >> {file}")
    log_in(host, ADMIN)  # beforehand: the password is in a command line of the test
    seen = watch(host, forms, "/run/leaks-watch")
    try:
        canary = shlex.quote(CANARY)
        host.check_output(f"CANARY={canary} sh -c {shlex.quote(f'sleep 5; true {canary}')}")
        done = subprocess.run([*command, "site.yml"], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        work(host)
    finally:
        host.check_output("rm -f /run/leaks-watch")
    return done.stdout + done.stderr, seen()


@pytest.mark.full
def test_ansible_prints_no_secret(printed, forms):
    text, _ = printed
    assert "airflow.cfg" in text
    assert "ok=" in text
    tasks = text.split("\nTASK [")
    assert {(task.partition("]")[0], name) for task in tasks for name in names_in(task, forms)} == set()


@pytest.mark.full
def test_ansible_wrote_the_files_again(host, printed):
    """As the test above shows little without that."""
    for file in WRITTEN:
        assert not host.file(file).content_string.endswith("\n\n")


@pytest.mark.full
def test_no_process_shows_a_secret(printed):
    _, seen = printed
    assert {kind for kind, _, _, name in seen if name == "canary"} == {"cmdline", "environ"}
    shown = {(kind, unit, name) for kind, unit, _, name in seen if name != "canary"}
    assert shown <= HOLDERS
    assert {user for kind, unit, user, name in seen if unit == "airflow-worker.service"} != {0}


def test_no_journal_has_a_secret(host, forms, patterns):
    host.check_output(f"logger {shlex.quote(CANARY)}")
    host.check_output("journalctl --sync")
    command = (
        f"journalctl --no-pager --all --output=export | grep --text --only-matching -F --file={patterns} | sort -u"
    )
    assert names_in(host.check_output(command), forms) == {"canary"}


def test_no_log_has_a_secret(host, patterns):
    canaries = {"/var/log/leaks", "/var/lib/airflow/logs/leaks"}
    for file in canaries:
        host.check_output(f"echo {shlex.quote(CANARY)} > {file}")
    try:
        found = found_in_files(host, patterns, "/var/log /var/lib/airflow/logs /var/lib/docker/containers")
    finally:
        host.check_output(f"rm {' '.join(canaries)}")
    assert {file for file in found if not file.startswith("/var/log/journal/")} == canaries


@pytest.mark.parametrize("groups", ["", "--groups cwl-data"])
def test_no_file_with_a_secret_is_open(host, patterns, groups):
    """For others, and for members of `cwl-data`."""
    host.check_output(f"useradd {groups} leaks-reader")
    host.check_output(f"echo {shlex.quote(CANARY)} > /tmp/leaks")
    try:
        found = found_in_files(host, patterns, WHERE, "leaks-reader")
    finally:
        host.check_output("userdel leaks-reader; rm /tmp/leaks")
    assert found == {"/tmp/leaks"}
