"""The outputs of a run as pages show them: what is reported, and nothing beside it."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.dags.reported import read_report
from cwl_airflow.documents.plan import OUTPUTS_REPORT, STATISTICS
from cwl_airflow.gate import Refused
from cwl_airflow.pages import content, outputs
from cwl_airflow.pages.archive import zip_stream
from cwl_airflow.pages.outputs import RunOutputs
from gates import open_gate


def file_at(path: Path, kind: str = "File", **more: Any) -> dict[str, Any]:
    return {"class": kind, "location": path.as_uri(), "basename": path.name, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with outputs, and a file that is none."""
    made = tmp_path / "outputs"
    (made / "tree/sub").mkdir(parents=True)
    for name in ("reads.bam", "reads.bam.bai", "secret", "tree/a ä.txt", "tree/sub/b"):
        (made / name).write_text(name, encoding="utf-8")
    return made


def report(folder: Path, values: Any) -> RunOutputs:
    (folder / OUTPUTS_REPORT).write_text(json.dumps(values), encoding="utf-8")
    gate = open_gate(folder.parent)
    return RunOutputs(read_report(str(folder / OUTPUTS_REPORT), gate, "first"), gate)


@pytest.fixture
def found(folder: Path) -> RunOutputs:
    reads = file_at(folder / "reads.bam", size=9, checksum="sha1$1", secondaryFiles=[file_at(folder / "reads.bam.bai")])
    tree = file_at(folder / "tree", "Directory", listing=[file_at(folder / "tree/a ä.txt")])
    values = {"reads": [reads], "record": {"tree": tree}, "number": 3, "none": None}
    return report(folder, {**values, STATISTICS: {"steps": {"align": {"seconds": 1}}}})


def test_files_are_found_in_lists_and_records_and_beside_files(found: RunOutputs, folder: Path) -> None:
    reads, record, number, none = found.describe()
    assert [(each["path"], each["size"], each["checksum"]) for each in reads["files"]] == [
        ("reads.bam", 9, "sha1$1"),
        ("reads.bam.bai", None, ""),
    ]
    assert [(each["path"], each["folder"]) for each in record["files"]] == [("tree", True)]
    assert (number["value"], none["value"], number["number"]) == ("3", "null", 0)
    assert found.steps == {"align": {"seconds": 1}}
    assert found.folder == str(folder)


def test_many_files_are_counted_and_some_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MOST_ENTRIES", 2)
    (described,) = report(folder, {"all": [file_at(folder / "secret")] * 3}).describe()
    assert (len(described["files"]), described["number"]) == (2, 3)


@pytest.mark.parametrize(
    "path",
    ["secret", "a\0", "", ".", "..", "../outputs/reads.bam", "tree/../secret", "tree/", "/etc/passwd", "tree//sub/b",
     "gone", OUTPUTS_REPORT, "reads.bam/x", "tree/link", "tree/up/secret", "link"],
)  # fmt: skip
def test_what_is_no_output_is_not_found(found: RunOutputs, folder: Path, path: str) -> None:
    (folder / "tree/link").symlink_to(folder / "secret")
    (folder / "tree/up").symlink_to(folder)
    (folder / "link").symlink_to(folder / "reads.bam")
    with pytest.raises(FileNotFoundError):
        found.open(path)


def test_a_link_in_the_place_of_an_output_is_not_followed(found: RunOutputs, folder: Path) -> None:
    (folder / "reads.bam").unlink()
    (folder / "reads.bam").symlink_to("/etc/passwd")
    with pytest.raises(FileNotFoundError):
        found.open("reads.bam")
    (folder / "tree").rename(folder / "moved")
    (folder / "tree").symlink_to("/etc")
    for look in (found.open, found.list_folder, lambda path: list(found.walk(path, []))):
        with pytest.raises(FileNotFoundError):
            look("tree")


def test_what_is_in_a_folder_is_found(found: RunOutputs, folder: Path) -> None:
    (folder / "tree/link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "tree/fifo")
    assert [(each.path, each.folder, each.size) for each in found.list_folder("tree")] == [
        ("tree/sub", True, None),
        ("tree/a ä.txt", False, 13),
    ]
    with found.open("tree/sub/b") as stream:
        assert stream.read() == b"tree/sub/b"
    with pytest.raises(NotADirectoryError):
        found.list_folder("reads.bam")
    with pytest.raises(Refused):
        found.open("tree/fifo")


def archived(found: RunOutputs, path: str) -> dict[str, str]:
    """Return what is in the archive of a folder."""
    left_out: list[outputs.LeftOut] = []
    parts = list(zip_stream(found.walk(path, left_out), left_out))
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_folder_becomes_an_archive(found: RunOutputs, folder: Path) -> None:
    (folder / "tree/empty").touch()
    assert archived(found, "tree") == {"a ä.txt": "tree/a ä.txt", "empty": "", "sub/b": "tree/sub/b"}
    assert found.left_out("tree") == []


def test_an_archive_says_what_is_missing(found: RunOutputs, folder: Path) -> None:
    (folder / "tree/link").symlink_to("/etc/passwd")
    (folder / "tree/LEFT-OUT.txt").touch()
    (folder / "tree/sub/up").symlink_to(folder)
    (folder / "tree/.ssh").mkdir()
    (folder / "tree/.ssh/id_rsa").touch()
    os.mkfifo(folder / "tree/sub/\udcff")
    files = archived(found, "tree")
    said = files.pop("_LEFT-OUT.txt").splitlines()
    assert sorted(files) == ["LEFT-OUT.txt", "a ä.txt", "sub/b"]
    assert said[0] == "These could not be put into the archive:"
    ssh, *others = sorted(said[1:])
    assert ssh.startswith(".ssh: The output: ")
    assert others == ["link: it is a link", "sub/?: it is neither a file nor a folder", "sub/up: it is a link"]
    assert sorted(each.path for each in found.left_out("tree")) == [".ssh", "link", "sub/up", "sub/\udcff"]


@pytest.mark.parametrize("name", ["tree/sub/b", "tree/sub"])
def test_what_cannot_be_read_is_missing_and_the_rest_is_there(
    found: RunOutputs, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, listed, asked = os.open, os.scandir, os.access

    def refuse(path: Any, *more: Any, of: Any) -> Any:  # as for others than root, who may read all
        if str(path) == str(folder / name):
            raise PermissionError(13, "Permission denied", str(path))
        return of(path, *more)

    monkeypatch.setattr(os, "open", lambda *given: refuse(*given, of=opened))
    monkeypatch.setattr(os, "scandir", lambda *given: refuse(*given, of=listed))
    monkeypatch.setattr(os, "access", lambda path, how: str(path) != str(folder / name) and asked(path, how))
    files = archived(found, "tree")
    assert files["a ä.txt"] == "tree/a ä.txt"
    assert files["LEFT-OUT.txt"].splitlines()[1:] == [f"{name.removeprefix('tree/')}: Permission denied"]
    assert [each.path for each in found.left_out("tree")] == [name.removeprefix("tree/")]


@pytest.mark.parametrize("values", [[], 5, "text"])
def test_a_report_is_an_object(folder: Path, values: Any) -> None:
    with pytest.raises(ValueError, match="is no report of outputs"):
        report(folder, values)


def test_a_report_is_where_the_run_could_write(folder: Path, found: RunOutputs) -> None:
    gate = open_gate(folder.parent)
    with pytest.raises(Refused, match="is no report"):
        read_report("/etc/passwd", gate, "first")
    with pytest.raises(Refused, match="may not be written"):
        read_report(f"/etc/{OUTPUTS_REPORT}", gate, "first")


@pytest.mark.parametrize("run", [{"dag_id": "dag", "run_id": "second"}, {"dag_id": "other", "run_id": "first"}, 5])
def test_a_report_of_another_run_in_the_same_folder_is_not_this_ones(folder: Path, run: Any) -> None:
    assert report(folder, {STATISTICS: {"run": {"dag_id": "dag", "run_id": "first"}}}).describe() == []
    with pytest.raises(Refused, match="Another run has written"):
        report(folder, {STATISTICS: {"run": run}})


def test_what_nobody_may_read_is_not_shown_in_a_folder_either(found: RunOutputs, folder: Path) -> None:
    (folder / "tree/.ssh").mkdir()
    (folder / "tree/.ssh/id_rsa").write_text("KEY", encoding="utf-8")
    assert ".ssh" not in [each.name for each in found.list_folder("tree")]
    assert sorted(name for name, _ in found.walk("tree", [])) == ["a ä.txt", "sub/b"]
    for path in ("tree/.ssh", "tree/.ssh/id_rsa"):
        with pytest.raises(Refused):
            found.find(path)


@pytest.mark.parametrize("more", [{STATISTICS: 5}, {STATISTICS: {"steps": 5}}, {STATISTICS: {"steps": {"a": []}}}, {}])
def test_a_report_may_say_nothing_of_steps(folder: Path, more: dict[str, Any]) -> None:
    assert report(folder, more).steps == {}


@pytest.mark.parametrize("location", ["http://example.org/a", "/etc/passwd", "file:///etc/passwd", "", 5, None])
def test_files_that_are_elsewhere_are_not_shown(folder: Path, location: Any) -> None:
    (described,) = report(folder, {"a": {"class": "File", "location": location}}).describe()
    assert described["files"] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.PNG", "image"), ("a.html", "html"), ("a.pdf", "pdf"), ("a.csv", "table"), ("a.tsv", "table"),
     ("a.csv.gz", "text"), ("a.fastq", "text"), ("README", "text"), ("a.json", "text")],
)  # fmt: skip
def test_files_are_shown_by_their_names(name: str, shown: str) -> None:
    assert content.show_as(name) == shown


@pytest.mark.parametrize(
    ("head", "text"),
    [(b"", True), (b"a\n", True), ("ä".encode(), True), ("aä".encode()[:-1], True), (b"a\0", False),
     (b"\xff" + 9 * b"a", False)],
)  # fmt: skip
def test_text_is_told_from_other_data(head: bytes, text: bool) -> None:
    assert content.is_text(head) is text
