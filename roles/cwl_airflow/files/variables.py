"""Set Airflow's Variables from JSON on standard input, name → value or null; say "changed" if so.

Null removes a Variable that this script has set, not one that somebody else has. `airflow variables` would take the
value on its command line or from a file, and takes seconds even when nothing changes.
"""

import json
import sys

import sqlalchemy
from cryptography.fernet import Fernet, MultiFernet
from cwl_airflow_extras.checks import setting

MARK = "Set by Ansible."

wanted = json.load(sys.stdin)
fernet = MultiFernet([Fernet(key.strip()) for key in setting("core", "fernet_key").split(",")])
columns = [sqlalchemy.column(name) for name in ("key", "val", "is_encrypted", "description")]
table = sqlalchemy.table("variable", *columns)
with sqlalchemy.create_engine(setting("database", "sql_alchemy_conn")).connect() as connection:
    rows = connection.execute(sqlalchemy.select(columns).where(table.c.key.in_(list(wanted)))).fetchall()
found = {
    key: (fernet.decrypt(value.encode()).decode() if encrypted else value, description)
    for key, value, encrypted, description in rows
}
wrong = {key: value for key, value in wanted.items() if value is not None and found.get(key) != (value, MARK)}
gone = [key for key, value in wanted.items() if value is None and key in found and found[key][1] == MARK]
if wrong or gone:
    from airflow.models import Variable

    for key, value in wrong.items():
        Variable.set(key, value, description=MARK)
    for key in gone:
        Variable.delete(key)
    print("changed")
