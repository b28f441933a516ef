"""The folder of a run: where it is, what is where in it, and when it is removed."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest
from cwl_airflow.runs.folder import held_folder, remove_old_failures
from cwl_airflow.runs.layout import RunLayout, jobs_place, run_folders, step_place

LAYOUT = RunLayout(Path("/run"))
HOUR = 3600


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (LAYOUT.job, "job.json"),
        (LAYOUT.inputs, "inputs.json"),
        (LAYOUT.overrides, "overrides.json"),
        (LAYOUT.steps, "steps"),
        (LAYOUT.step("a"), "steps/a.json"),
        (LAYOUT.jobs("a"), "jobs/a"),
        (LAYOUT.outputs(step_place("a")), "outputs/step-a"),
        (LAYOUT.outputs(jobs_place("a")), "outputs/jobs-a"),
        (LAYOUT.scratch(jobs_place("a", 0)), "scratch/jobs-a/0"),
        (LAYOUT.containers("step-a"), f"containers/{os.uname().nodename}/step-a"),
        (LAYOUT.lock, "lock"),
        (LAYOUT.begin_lock, "begin.lock"),
        (LAYOUT.begun("a"), "begun-ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        (LAYOUT.failed, "failed"),
    ],
)
def test_tasks_of_another_release_find_what_is_there(path: Path, expected: str) -> None:
    assert path == Path("/run", expected)


@pytest.mark.parametrize(
    ("run_id", "own", "name"),
    [
        ("run", "run", "run"),
        ("at_00:00+01", "at_00_00_01-717ab8e6", "at_00_00_01"),
        ("a/b", "a_b-c14cddc0", "a_b"),
        (".", "_-cdb4ee2a", "_"),
        ("..", "__-5ec1f7e7", "__"),
        ("a.b", "a.b", "a.b"),
    ],
)
def test_each_run_has_folders_of_its_own(tmp_path: Path, run_id: str, own: str, name: str) -> None:
    tmp, outputs = tmp_path / "tmp", tmp_path / "outputs"
    assert run_folders(tmp, outputs, "dag", run_id, {}) == (tmp / "dag" / own, outputs / "dag" / name)


def test_a_job_may_name_the_folders_of_its_run(tmp_path: Path) -> None:
    tmp, outputs = tmp_path / "tmp", tmp_path / "outputs"
    (tmp_path / "link").symlink_to(tmp)
    for inside in ("", "mine", str(tmp / "mine"), str(tmp_path / "link/mine")):
        assert run_folders(tmp, outputs, "dag", "run", {"tmp_folder": inside})[0] == tmp / "dag/run"
    given = {"tmp_folder": str(tmp_path / "other"), "outputs_folder": "mine"}
    assert run_folders(tmp, outputs, "dag", "run", given) == (
        tmp_path / "other/.cwl-airflow-runs/dag/run",
        outputs / "mine",
    )


def failed_run(folder: Path, age: float) -> RunLayout:
    """Return the folder of a run that failed some seconds ago."""
    folder.mkdir(parents=True)
    layout = RunLayout(folder)
    layout.mark_failed()
    os.utime(layout.failed, (time.time() - age, time.time() - age))
    return layout


def test_a_run_without_a_folder_is_not_marked(tmp_path: Path) -> None:
    RunLayout(tmp_path / "none").mark_failed()
    assert not list(tmp_path.iterdir())


def lock_alone(layout: RunLayout) -> None:
    """Take the lock of a run for oneself."""
    with layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_is_held_by_all_tasks_that_work_in_it(tmp_path: Path) -> None:
    layout = failed_run(tmp_path / "run", 0)
    with held_folder(layout), held_folder(layout):
        assert not layout.failed.exists()
        with pytest.raises(BlockingIOError):
            lock_alone(layout)
    lock_alone(layout)
    assert not layout.failed.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_task_that_fails_marks_the_folder(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), held_folder(RunLayout(tmp_path)):
        raise error
    assert RunLayout(tmp_path).failed.exists()


@pytest.mark.parametrize(("days", "longest"), [(0, HOUR), (0.01, HOUR), (1, 24 * HOUR), (2.5, 60 * HOUR)])
def test_failed_runs_stay_for_a_while(tmp_path: Path, days: float, longest: float) -> None:
    ages = {f"{number}-{age}": age for number in range(4) for age in (longest - 60, longest + 60)}
    for name, age in ages.items():
        failed_run(tmp_path / "dag" / name, age)
    (tmp_path / "dag/works").mkdir()
    remove_old_failures(tmp_path, days)
    left = {folder.name for folder in (tmp_path / "dag").iterdir()}
    assert left == {"works", *(name for name, age in ages.items() if age < longest)}


def test_failed_runs_at_work_and_what_is_no_run_stay(tmp_path: Path) -> None:
    failed_run(tmp_path / "@wes/attachments", 90 * HOUR)
    for number in range(6):
        failed_run(tmp_path / f"dag-{number}/broken", 90 * HOUR).lock.mkdir()
        failed_run(tmp_path / f"dag-{number}/old", 90 * HOUR)
    at_work = failed_run(tmp_path / "dag-0/at-work", 90 * HOUR)
    with at_work.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        remove_old_failures(tmp_path, days=1)
    left = sorted(str(folder.relative_to(tmp_path)) for folder in tmp_path.glob("*/*"))
    assert left == ["@wes/attachments", "dag-0/at-work", *(f"dag-{number}/broken" for number in range(6))]
