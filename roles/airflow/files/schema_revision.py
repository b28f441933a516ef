"""Print 'current' when the database has the schema of the installed Airflow, else what it has.

`airflow db check-migrations` says the same, but takes seconds to import Airflow.
"""

import configparser
import pathlib
import re
import sys
import urllib.parse

import MySQLdb

config = configparser.RawConfigParser()
config.read(sys.argv[1])
url = urllib.parse.urlsplit(config.get("database", "sql_alchemy_conn").replace("%%", "%"))
versions = next(pathlib.Path(sys.prefix).glob("lib/python*/site-packages/airflow/migrations/versions"))
revisions, parents = set(), set()
for path in versions.glob("*.py"):
    text = path.read_text(encoding="utf-8")
    revisions.update(re.findall(r"^revision\b.*?[\"'](\w+)[\"']", text, re.M))
    # A merge has several.
    for line in re.findall(r"^down_revision\b.*", text, re.M):
        parents.update(re.findall(r"[\"'](\w+)[\"']", line))
heads = revisions - parents

connection = MySQLdb.connect(
    host=url.hostname,
    port=url.port or 3306,
    user=urllib.parse.unquote(url.username or ""),
    password=urllib.parse.unquote(url.password or ""),
    database=url.path.lstrip("/"),
)
cursor = connection.cursor()
try:
    cursor.execute("SELECT version_num FROM alembic_version")
    found = {row[0] for row in cursor.fetchall()}
except MySQLdb.ProgrammingError:  # no such table
    found = set()
print("current" if found == heads else f"has {sorted(found)}, wants {sorted(heads)}")
