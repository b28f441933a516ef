"""Which files of a site are old, and that none of a run that has not ended is among them."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cwl_airflow.documents.cache import store_entry, text_digest
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.tidying.files import (
    remove_kept,
    remove_logs,
    remove_outputs,
    remove_run_data,
    remove_runner_documents,
    remove_runner_inputs,
)
from cwl_airflow.tidying.removal import Removal
from test_tidying_trees import age, outside  # noqa: F401  # a fixture


@dataclass
class KnownRuns:
    """A site that knows what a test says."""

    data: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    unended: tuple[str, ...] = ()
    dags: set[str] = field(default_factory=set)

    def names_unended(self, text: str) -> bool:
        """Tell whether a text names a run that has not ended."""
        return any(each in text for each in self.unended)

    def needs_data(self, dag_id: str, name: str) -> bool:
        """Tell whether a run needs its data."""
        return f"{dag_id}/{name}" in self.data

    def needs_outputs(self, dag_id: str, name: str) -> bool:
        """Tell whether a run may write there."""
        return f"{dag_id}/{name}" in self.outputs

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether there is a DAG."""
        return dag_id in self.dags

    def has_unended(self, dag_id: str) -> bool:
        """Tell whether a run of a DAG has not ended."""
        return any(each.startswith(f"{dag_id}/") for each in self.unended)


def make(root: Path, *names: str, days: float = 30) -> None:
    """Make files that have not changed for days, each in its folder."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("something", encoding="utf-8")
    age(root, days)


def left(root: Path) -> list[str]:
    """Return what is left below a root, without folders."""
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if not file.is_dir() or file.is_symlink())


@pytest.fixture
def removal() -> Removal:
    return Removal("things", dry_run=False)


def test_data_goes_of_runs_that_failed_or_that_nobody_knows(tmp_path: Path, removal: Removal) -> None:
    make(tmp_path, "dag/failed/failed", "dag/runs/job.json", "dag/killed/lock", "gone/unknown/job.json")
    remove_run_data(removal, tmp_path, 7, KnownRuns(data={"dag/runs"}))
    assert left(tmp_path) == ["dag/runs/job.json"]
    assert (removal.count, removal.problem) == (3, None)
    age(tmp_path, 8)
    remove_run_data(removal, tmp_path, 7, KnownRuns(data={"dag/runs"}))
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(("days", "hours", "stays"), [(7, 24 * 7 - 1, True), (7, 24 * 7 + 1, False), (0, 0.9, True)])
def test_data_stays_for_the_days_of_the_site_and_for_an_hour(
    tmp_path: Path, removal: Removal, days: float, hours: float, stays: bool
) -> None:
    make(tmp_path, "dag/failed/failed", days=hours / 24)
    remove_run_data(removal, tmp_path, days, KnownRuns())
    assert bool(left(tmp_path)) == stays


def test_the_data_of_a_task_at_work_stays(tmp_path: Path, removal: Removal) -> None:
    make(tmp_path, "dag/run/lock")
    with RunLayout(tmp_path / "dag/run").lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        remove_run_data(removal, tmp_path, 7, KnownRuns())
    assert left(tmp_path) == ["dag/run/lock"]
    remove_run_data(removal, tmp_path, 7, KnownRuns())
    assert left(tmp_path) == []


def test_a_lock_that_is_a_link_is_not_opened(tmp_path: Path, removal: Removal, outside: Path) -> None:  # noqa: F811
    make(tmp_path / "tmp", "dag/run/job.json")
    (tmp_path / "tmp/dag/run/lock").symlink_to(outside / "run/file")
    age(tmp_path / "tmp", 30)
    remove_run_data(removal, tmp_path / "tmp", 7, KnownRuns())
    assert removal.problem and "dag/run: Too many levels of symbolic links" in removal.problem
    assert (outside / "run/file").read_text(encoding="utf-8") == "of somebody else"


def test_links_to_elsewhere_among_the_folders_are_left_alone(
    tmp_path: Path,
    removal: Removal,
    outside: Path,  # noqa: F811
) -> None:
    make(tmp_path / "tmp", "dag/old/file")
    (tmp_path / "tmp/link").symlink_to(outside)
    (tmp_path / "tmp/dag/link").symlink_to(outside)
    for remove in (remove_run_data, remove_outputs):
        remove(removal, tmp_path / "tmp", 7, KnownRuns())
    assert left(tmp_path / "tmp") == ["dag/link", "link"]
    assert left(outside) == ["run/file"]


def test_attachments_go_with_their_dag(tmp_path: Path, removal: Removal) -> None:
    make(tmp_path, "@wes/there/tool.cwl", "@wes/gone/tool.cwl")
    remove_run_data(removal, tmp_path, 7, KnownRuns(dags={"there"}))
    assert left(tmp_path) == ["@wes/there/tool.cwl"]


def test_outputs_go_but_of_runs_that_may_write_there(tmp_path: Path, removal: Removal) -> None:
    make(tmp_path, "dag/old/a.txt", "dag/runs/a.txt", "dag/new/a.txt")
    os.utime(tmp_path / "dag/new/a.txt")
    remove_outputs(removal, tmp_path, 7, KnownRuns(outputs={"dag/runs"}))
    assert left(tmp_path) == ["dag/new/a.txt", "dag/runs/a.txt"]


def test_logs_go_file_by_file(tmp_path: Path, removal: Removal, outside: Path) -> None:  # noqa: F811
    logs = tmp_path / "logs"
    old = "dag_id=a/run_id=old/task_id=t/attempt=1.log"
    runs = "dag_id=a/run_id=runs/task_id=t/attempt=1.log"
    make(logs, old, runs, "dag_processor/2026-01-01/dags/a.py.log", "dag_id=a/run_id=new/task_id=t/attempt=1.log")
    os.utime(logs / "dag_id=a/run_id=new/task_id=t/attempt=1.log")
    (logs / "dag_id=a/link").symlink_to(outside)
    remove_logs(removal, logs, 7, KnownRuns(unended=("run_id=runs",)))
    assert left(logs) == ["dag_id=a/link", "dag_id=a/run_id=new/task_id=t/attempt=1.log", runs]
    assert left(outside) == ["run/file"]
    assert (removal.count, removal.problem) == (2, None)


def test_folders_of_logs_go_with_what_was_in_them_unless_they_are_new(tmp_path: Path, removal: Removal) -> None:
    make(tmp_path, "dag_id=a/run_id=old/attempt=1.log", "dag_id=b/run_id=runs/attempt=1.log")
    (tmp_path / "dag_id=b/run_id=runs/task_id=next").mkdir()
    (tmp_path / "dag_id=c/run_id=new").mkdir(parents=True)
    remove_logs(removal, tmp_path, 7, KnownRuns())
    folders = sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*"))
    new = ["dag_id=b", "dag_id=b/run_id=runs", "dag_id=b/run_id=runs/task_id=next", "dag_id=c", "dag_id=c/run_id=new"]
    assert folders == new


def kept(folder: Path, key: str, texts: dict[str, str]) -> None:
    """Keep something that was made of texts."""
    store_entry(folder, key, b"plan", texts, bytes)


def test_what_is_kept_of_documents_that_are_gone_or_changed_goes(tmp_path: Path, removal: Removal) -> None:
    pickle = tmp_path / "pickle"
    documents = {name: tmp_path / f"{name}.cwl" for name in ("same", "changed", "gone", "late")}
    for name, document in documents.items():
        document.write_text(name, encoding="utf-8")
        kept(pickle, name, {document.as_uri(): text_digest(document.as_uri()) or ""})
    documents["changed"].write_text("another", encoding="utf-8")
    documents["gone"].unlink()
    make(pickle, "broken.kept", ".half.new", "left.lock", "of somebody")
    documents["late"].unlink()
    late = next(file for file in pickle.glob("*.kept") if "late" in file.read_text(encoding="utf-8"))
    os.utime(late)
    remove_kept(removal, pickle, 7)
    read = [next(iter(json.loads(file.read_bytes().partition(b"\n")[0])["texts"])) for file in pickle.glob("*.kept")]
    assert sorted(read) == sorted(documents[name].as_uri() for name in ("same", "late"))
    assert (pickle / "of somebody").exists()
    assert removal.count == 5


def test_documents_that_came_as_text_go_when_nothing_was_made_of_them(tmp_path: Path, removal: Removal) -> None:
    make(tmp_path, "embedded/read.cwl", "embedded/unread.cwl", "shown/dag.dot")
    uri = (tmp_path / "embedded/read.cwl").as_uri()
    kept(tmp_path, "read", {uri: text_digest(uri) or ""})
    remove_kept(removal, tmp_path, 7)
    # A picture that is needed is drawn again with the next reading of the DAG file.
    assert [name for name in left(tmp_path) if name.endswith((".cwl", ".dot"))] == ["embedded/read.cwl"]


@pytest.mark.parametrize("remove", [remove_run_data, remove_outputs, remove_logs])
def test_a_folder_that_is_not_there_is_no_failure(tmp_path: Path, removal: Removal, remove: object) -> None:
    remove(removal, tmp_path / "none", 7, KnownRuns())  # type: ignore[operator]  # each takes these
    remove_kept(removal, tmp_path / "none", 7)
    assert (removal.count, removal.problem) == (0, None)


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    make(tmp_path, "dag/old/file", "broken.kept", "embedded/unread.cwl")
    for remove in (remove_run_data, remove_outputs, remove_logs):
        dry = Removal("things", dry_run=True)
        remove(dry, tmp_path, 7, KnownRuns())
        assert dry.count
    dry = Removal("things", dry_run=True)
    remove_kept(dry, tmp_path, 7)
    assert dry.count == 2
    assert left(tmp_path) == ["broken.kept", "dag/old/file", "embedded/unread.cwl"]
    assert time.time() - (tmp_path / "dag/old").stat().st_mtime > 7 * 86400


def test_inputs_of_the_runner_go_when_their_runs_have_ended(tmp_path: Path, removal: Removal) -> None:
    names = ("a.carol.1/run-1/0/reads", "a.carol.1/run-2/0/reads", "documents/1234/a.cwl", "b.carol.1/run-1/0/x")
    make(tmp_path, *(f"cwl-runner/carol/{name}" for name in names), "cwl-runner/dave/a.dave.1/run/0/x", "else/run/x")
    remove_runner_inputs(removal, tmp_path, 7, KnownRuns(unended=("a.carol.1/run-2",)))
    assert left(tmp_path) == [f"cwl-runner/carol/{names[1]}", f"cwl-runner/carol/{names[2]}", "else/run/x"]
    assert (removal.count, removal.problem) == (3, None)
    make(tmp_path, f"cwl-runner/carol/{names[0]}", days=6)
    remove_runner_inputs(removal, tmp_path, 7, KnownRuns())
    assert f"cwl-runner/carol/{names[0]}" in left(tmp_path)


def test_documents_of_the_runner_go_when_nobody_uses_them(tmp_path: Path, removal: Removal) -> None:
    inputs, dags = tmp_path / "inputs", tmp_path / "dags"
    documents = ("documents/1/a.cwl", "documents/2/b.cwl", "documents/3/c.cwl")
    make(inputs, *(f"cwl-runner/carol/{name}" for name in documents), "cwl-runner/carol/old.carol.1/run/0/x")
    make(dags, "own.py", "cwl-runner/old.carol.1.py", "cwl-runner/runs.carol.1.py", "cwl-runner/used.carol.1.py")
    for name, document in (("old", "1"), ("runs", "2"), ("used", "2")):
        text = f"workflow='{inputs}/cwl-runner/carol/documents/{document}/x.cwl'"
        (dags / f"cwl-runner/{name}.carol.1.py").write_text(text, encoding="utf-8")
    age(dags, 40)
    os.utime(dags / "cwl-runner/used.carol.1.py")
    remove_runner_documents(removal, inputs, dags, 30, KnownRuns(unended=("runs.carol.1/run",)))
    assert left(dags) == ["cwl-runner/runs.carol.1.py", "cwl-runner/used.carol.1.py", "own.py"]
    assert left(inputs) == ["cwl-runner/carol/documents/2/b.cwl", "cwl-runner/carol/old.carol.1/run/0/x"]
    assert removal.problem is None


def test_a_site_without_the_runner_has_nothing_of_it(tmp_path: Path, removal: Removal) -> None:
    remove_runner_inputs(removal, tmp_path, 7, KnownRuns())
    remove_runner_documents(removal, tmp_path, tmp_path, 7, KnownRuns())
    assert (removal.count, removal.problem) == (0, None)
