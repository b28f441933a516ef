"""Print 'current' when the database has the schema of the installed Airflow, else what it has.

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
config = configparser.RawConfigParser()
config.read(sys.argv[1])
migrations = Path(sysconfig.get_path("purelib")) / "airflow/migrations"
heads = set(ScriptDirectory(str(migrations)).get_heads())
with create_engine(config.get("database", "sql_alchemy_conn").replace("%%", "%")).connect() as connection:
    found = set(MigrationContext.configure(connection).get_current_heads())
print("current" if found == heads else f"has {sorted(found)}, wants {sorted(heads)}")
