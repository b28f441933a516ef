"""What preflight says about workflows before anything reaches a host."""

from __future__ import annotations

from pathlib import Path

import pytest
from cwl_workflow_errors import FilterModule, cwl_workflow_errors
from hypothesis import example, given
from hypothesis import strategies as st

WORKFLOWS = Path(__file__).parents[2] / "files/workflows"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a DAG file and one good document."""
    (tmp_path / "dag.py").write_text("", encoding="utf-8")
    (tmp_path / "good.cwl").write_text("cwlVersion: v1.2\n", encoding="utf-8")
    return tmp_path


def test_the_examples_are_good() -> None:
    folders = [str(path) for path in WORKFLOWS.iterdir() if path.is_dir()]
    assert len(folders) >= 3
    assert cwl_workflow_errors(folders) == []


def test_a_good_folder_gives_no_errors(folder: Path) -> None:
    assert cwl_workflow_errors([str(folder)]) == []


def test_no_folders_give_no_errors() -> None:
    assert cwl_workflow_errors([]) == []


def test_names_a_folder_that_is_missing(tmp_path: Path) -> None:
    (error,) = cwl_workflow_errors([str(tmp_path / "typo")])
    assert error.startswith(f"{tmp_path / 'typo'} is no folder")


def test_names_a_file_given_as_a_folder(folder: Path) -> None:
    (error,) = cwl_workflow_errors([str(folder / "good.cwl")])
    assert error.startswith(f"{folder / 'good.cwl'} is no folder")


def test_names_a_folder_without_dag_file(folder: Path) -> None:
    (folder / "dag.py").unlink()
    (error,) = cwl_workflow_errors([str(folder)])
    assert error.startswith(f"{folder} has no DAG file")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cwlVersion: v1.2\nclass: [\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 'no end\n", 2),
        ("a: b: c\n", 1),
        ('# characters end at 10FFFF\na: "\\UFFFFFFFF"\n', 2),
        ("a: 1\nb: *nobody\n", 2),
    ],
)
def test_names_file_and_line_of_what_is_not_yaml(folder: Path, text: str, line: int) -> None:
    path = folder / "tools" / "bad.cwl"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    (error,) = cwl_workflow_errors([str(folder)])
    assert error.startswith(f"{path}, line {line} is not YAML: ")
    assert "\n" not in error


def test_names_a_document_with_a_control_character(folder: Path) -> None:
    (folder / "bad.cwl").write_text("a: \x00\n", encoding="utf-8")
    (error,) = cwl_workflow_errors([str(folder)])
    assert error.startswith(f"{folder / 'bad.cwl'} is not YAML: ")


def test_names_a_document_that_is_not_utf8(folder: Path) -> None:
    (folder / "bad.cwl").write_bytes("doc: Müller\n".encode("latin-1"))
    (error,) = cwl_workflow_errors([str(folder)])
    assert error == f"{folder / 'bad.cwl'} is not UTF-8: invalid start byte at byte 6"


def test_a_fragment_and_an_empty_document_are_good(folder: Path) -> None:
    (folder / "empty.cwl").write_text("", encoding="utf-8")
    (folder / "fragment.cwl").write_text("class: DockerRequirement\n", encoding="utf-8")
    assert cwl_workflow_errors([str(folder)]) == []


def test_a_folder_named_like_a_document_is_good(folder: Path) -> None:
    (folder / "tools.cwl").mkdir()
    assert cwl_workflow_errors([str(folder)]) == []


def test_names_a_document_that_cannot_be_opened(folder: Path) -> None:
    (folder / "gone.cwl").symlink_to("nowhere.cwl")
    (error,) = cwl_workflow_errors([str(folder)])
    assert "gone.cwl" in error


def test_reports_every_problem(folder: Path, tmp_path: Path) -> None:
    (folder / "a.cwl").write_text("[", encoding="utf-8")
    (folder / "b.cwl").write_bytes(b"\xff")
    (folder / "dag.py").unlink()
    errors = cwl_workflow_errors([str(tmp_path / "typo"), str(folder)])
    assert [error.split(" ")[0].rstrip(",") for error in errors] == [
        str(tmp_path / "typo"),
        str(folder),
        str(folder / "a.cwl"),
        str(folder / "b.cwl"),
    ]


@given(st.binary())
@example(b'"\\UFFFFFFFF"')
@example(b"a: &a [*a]")
@example(100 * b"[")
def test_never_raises_whatever_a_document_holds(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-bytes"
    folder.mkdir(exist_ok=True)
    (folder / "dag.py").touch()
    (folder / "any.cwl").write_bytes(content)
    assert all(error.startswith(str(folder / "any.cwl")) for error in cwl_workflow_errors([str(folder)]))


@given(st.text(alphabet="abU0F:/@.\\\n#&*!|>'\"%{}[]?-,= \t", max_size=30) | st.text(max_size=30))
def test_never_raises_whatever_text_a_document_holds(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-text"
    folder.mkdir(exist_ok=True)
    (folder / "dag.py").touch()
    (folder / "any.cwl").write_text(text, encoding="utf-8", newline="")
    assert all(error.startswith(str(folder / "any.cwl")) for error in cwl_workflow_errors([str(folder)]))


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters() == {"cwl_workflow_errors": cwl_workflow_errors}
