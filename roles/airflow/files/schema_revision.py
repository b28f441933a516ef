"""Print 'current' when the database has the schemas of the installed Airflow and of its users, else what it has.

`airflow db check-migrations` says the same, and loads each migration with all that it imports for that: seconds.
"""

import ast
import configparser
import sys
import sysconfig
from pathlib import Path

from sqlalchemy import MetaData, Table, create_engine, inspect

PACKAGES = Path(sysconfig.get_path("purelib"))
SCHEMAS = {"airflow/migrations": "alembic_version", "airflow/providers/fab/migrations": "alembic_version_fab"}


def read_heads(folder: Path) -> list[str]:
    """Return the revisions that no other one follows, as Alembic writes them into its scripts."""
    revisions: set[str] = set()
    followed: set[str | None] = set()
    for file in folder.glob("versions/*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
                continue
            name = getattr(node.target if isinstance(node, ast.AnnAssign) else node.targets[0], "id", "")
            if name == "revision":
                revisions.add(ast.literal_eval(node.value))
            elif name == "down_revision":
                below = ast.literal_eval(node.value)
                followed.update(below if isinstance(below, (tuple, list)) else [below])
    return sorted(revisions - followed) or sys.exit(f"{folder} has no migrations")


config = configparser.RawConfigParser()
config.read(sys.argv[1])
wanted: dict[str, list[str]] = {}
found: dict[str, list[str]] = {}
with create_engine(config.get("database", "sql_alchemy_conn").replace("%%", "%")).connect() as connection:
    for folder, table in SCHEMAS.items():
        wanted[table], found[table] = read_heads(PACKAGES / folder), []
        if inspect(connection).has_table(table):
            rows = connection.execute(Table(table, MetaData(), autoload_with=connection).select())
            found[table] = sorted(row.version_num for row in rows)
print("current" if found == wanted else f"has {found}, wants {wanted}")
