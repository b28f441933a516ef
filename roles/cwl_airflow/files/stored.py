"""Set Airflow's Variables and connections from JSON on standard input, by name; say "changed" if so.

Null removes what this script has set, not what somebody else has. Airflow's own commands would take the values on their
command line or from a file, and take seconds even when nothing changes.
"""

import json
import sys
from typing import Any

import sqlalchemy
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cwl_airflow.configuration import read_option

MARK = "Set by Ansible."
# The parts of a connection that are compared; what is not given must be empty.
PARTS = ("conn_type", "host", "schema", "port", "login", "password", "extra")

wanted = json.load(sys.stdin)
fernet = MultiFernet([Fernet(key.strip()) for key in read_option("core", "fernet_key").split(",")])


def read(value: str | None, encrypted: bool) -> str | None:
    """Return a stored value; what another key encrypted is as good as wrong."""
    try:
        return fernet.decrypt(value.encode()).decode() if value and encrypted else value
    except InvalidToken:
        return "?"


def table(name: str, *columns: str) -> sqlalchemy.sql.Select:
    """Return a query for the wanted rows of a table; its first column has the name."""
    first, *others = (sqlalchemy.column(column) for column in columns)
    names = list(wanted[f"{name}s"])
    return sqlalchemy.select(first, *others).select_from(sqlalchemy.table(name)).where(first.in_(names))


variables = table("variable", "key", "val", "is_encrypted", "description")
connections = table("connection", "conn_id", *PARTS, "is_encrypted", "is_extra_encrypted", "description")
there: dict[str, dict[str, Any]] = {"variables": {}, "connections": {}}
with sqlalchemy.create_engine(read_option("database", "sql_alchemy_conn")).connect() as database:
    for row in database.execute(variables):
        there["variables"][row.key] = read(row.val, row.is_encrypted), row.description
    for row in database.execute(connections):
        secret = {"password": read(row.password, row.is_encrypted), "extra": read(row.extra, row.is_extra_encrypted)}
        there["connections"][row.conn_id] = {part: getattr(row, part) for part in PARTS} | secret, row.description

for name, parts in wanted["connections"].items():
    if parts is not None:
        wanted["connections"][name] = {part: parts.get(part) for part in PARTS}
wrong: dict[str, dict[str, Any]] = {"variables": {}, "connections": {}}
gone: dict[str, list[str]] = {"variables": [], "connections": []}
for kind, values in wanted.items():
    for name, value in values.items():
        found = there[kind].get(name)
        if value is None:
            if found and found[1] == MARK:
                gone[kind].append(name)
        elif found != (value, MARK):
            wrong[kind][name] = value

if any(wrong.values()) or any(gone.values()):
    from airflow.models import Connection, Variable
    from airflow.utils.session import create_session

    # A receiver of signed reports is never there without its key: it goes first and comes last.
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id.in_(gone["connections"])).delete(False)
    for key, value in wrong["variables"].items():
        Variable.set(key, value, description=MARK)
    for key in gone["variables"]:
        Variable.delete(key)
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id.in_(list(wrong["connections"]))).delete(False)
        for name, parts in wrong["connections"].items():
            session.add(Connection(conn_id=name, description=MARK, **parts))
    print("changed")
