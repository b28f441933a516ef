"""Our tables: made on a new database, taken over on an old one, by any number of processes at once."""

from __future__ import annotations

import io
import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cwl_airflow.api.tokens import used
from cwl_airflow.reports import outbox
from cwl_airflow.schema import migrations
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateIndex, CreateTable

from cwl_airflow import schema

TABLES = {"cwl_accepted_runs", "cwl_report_runs", "cwl_report_times", "cwl_reports", "cwl_used_tokens"}
#: The tables as the code uses them.
IN_CODE = sa.MetaData()
for table in (*outbox.metadata.sorted_tables, used.RUNS, used.TOKENS):
    table.to_metadata(IN_CODE)


@pytest.fixture
def engine(clean_database: Path) -> Any:
    from airflow import settings

    return settings.engine


def our_tables(engine: Any) -> set[str]:
    return {name for name in sa.inspect(engine).get_table_names() if name.startswith("cwl_")}


def revision(engine: Any) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")))


def differences(engine: Any) -> list[Any]:
    """Return what the tables in a database have and the code's have not, or the other way around."""
    with engine.connect() as connection:
        options = {"compare_type": True, "include_object": lambda _, name, kind, *__: kind != "table" or name in TABLES}
        return compare_metadata(MigrationContext.configure(connection, opts=options), IN_CODE)


def test_all_tables_are_made_as_the_code_uses_them(engine: Any) -> None:
    before = set(sa.inspect(engine).get_table_names())
    with engine.connect() as connection:
        airflow_revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    schema.upgrade(engine)
    assert set(sa.inspect(engine).get_table_names()) - before == TABLES | {"cwl_airflow_version"}
    assert differences(engine) == []
    assert revision(engine) == "0001"
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == airflow_revision


def test_a_table_that_the_code_changes_without_a_revision_is_a_difference(engine: Any) -> None:
    """That is, the test above can fail."""
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE cwl_reports DROP COLUMN route"))
    assert [change[0] for change in differences(engine)] == ["add_column"]


def test_tables_from_before_there_were_revisions_are_taken_over(engine: Any) -> None:
    """With what is in them; those that are missing are made."""
    outbox.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(outbox.TIMES).values(name="since", at=sa.func.now()))
    schema.upgrade(engine)
    assert our_tables(engine) == TABLES | {"cwl_airflow_version"}
    with engine.connect() as connection:
        assert connection.scalar(sa.select(outbox.TIMES.c.name)) == "since"


def test_again_it_changes_nothing(engine: Any) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(used.TOKENS).values(digest="a"))
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(used.TOKENS.c.digest)) == "a"
    assert revision(engine) == "0001"


def test_several_processes_at_once(engine: Any, clean_database: Path) -> None:
    fork = multiprocessing.get_context("fork")
    ready = fork.Barrier(3)

    def upgrade() -> None:
        own = sa.create_engine(f"sqlite:///{clean_database}", future=True)
        ready.wait(60)
        schema.upgrade(own)

    started = [fork.Process(target=upgrade) for _ in range(3)]
    try:
        for process in started:
            process.start()
        for process in started:
            process.join(60)
        assert [process.exitcode for process in started] == [0] * len(started)
    finally:
        for process in started:
            process.kill()
            process.join()
    assert our_tables(engine) == TABLES | {"cwl_airflow_version"}
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT COUNT(*) FROM cwl_airflow_version")) == 1


def test_several_threads_at_once(engine: Any) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            schema.upgrade(engine)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert revision(engine) == "0001"


def test_what_fails_leaves_nothing_behind(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", fail)
        schema.upgrade(engine)
    assert our_tables(engine) == set()
    schema.upgrade(engine)
    assert revision(engine) == "0001"


def test_in_mysql_the_revision_makes_what_the_code_uses() -> None:
    """Compared as text: no MySQL is needed for that."""
    text = io.StringIO()
    frozen = load_revision()._metadata
    for table in IN_CODE.sorted_tables:
        for one in (table, frozen.tables[table.name]):
            print(CreateTable(one).compile(dialect=mysql.dialect()), file=text)
        for indexes in zip(table.indexes, frozen.tables[table.name].indexes, strict=True):
            assert len({str(CreateIndex(index).compile(dialect=mysql.dialect())) for index in indexes}) == 1
        assert ddl(table) == ddl(frozen.tables[table.name])
    assert set(frozen.tables) == TABLES
    assert "TIMESTAMP(6) NULL" in text.getvalue()
    assert "LONGTEXT" in text.getvalue()


def ddl(table: Any) -> str:
    return str(CreateTable(table).compile(dialect=mysql.dialect()))


def load_revision() -> Any:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == ["0001"]
    return script.get_revision("0001").module


class FakeMySQL:
    """An engine of MySQL's dialect whose lock another process holds, or not."""

    def __init__(self, free: bool) -> None:
        """Be free or not."""
        self.free = free
        self.said: list[str] = []
        self.dialect = type("Dialect", (), {"name": "mysql"})

    def connect(self) -> FakeMySQL:
        """Return the connection."""
        return self

    def execution_options(self, isolation_level: str) -> FakeMySQL:
        """Note that nothing waits for a commit."""
        assert isolation_level == "AUTOCOMMIT"
        return self

    def __enter__(self) -> FakeMySQL:
        """Open it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.said.append("closed")

    def scalar(self, query: Any) -> int:
        """Answer."""
        self.said.append(str(query).split("(")[0])
        return int(self.free)


def test_mysqls_lock_is_held_meanwhile_and_given_back() -> None:
    server = FakeMySQL(free=True)
    with pytest.raises(ValueError, match="broken"), migrations._hold_lock(server):
        server.said.append("held")
        raise ValueError("broken")
    assert server.said == ["SELECT GET_LOCK", "held", "SELECT RELEASE_LOCK", "closed"]


def test_a_lock_that_another_process_keeps_is_an_error() -> None:
    server = FakeMySQL(free=False)
    with pytest.raises(schema.SchemaBusy, match="60 s"), migrations._hold_lock(server):
        pytest.fail("it was held")
    assert server.said == ["SELECT GET_LOCK", "closed"]


def test_a_database_is_compared_with_this_release(engine: Any) -> None:
    assert schema.compare_revision(engine) == "missing"
    assert our_tables(engine) == set()
    schema.upgrade(engine)
    assert schema.compare_revision(engine) == "current"
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    assert schema.compare_revision(engine) == "unknown"
