"""Documents and inputs of one's own: what a run gets, where, and what is refused before."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.gate import Places, Refused
from cwl_airflow.rest import AirflowClient
from cwl_airflow.shell import staging
from cwl_airflow.shell.host import Host
from cwl_airflow.shell.placing import place_file
from cwl_airflow.shell.request import name_dag
from cwl_airflow.shell.run import ShellRun, ShellRunFailed, prepare, run_document

CAT = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "cat",
    "inputs": {"reads": {"type": "File", "secondaryFiles": [".bai"]}, "more": "Directory?"},
    "outputs": {},
}


class Shell:
    """A home, and a site that it does not belong to."""

    def __init__(self, folder: Path, own_shell: bool = True) -> None:
        """Make both."""
        self.home, site = folder / "home", folder / "site"
        names = ("inputs", "dags", "outputs", "tmp", "embedded")
        for each in (self.home, *(site / name for name in names)):
            each.mkdir(parents=True)
        self.places = Places(site, *(site / name for name in names))
        client = AirflowClient("http://127.0.0.1:9", "", "")
        self.host = Host(client, "carol", "http://localhost", self.places, {}, "http://127.0.0.1:9", own_shell)

    def write(self, path: str, content: Any) -> Path:
        """Write a file of the home."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    def prepare(self, document: Path | str, job: Path | None = None, remove: bool = False, **options: list[str]) -> Any:
        """Return what Airflow would be asked."""
        return prepare(self.host, ShellRun(str(document), str(job) if job else None, options, remove=remove))


@pytest.fixture
def shell(tmp_path: Path, only_file: None) -> Shell:
    return Shell(tmp_path)


def path_of(value: Mapping[str, Any]) -> Path:
    """Return where a file of a job is."""
    return Path(str(value["location"]).removeprefix("file://"))


def test_what_is_out_of_reach_is_put_into_it_with_what_belongs_to_it(shell: Shell) -> None:
    document = shell.write("cat.cwl", CAT)
    reads = shell.write("a b.bam", "reads")
    shell.write("a b.bam.bai", "index")
    shell.write("folder/deep/file", "deep")
    more = {"class": "Directory", "path": "folder"}
    job = shell.write("job.json", {"reads": {"class": "File", "path": "a b.bam"}, "more": more})
    request = shell.prepare(document, job)
    own = shell.places.inputs / "cwl-runner/carol"
    staged = Path(request.document)
    assert (staged.parent.parent, staged.name) == (own / "documents", "cat.cwl")
    assert json.loads(staged.read_text()) == CAT
    copied = Path(path_of(request.job["reads"]).as_posix().replace("%20", " "))
    assert copied.is_relative_to(own / request.dag_id / request.run_id)
    assert (copied.read_text(), copied.with_name("a b.bam.bai").read_text()) == ("reads", "index")
    assert copied.stat().st_ino == reads.stat().st_ino  # no second copy on the disk
    assert (path_of(request.job["more"]) / "deep/file").read_text() == "deep"
    # Only the group gets to it, all of which it may remove; containers read it by their mounts.
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o2770
    assert {stat.S_IMODE(each.stat().st_mode) for each in own.rglob("*") if each.is_dir()} == {0o2775}
    assert {stat.S_IMODE(each.stat().st_mode) & 0o004 for each in own.rglob("*") if each.is_file()} == {0o004}


def test_a_document_is_one_dag_until_it_changes(shell: Shell) -> None:
    document = shell.write("true.cwl", {**CAT, "inputs": {}})
    first, second = shell.prepare(document), shell.prepare(document)
    assert first.dag_id == second.dag_id
    assert first.dag_id.startswith("true.carol.")
    assert first.run_id != second.run_id
    # What was put there stays as it is while somebody writes.
    shell.write("true.cwl", {**CAT, "inputs": {}, "label": "other"})
    assert "label" not in json.loads(Path(first.document).read_text())
    assert shell.prepare(document).dag_id != first.dag_id


def test_all_that_a_document_is_made_of_comes_along(shell: Shell) -> None:
    shell.write("lib/script.js", "var a = 1;")
    shell.write("lib/the default.txt", "default")
    shell.write("lib/the default.txt.idx", "index")
    tool = {
        **CAT,
        "inputs": {
            "file": {
                "type": "File",
                "secondaryFiles": [".idx"],
                "default": {"class": "File", "location": "the%20default.txt"},
            }
        },
    }
    tool["requirements"] = {"InlineJavascriptRequirement": {"expressionLib": [{"$include": "script.js"}]}}
    shell.write("lib/tool.cwl", tool)
    step = {"run": "../lib/tool.cwl", "in": {}, "out": []}
    workflow = {"cwlVersion": "v1.2", "class": "Workflow", "inputs": {}, "outputs": {}, "steps": {"only": step}}
    document = shell.write("flows/flow.cwl", workflow)
    request = shell.prepare(document)
    folder = Path(request.document).parent.parent
    assert sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()) == [
        "flows/flow.cwl",
        "lib/script.js",
        "lib/the default.txt",
        "lib/the default.txt.idx",
        "lib/tool.cwl",
    ]


@pytest.mark.parametrize("folder", [False, True])
def test_a_document_takes_no_key_along(shell: Shell, folder: bool) -> None:
    shell.write(".ssh/id", "secret")
    named = {"class": "Directory", "location": "."} if folder else {"class": "File", "location": ".ssh/id"}
    tool = {**CAT, "inputs": {"file": {"type": named["class"], "default": named}}}
    step = {"run": tool, "in": {}, "out": []}
    workflow = {"cwlVersion": "v1.2", "class": "Workflow", "inputs": {}, "outputs": {}, "steps": {"only": step}}
    document = shell.write("flow.cwl", workflow)
    with pytest.raises(Refused, match=r"is or is in \.ssh"):
        shell.prepare(document)
    assert not list(shell.places.inputs.rglob("id"))


def test_one_process_of_several_is_named_as_before(shell: Shell) -> None:
    tools = [{**CAT, "id": name, "inputs": {}} for name in ("one", "two")]
    version = tools[0].pop("cwlVersion"), tools[1].pop("cwlVersion")
    document = shell.write("pack.cwl", {"cwlVersion": version[0], "$graph": tools})
    one, two = shell.prepare(f"{document}#one"), shell.prepare(f"{document}#two")
    assert (one.document.endswith("/pack.cwl#one"), two.document.endswith("/pack.cwl#two")) == (True, True)
    assert one.dag_id != two.dag_id


def test_what_runs_may_read_stays_where_it_is(shell: Shell) -> None:
    document = shell.places.inputs / "cat.cwl"
    document.write_text(json.dumps(CAT), encoding="utf-8")
    for name in ("a", "a.bai"):
        (shell.places.inputs / name).touch()
    assert shell.prepare(document).document == str(document)
    job = shell.write("job.json", {"reads": {"class": "File", "path": str(shell.places.inputs / "a")}})
    request = shell.prepare(document, job)
    assert request.document == str(document)
    assert path_of(request.job["reads"]) == shell.places.inputs / "a"


def test_options_are_a_job(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    document = shell.write("cat.cwl", {**CAT, "inputs": {"reads": "File", "n": "int", "fast": "boolean?"}})
    shell.write("a", "reads")
    monkeypatch.chdir(shell.home)
    job = shell.prepare(document, reads=["a"], n=["3"], fast=[]).job
    assert (path_of(job["reads"]).read_text(), job["n"], job["fast"]) == ("reads", 3, True)


@pytest.mark.parametrize(
    ("job", "why"),
    [
        ({}, "Input 'reads' is missing. The job gives: nothing."),
        ({"raeds": "a"}, "Input 'raeds' is not one of the workflow's. Did you mean 'reads'?"),
        ({"reads": {"class": "File", "path": "nowhere"}}, "Input 'reads': "),
        ({"reads": {"class": "File", "path": "/etc/shadow"}}, "may not be read, whatever a setting says"),
        ({"reads": {"class": "File", "path": "{home}/.ssh/id"}}, "is or is in .ssh"),
    ],
)
def test_a_wrong_job_is_refused_before_there_is_a_run(shell: Shell, job: Any, why: str) -> None:
    shell.write(".ssh/id", "secret")
    document = shell.write("cat.cwl", CAT)
    text = json.dumps(job).replace("{home}", str(shell.home))
    with pytest.raises((ShellRunFailed, Refused)) as error:
        run_document(shell.host, ShellRun(str(document), str(shell.write("job.json", text))))
    assert why in str(error.value)
    assert not (shell.places.dags / "cwl-runner").exists()


def test_a_document_that_is_none_is_refused_with_its_line(shell: Shell) -> None:
    document = shell.write(
        "cat.cwl", "cwlVersion: v1.2\nclass: CommandLineTool\ninputs: {}\noutputs: {}\nbaseComand: a\n"
    )
    with pytest.raises(ShellRunFailed, match=r"cat\.cwl:5:1"):
        run_document(shell.host, ShellRun(str(document)))


def test_the_administrator_s_runs_read_what_runs_read(tmp_path: Path) -> None:
    shell = Shell(tmp_path, own_shell=False)
    document = shell.write("cat.cwl", CAT)
    with pytest.raises(Refused, match="is outside of what runs read"):
        shell.prepare(document)


def test_a_folder_that_is_listed_is_there_once(shell: Shell) -> None:
    listed = {"type": "Directory", "loadListing": "deep_listing"}
    document = shell.write("cat.cwl", {**CAT, "inputs": {"more": listed}})
    shell.write("folder/deep/file", "deep")
    job = shell.write("job.json", {"more": {"class": "Directory", "path": "folder"}})
    request = shell.prepare(document, job)
    folder = shell.places.inputs / "cwl-runner/carol" / request.dag_id / request.run_id
    assert sorted(str(each.relative_to(folder)) for each in folder.rglob("file")) == ["0/folder/deep/file"]


def test_a_colleague_s_link_is_not_followed(shell: Shell, tmp_path: Path) -> None:
    (shell.places.inputs / "cwl-runner").mkdir()
    (shell.places.inputs / "cwl-runner/carol").symlink_to(tmp_path)
    with pytest.raises(OSError, match="is not yours"):
        shell.prepare(shell.write("true.cwl", {**CAT, "inputs": {}}))


def test_a_uri_of_a_file_is_its_path(shell: Shell) -> None:
    document = shell.write("a b.cwl", {**CAT, "inputs": {}})
    assert shell.prepare(document.as_uri()).document.endswith("/a b.cwl")


def test_names_of_accounts_are_in_names_as_these_may_be() -> None:
    assert name_dag("ann@lab%d", "/a/align.cwl", "x").startswith("align.ann-lab-d.")


def test_what_is_removed_afterwards_is_shared_with_nothing(shell: Shell) -> None:
    document = shell.write("true.cwl", {**CAT, "inputs": {}})
    request = shell.prepare(document, remove=True)
    assert Path(request.document).is_relative_to(shell.places.inputs / "cwl-runner/carol" / request.dag_id)


def test_a_file_that_others_may_not_read_is_copied_so_that_a_container_can(tmp_path: Path) -> None:
    closed, script = tmp_path / "closed", tmp_path / "script"
    closed.write_text("a", encoding="utf-8")
    closed.chmod(0o600)
    shutil.copyfile(closed, script)
    script.chmod(0o700)
    for file, mode in ((closed, 0o644), (script, 0o755)):
        place = tmp_path / "there" / file.name
        place_file(str(file), place, 0)
        assert stat.S_IMODE(place.stat().st_mode) == mode
        assert place.stat().st_ino != file.stat().st_ino


def test_a_file_for_which_there_is_no_room_is_not_copied(shell: Shell, tmp_path: Path) -> None:
    closed, least = shell.write("closed", "a" * 10), shutil.disk_usage(tmp_path).total / 2**20
    closed.chmod(0o600)
    shell.host = replace(shell.host, min_free=least)
    document = shell.write("cat.cwl", {**CAT, "inputs": {"reads": "File"}})
    with pytest.raises(OSError, match=rf" has 0 MiB and is not copied: .* MiB free, and {least:g} must stay so"):
        shell.prepare(document, reads=[str(closed)])
    assert not [each for each in (shell.places.inputs / "cwl-runner").rglob("*") if each.is_file()]


def test_an_expression_that_throws_is_said_in_short(shell: Shell) -> None:
    pattern = "${ throw new Error('no index of ' + self.basename); }"
    reads = {"type": "File", "secondaryFiles": [pattern]}
    tool = {**CAT, "requirements": {"InlineJavascriptRequirement": {}}, "inputs": {"reads": reads}}
    with pytest.raises(ValueError, match=r"^An expression failed: Error: no index of a\.fq\n") as error:
        shell.prepare(shell.write("cat.cwl", tool), reads=[str(shell.write("a.fq", "a"))])
    assert len(str(error.value).splitlines()) == 2


def test_a_missing_file_is_said_without_advice_for_others(shell: Shell) -> None:
    document = shell.write("cat.cwl", {**CAT, "inputs": {"reads": "File"}})
    there = shell.write("reads.fq", "a")
    with pytest.raises(OSError, match=rf"^Input 'reads': {there}s is not there\. Did you mean {there}\?$"):
        shell.prepare(document, reads=[f"{there}s"])


def test_a_folder_that_is_in_itself_ends(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    (folder / "up").symlink_to("..")
    with pytest.raises(OSError, match="leads to a folder that it is in itself"):
        place_file(str(tmp_path / "a"), tmp_path / "there", 0)


def test_a_folder_with_a_pipe_in_it_is_refused(shell: Shell) -> None:
    document = shell.write("cat.cwl", {**CAT, "inputs": {"more": "Directory"}})
    (shell.home / "folder").mkdir()
    os.mkfifo(shell.home / "folder/pipe")
    job = shell.write("job.json", {"more": {"class": "Directory", "path": "folder"}})
    with pytest.raises(Refused, match="pipe is neither a file nor a folder"):
        shell.prepare(document, job)


def test_files_of_documents_of_the_net_are_none_of_this_host() -> None:
    document = staging.LoadedDocument(None, {"https://example.org/a.cwl": ""}, ("https://example.org/o",))  # type: ignore[arg-type]
    assert staging.files_of_document(document, Places(*[Path("/nowhere")] * 6).gate()) == set()
