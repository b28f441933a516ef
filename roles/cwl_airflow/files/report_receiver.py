"""Make Airflow's connection and Variables for reports what JSON on standard input says; say "changed" if need be.

Without a URL, those that were made here are removed; what somebody made on the web page is left alone. With "check"
nothing is changed. Airflow's commands take secrets on the command line, where every user of the host sees them.
"""

import json
import sys
from typing import Any
from urllib.parse import urlsplit

from airflow.models import Connection, Variable
from airflow.utils.session import create_session

MADE = "Made by Ansible: change cwl_airflow_report_url and the variables beside it instead"
CONNECTION, KEY, ALGORITHM = "process_report", "process_report_private_key", "process_report_algorithm"


def make(session: Any, model: Any, name: Any, fields: dict[str, Any]) -> bool:
    """Make a row have the fields, or be gone if there are none; return whether that changes something."""
    row = session.query(model).filter(name).one_or_none()
    if not fields:
        if row is None or row.description != MADE:
            return False
        session.delete(row)
        return True
    fields["description"] = MADE
    if row is None:
        session.add(model(**fields))
        return True
    different = {field: value for field, value in fields.items() if read(row, field) != value}
    for field, value in different.items():
        if field == "val":
            row.set_val(value)
        else:
            setattr(row, field, value)
    return bool(different)


def read(row: Any, field: str) -> Any:
    """Return a field; none if it was encrypted with another key."""
    try:
        return getattr(row, field)
    except Exception:
        return None


wanted = json.load(sys.stdin)
url = urlsplit(wanted["url"])
connection = {
    "conn_id": CONNECTION,
    "conn_type": "http",
    "schema": url.scheme,
    "host": f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname,
    "port": url.port,
    "login": None,
    "password": None,
    "extra": json.dumps({"endpoint": wanted["endpoint"]}),
}
variables = {KEY: wanted["key"], ALGORITHM: wanted["algorithm"]} if wanted["url"] and wanted["algorithm"] else {}
with create_session() as session:
    changed = [make(session, Connection, Connection.conn_id == CONNECTION, connection if wanted["url"] else {})]
    for name in (KEY, ALGORITHM):
        fields = {"key": name, "val": variables[name]} if variables else {}
        changed.append(make(session, Variable, Variable.key == name, fields))
    if wanted["check"]:
        session.rollback()
if any(changed):
    print("changed")
