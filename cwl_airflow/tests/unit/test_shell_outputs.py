"""Outputs in a folder of somebody's own: what is there before stays as it is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cwl_airflow.documents.plan import OUTPUTS_REPORT
from cwl_airflow.shell.outputs import copy_outputs


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    (folder / "folder").mkdir(parents=True)
    for name in ("out.txt", "folder/in.txt", f"folder/{OUTPUTS_REPORT}", OUTPUTS_REPORT):
        (folder / name).write_text("output", encoding="utf-8")
    (folder / "out.txt").chmod(0o755)
    (folder / "link").symlink_to("out.txt")
    folder.chmod(0o2750)
    return folder


def test_outputs_come_beside_what_is_there(outputs: Path, tmp_path: Path) -> None:
    outdir = tmp_path / "home"
    (outdir / "folder").mkdir(parents=True)
    (outdir / "folder/own.txt").write_text("own", encoding="utf-8")
    outdir.chmod(0o700)
    (outdir / "folder").chmod(0o700)
    copy_outputs(outputs, outdir)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (outdir, outdir / "folder")} == {0o700}
    # What is called like the report is an output elsewhere.
    names = ["folder", "folder/in.txt", "folder/own.txt", f"folder/{OUTPUTS_REPORT}", "link", "out.txt"]
    assert sorted(str(each.relative_to(outdir)) for each in outdir.rglob("*")) == names
    assert stat.S_IMODE((outdir / "out.txt").stat().st_mode) == 0o755
    assert (outdir / "link").is_symlink()


def test_a_link_is_replaced_and_not_what_it_leads_to(outputs: Path, tmp_path: Path) -> None:
    (outdir := tmp_path / "home").mkdir()
    (outdir / "precious").write_text("own", encoding="utf-8")
    (outdir / "out.txt").symlink_to("precious")
    copy_outputs(outputs, outdir)
    assert (outdir / "precious").read_text(encoding="utf-8") == "own"
    assert (outdir / "out.txt").read_text(encoding="utf-8") == "output"


@pytest.mark.parametrize(
    ("name", "why"), [("out.txt", "out.txt is a file, and"), ("folder", "folder is a folder, and")]
)
def test_what_is_in_the_way_is_named(outputs: Path, tmp_path: Path, name: str, why: str) -> None:
    (outdir := tmp_path / "home").mkdir()
    if name == "out.txt":
        (outdir / name).mkdir()
    else:
        (outdir / name).symlink_to(tmp_path)
    with pytest.raises(OSError, match=f"The output {why}"):
        copy_outputs(outputs, outdir)
