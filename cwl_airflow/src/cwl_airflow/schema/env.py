"""What alembic runs before the revisions: it gives them the connection that `migrations.upgrade` opened."""

from __future__ import annotations

from alembic import context

from cwl_airflow.schema.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
