"""Tidying up with the real Airflow: its rows, its own command that cleans them, and the command of the host."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.models import DagModel, DagRun, Log, TaskInstance
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from cwl_airflow.commands import tidy
from cwl_airflow.tidying import rows
from cwl_airflow.tidying.outcome import TidyingFailed, check_tidying
from cwl_airflow.tidying.removal import Removal
from cwl_airflow.tidying.site import TidyingRules
from home import Site
from rows import DAG, add_run, add_task

DAYS = 30
NOW = datetime.now(timezone.utc)


def ago(days: float) -> datetime:
    """Return a time so many days ago."""
    return NOW - timedelta(days=days)


def old_run(run_id: str, state: str, begin: float, end: float | None, dag_id: str = DAG, **more: Any) -> None:
    """Add a run that began, and perhaps ended, so many days ago, with a task."""
    end_date = None if end is None else ago(end)
    add_run(run_id, dag_id, state, logical_date=None, run_after=ago(begin), start_date=ago(begin), end_date=end_date)
    add_task("step", state, run_id=run_id, dag_id=dag_id, **more)
    with create_session() as session:
        began = sa.update(TaskInstance).where(TaskInstance.run_id == run_id).values(start_date=ago(begin))
        session.execute(began.execution_options(synchronize_session=False))


def add_log(event: str, days: float) -> None:
    """Add a row that belongs to no run."""
    with create_session() as session:
        session.execute(sa.insert(Log).values(event=event, dttm=ago(days)))


def left(column: Any) -> set[str]:
    """Return the values of a column."""
    with create_session() as session:
        return set(session.scalars(sa.select(column)))


def remove(dry_run: bool = False) -> tuple[Removal, Removal]:
    """Remove rows, and return how many runs and others."""
    removals = Removal("runs", dry_run, bytes=None), Removal("others", dry_run, bytes=None)
    rows.remove_rows(*removals, DAYS)
    return removals


@pytest.mark.full
def test_runs_that_ended_long_ago_go_with_their_rows_and_no_others(clean_database: Path) -> None:
    old_run("old", "success", 50, 40)
    old_run("failed", "failed", 50, 31)
    old_run("long", "success", 50, 20)
    old_run("runs", "running", 45, None)
    old_run("waits", "queued", 42, None)
    old_run("new", "success", 2, 1)
    for event, days in {"older": 60, "since": 48, "new": 1}.items():
        add_log(event, days)
    dry = remove(dry_run=True)
    assert left(DagRun.run_id) == {"old", "failed", "long", "runs", "waits", "new"}
    removed = remove()
    stay = {"long", "runs", "waits", "new"}
    assert left(DagRun.run_id) == left(TaskInstance.run_id) == stay
    # Since the oldest run began that is still wanted, everything stays. Airflow notes its own commands as well.
    assert left(Log.event) - {"cli_cleanup_tables"} == {"since", "new"}
    assert [each.count for each in removed] == [each.count for each in dry] == [2, 1]


def test_the_last_run_that_airflow_made_itself_stays(clean_database: Path) -> None:
    for number, days in enumerate((60, 50, 40)):
        old_run(f"scheduled-{number}", "success", days, days)
        old_run(f"manual-{number}", "success", days, days)
    with create_session() as session:
        made = sa.update(DagRun).where(DagRun.run_id.like("scheduled-%")).values(run_type=DagRunType.SCHEDULED)
        session.execute(made.execution_options(synchronize_session=False))
    removal = Removal("runs", dry_run=False, bytes=None)
    while rows._remove_runs(removal, ago(DAYS)):
        pass
    assert left(DagRun.run_id) == {"scheduled-2"}
    assert removal.count == 5


def test_many_runs_go_in_several_transactions(clean_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "RUNS_AT_ONCE", 2)
    for number in range(5):
        old_run(f"run-{number}", "success", 50, 40)
    removal = Removal("runs", dry_run=False, bytes=None)
    counts = []
    while count := rows._remove_runs(removal, ago(DAYS)):
        counts.append(count)
    assert counts == [2, 2, 1]
    assert left(DagRun.run_id) == set()


@pytest.mark.full
def test_a_table_that_is_not_cleaned_is_a_failure(clean_database: Path) -> None:
    add_log("old", 60)
    with create_session() as session:
        session.execute(sa.text("CREATE TRIGGER stays BEFORE DELETE ON log BEGIN SELECT no_such_function(); END"))
    with pytest.raises(rows.RowsNotRemoved, match="'airflow db clean' failed: "):
        remove()
    assert "old" in left(Log.event)


def test_a_command_that_says_all_is_well_is_not_believed(clean_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_log("old", 60)
    counts = iter(({"log": 1}, {"log": 1}, {"log": 1}))
    monkeypatch.setattr(rows, "_clean", lambda before, dry_run: next(counts))
    with pytest.raises(rows.RowsNotRemoved, match=r"are still there: \{'log': 1\}"):
        remove()


def test_a_command_that_hangs_is_ended(clean_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "TIMEOUT", 0.1)
    began = time.monotonic()
    with pytest.raises(rows.RowsNotRemoved, match="was ended, as it took more than"):
        remove()
    assert time.monotonic() - began < 60


def test_what_the_database_knows_of_folders(clean_database: Path, tmp_path: Path) -> None:
    old_run("runs:1", "running", 1, None)
    old_run("failed", "failed", 1, 1)
    old_run("done", "success", 1, 1)
    runs = rows.SiteRuns(tmp_path / "tmp", tmp_path / "outputs")
    own = runs._folders(DAG, "runs:1", {})[0].name
    assert [runs.needs_data(DAG, name) for name in (own, "failed", "done", "nobody")] == [True, False, True, False]
    assert not runs.needs_data("other", own)
    # Its job is not known, so that it may write anywhere.
    assert runs.needs_outputs(DAG, "done")
    assert not runs.needs_outputs("other", "done")
    outputs = f"{tmp_path}/outputs/{DAG}"
    for given, names in (
        ({}, {"runs_1"}),
        ({"outputs_folder": f"{outputs}/done/more"}, {"done"}),
        ({"reads": {"class": "File", "location": f"file://{outputs}/failed/a.txt"}}, {"failed", "runs_1"}),
        ("/a/job.yaml", {"done", "failed", "runs_1"}),
    ):
        with create_session() as session:
            session.query(DagRun).filter(DagRun.run_id == "runs:1").update({"conf": {"job": given}})
        assert {name for name in ("done", "failed", "runs_1") if runs.needs_outputs(DAG, name)} == names
    assert runs.names_unended(f"/logs/dag_id={DAG}/run_id=runs:1/task_id=step/attempt=1.log")
    assert not runs.names_unended(f"/logs/dag_id={DAG}/run_id=failed/task_id=step/attempt=1.log")
    assert runs.has_dag(DAG)
    assert not runs.has_dag("none")


def test_a_dag_counts_while_its_file_is_there(clean_database: Path, tmp_path: Path) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG as AirflowDag
    from rows import add_dag

    with AirflowDag("alone", schedule=None) as dag:
        EmptyOperator(task_id="start")
    add_dag(dag)
    runs = rows.SiteRuns(tmp_path, tmp_path)
    assert runs.has_dag("alone")
    with create_session() as session:
        session.query(DagModel).filter(DagModel.dag_id == "alone").update({"is_stale": True})
    assert not runs.has_dag("alone")


def test_rules_are_read_and_wrong_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TidyingRules.read() == TidyingRules()
    monkeypatch.setenv("AIRFLOW__CWL__TIDY_LOGS_DAYS", "2.5")
    monkeypatch.setenv("AIRFLOW__CWL__TIDY_KEPT_IMAGES", "debian:12,alpine")
    assert TidyingRules.read() == TidyingRules(logs_days=2.5, kept_images=("debian:12", "alpine"))
    monkeypatch.setenv("AIRFLOW__CWL__TIDY_ROWS_DAYS", "-1")
    with pytest.raises(ValueError, match="tidy_rows_days is -1; it must be greater than or equal to 0"):
        TidyingRules.read()


@pytest.fixture
def old_site(site: Site, clean_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of logs of a site with something old of each kind, and of a run that runs."""
    logs = tmp_path / "logs"
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(logs))
    old_run("runs", "running", 50, None)
    with create_session() as session:
        session.query(DagRun).update({"conf": {"job": {}}})
    for root in (site.tmp, site.outputs, logs):
        for run_id in ("old", "runs"):
            (root / DAG / run_id).mkdir(parents=True, exist_ok=True)
            (root / DAG / run_id / "file").write_text("something", encoding="utf-8")
    (site.pickle / "broken.kept").touch()
    for staged in ("carol/a.carol.1/run/0/reads", "carol/documents/1/a.cwl"):
        (site.inputs / "cwl-runner" / staged).parent.mkdir(parents=True)
        (site.inputs / "cwl-runner" / staged).touch()
    moment = time.time() - 60 * 86400
    for file in (each for root in (*site, logs) for each in root.rglob("*")):
        os.utime(file, (moment, moment))
    for name in ("LOGS", "OUTPUTS", "DOCUMENTS"):
        monkeypatch.setenv(f"AIRFLOW__CWL__TIDY_{name}_DAYS", str(DAYS))
    (site.dags.parent / "tidying.json").unlink(missing_ok=True)
    return logs


def files_left(*roots: Path) -> list[str]:
    """Return what is left in folders."""
    return [str(file.relative_to(root)) for root in roots for file in sorted(root.rglob("file"))]


def test_the_command_says_what_it_removes(site: Site, old_site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roots = (site.tmp, site.outputs, old_site)
    assert tidy.main(["--dry-run"]) == 0
    lines = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()]
    kinds = ("data of failed runs", "inputs of cwl-runner", "outputs", "log files", "kept documents")
    kinds += ("documents of cwl-runner",)
    assert lines == [f"{kind}: 1 would be removed" for kind in kinds]
    assert len(files_left(*roots)) == 6
    assert not (site.dags.parent / "tidying.json").exists()
    assert tidy.main([]) == 0
    lines = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == [f"{kind}: 1 removed" for kind in kinds]
    assert files_left(*roots) == [f"{DAG}/runs/file"] * 3
    assert check_tidying(1).startswith("tidied up at ")


def test_a_failure_is_told_and_the_other_kinds_go(
    site: Site, old_site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", f"{old_site / DAG / 'old/file'}")
    assert tidy.main([]) == 1
    shown = capsys.readouterr()
    assert "log files: 0 removed" in shown.out
    assert "kept documents: 1 removed" in shown.out
    assert "old/file: Not a directory" in shown.err
    with pytest.raises(TidyingFailed, match=r"failed: log files: .*old/file: Not a directory"):
        check_tidying(1)
    monkeypatch.setenv("AIRFLOW__CWL__TIDY_ROWS_DAYS", "soon")
    assert tidy.main([]) == 1
    with pytest.raises(TidyingFailed, match="tidy_rows_days is soon"):
        check_tidying(1)
