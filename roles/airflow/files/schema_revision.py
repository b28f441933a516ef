"""Print 'current' when the database has the schemas of the installed Airflow and of its users, else what it has.

`airflow db check-migrations` says the same, and takes twice as long.
"""

import configparser
import logging
import sys
import sysconfig
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

logging.disable()  # Airflow, which its revisions import, logs to standard output
PACKAGES = Path(sysconfig.get_path("purelib"))
SCHEMAS = {"airflow/migrations": "alembic_version", "airflow/providers/fab/migrations": "alembic_version_fab"}
config = configparser.RawConfigParser()
config.read(sys.argv[1])
wanted, found = {}, {}
with create_engine(config.get("database", "sql_alchemy_conn").replace("%%", "%")).connect() as connection:
    for folder, table in SCHEMAS.items():
        wanted[table] = sorted(ScriptDirectory(str(PACKAGES / folder)).get_heads())
        found[table] = sorted(MigrationContext.configure(connection, opts={"version_table": table}).get_current_heads())
print("current" if found == wanted else f"has {found}, wants {wanted}")
