"""What is looked at and removed below a root, and that no link leads out of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cwl_airflow.tidying import trees
from cwl_airflow.tidying.removal import Removal

DAY = 86400


def age(path: Path, days: float) -> None:
    """Make all that is in a folder, and the folder, as if it had not changed for days."""
    moment = time.time() - days * DAY
    for each in [*path.rglob("*"), path]:
        os.utime(each, (moment, moment), follow_symlinks=False)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder with a file that nothing may touch."""
    (tmp_path / "outside/run").mkdir(parents=True)
    (tmp_path / "outside/run/file").write_text("of somebody else", encoding="utf-8")
    age(tmp_path / "outside", 900)
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/dag/run/deep").mkdir(parents=True)
    (tmp_path / "root/dag/run/deep/file").write_bytes(bytes(10000))
    age(tmp_path / "root", 10)
    return tmp_path / "root"


@pytest.mark.parametrize(("days", "removed"), [(9.9, 1), (10.1, 0)])
def test_a_folder_goes_when_nothing_of_it_has_changed_for_long(root: Path, days: float, removed: int) -> None:
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(root, ("dag", "run"), days * DAY)
    assert (removal.count, removal.failures) == (removed, [])
    assert (root / "dag/run").exists() == (not removed)
    assert (removal.bytes or 0) >= 10000 * removed


def test_one_new_file_keeps_the_folder(root: Path) -> None:
    os.utime(root / "dag/run/deep/file")
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(root, ("dag", "run"), DAY)
    assert removal.count == 0
    assert (root / "dag/run/deep/file").exists()


def test_what_is_needed_is_asked_last(root: Path) -> None:
    asked: list[int] = []
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(root, ("dag", "run"), 11 * DAY, lambda: bool(asked.append(1)))
    assert not asked
    removal.remove_if_old(root, ("dag", "run"), DAY, lambda: True)
    assert (root / "dag/run").exists()


def test_a_dry_run_counts_the_same_and_removes_nothing(root: Path) -> None:
    dry, real = Removal("things", dry_run=True), Removal("things", dry_run=False)
    dry.remove_if_old(root, ("dag", "run"), DAY)
    assert (root / "dag/run/deep/file").exists()
    real.remove_if_old(root, ("dag", "run"), DAY)
    assert (dry.count, dry.bytes) == (real.count, real.bytes) == (1, dry.bytes)
    assert str(dry) == f"things: 1 would be removed, {dry.bytes} bytes"
    assert str(real) == f"things: 1 removed, {real.bytes} bytes"


def test_links_are_removed_and_not_followed(root: Path, outside: Path) -> None:
    (root / "dag/run/link").symlink_to(outside)
    (root / "dag/run/deep/link").symlink_to(outside / "run/file")
    (root / "dag/alone").symlink_to(outside)
    age(root, 10)
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(root, ("dag", "run"), DAY)
    removal.remove_if_old(root, ("dag", "alone"), DAY)
    assert list((root / "dag").iterdir()) == []
    assert (outside / "run/file").read_text(encoding="utf-8") == "of somebody else"
    assert removal.count == 2


def test_a_link_on_the_way_leads_nowhere(root: Path, outside: Path) -> None:
    (root / "other").symlink_to(outside)
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(root, ("other", "run"), DAY)
    assert (outside / "run/file").exists()
    assert removal.count == 0
    assert removal.problem == f"things: {root}/other/run: Not a directory"


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(root)
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(tmp_path / "named", ("dag", "run"), DAY)
    assert (removal.count, list((root / "dag").iterdir())) == (1, [])


def test_links_are_no_folders(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    with trees.open_folder(root) as folder:
        assert trees.list_folders(folder) == ["dag"]


def test_what_is_gone_is_no_failure(root: Path) -> None:
    removal = Removal("things", dry_run=False)
    removal.remove_if_old(root, ("dag", "none"), DAY)
    removal.remove_if_old(root, ("none", "none"), DAY)
    assert (removal.count, removal.problem) == (0, None)


def test_a_problem_names_three_and_counts_the_rest() -> None:
    removal = Removal("things", dry_run=False)
    for number in range(5):
        removal.fail(f"file {number}", OSError("no"))
    assert removal.problem == "things: file 0: no; file 1: no; file 2: no; and 2 more"
