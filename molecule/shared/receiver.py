"""The receiver of a site's reports."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager

from cryptography.hazmat.primitives import serialization
from dags import wait_for

RECEIVER = "test-receiver"
PUBLIC = "/var/lib/airflow/test-receiver.pem"


class Receiver:
    """The receiver that ships with the host, as a unit of its own; what it printed is in its journal."""

    def __init__(self, host, *options):
        """Begin with no receiver."""
        self.host = host
        self.options = options

    def start(self):
        """Start it."""
        command = shlex.join(["/opt/airflow/bin/cwl-airflow-receiver", "--port=18080", *self.options])
        self.host.check_output(f"systemd-run --quiet --collect --unit={RECEIVER} --property=User=airflow {command}")

    def stop(self):
        """Stop it."""
        self.host.run(f"systemctl stop {RECEIVER}")

    def waiting(self, route="%", dag_id="%"):
        """Return the number of reports that are not delivered yet."""
        which = f"route LIKE '{route}' AND route != 'mail' AND dag_id LIKE '{dag_id}'"
        query = f"SELECT COUNT(*) FROM airflow.cwl_reports WHERE delivered_at IS NULL AND {which}"
        return int(self.host.check_output(f"mysql --skip-column-names --execute={shlex.quote(query)}"))

    def reports(self, dag_id):
        """Return what came about a DAG."""
        lines = self.host.check_output(f"journalctl --unit={RECEIVER} --output=cat --no-pager").splitlines()
        found = [json.loads(line) for line in lines if line.startswith('{"')]
        return [report for report in found if report["payload"].get("dag_id") == dag_id]

    def wait(self, dag_id, route, state=None, seconds=120):
        """Wait for a report, and return all of that DAG so far, each of which came once."""

        def there():
            reports = self.reports(dag_id)
            return any(r["route"] == route and r["payload"].get("state") == state for r in reports) and reports

        reports = wait_for(f"{route} {state}", there, seconds)
        assert len({report["key"] for report in reports}) == len(reports)
        assert {report["path"] for report in reports} <= {
            f"/satellite/v1/{name}" for name in ("progress", "status", "results")
        }
        return reports


@contextmanager
def made_receiver(host, private_key):
    """Make a receiver, which has the public half of the key that the site signs with.

    :param private_key: of the site.
    """
    key = serialization.load_pem_private_key(private_key.encode(), password=None).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    host.check_output(f"printf %s {shlex.quote(pem)} > {PUBLIC} && chmod 0644 {PUBLIC}")
    made = Receiver(host, f"--public-key={PUBLIC}")
    try:
        yield made
    finally:
        made.stop()
        host.run(f"rm -f {PUBLIC}")
