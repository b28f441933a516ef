"""The outputs of a run: where they go, what is said of them, and what may not become one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from begun import SAY, begin, shell
from cwl_airflow.documents.plan import OUTPUTS_REPORT, STATISTICS
from cwl_airflow.gate import Refused
from cwl_airflow.gate.objects import find_files
from cwl_airflow.runs import outputs as outputs_module
from cwl_airflow.runs.cwl_json import read_cwl_json
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.outputs import collect_outputs, collect_run, run_statistics
from cwl_airflow.runs.run import CWLRun
from cwl_airflow.runs.steps import run_step

FOLDER = {"found": {"type": "Directory", "outputBinding": {"glob": "d"}}}


def ran(folder: Path, document: dict[str, Any], job: dict[str, Any] | None = None) -> CWLRun:
    """Return a run of a tool that has ended."""
    run = begin(folder, document, job)
    run_step(run, None, "tool", StepExecutor(1, 1024))
    return run


def test_a_report_says_what_has_run_if_it_is_not_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ran(tmp_path, SAY, {"word": "hello"})
    monkeypatch.setattr(outputs_module, "LONGEST", 20)
    _, report = collect_run(run, tmp_path / "out", True, {"run": {"run_id": "a"}, "job": {"word": "b" * 20}})
    found = json.loads(Path(report).read_text(encoding="utf-8"))[STATISTICS]
    assert found == {**run_statistics(run), "run": {"run_id": "a"}}


@pytest.mark.parametrize(("own", "is_there"), [(True, True), (True, False), (False, True)])
def test_outputs_are_reported_beside_them(tmp_path: Path, own: bool, is_there: bool) -> None:
    run = ran(tmp_path, SAY, {"word": "hello"})
    out = tmp_path / "new/a b"
    if is_there:
        out.mkdir(parents=True)
        (out / "earlier.txt").touch()
    outputs, report = collect_run(run, out, own)
    assert outputs == {
        "said": {
            "class": "File",
            "basename": "said.txt",
            "location": f"file://{tmp_path}/new/a%20b/said.txt",
            "path": f"{out}/said.txt",
            "size": 6,
            "checksum": "sha1$f572d396fae9206628714fb2ce00f72e94f2258f",
        }
    }
    said = json.loads(Path(report).read_text(encoding="utf-8"))
    assert said == {**outputs, STATISTICS: run_statistics(run)}
    assert Path(report).read_text(encoding="utf-8").startswith('{\n  "')
    assert Path(report).parent == out
    assert (out / "earlier.txt").exists() != own
    assert (out / "said.txt").read_text(encoding="utf-8") == "hello\n"
    (original,) = run.layout.outputs("step-tool").glob("*/said.txt")
    assert os.path.samefile(out / "said.txt", original)  # not copied: it may be large


def test_a_folder_goes_with_all_that_is_in_it_even_if_its_tool_lists_less(tmp_path: Path) -> None:
    listed = {"class": "Directory", "path": "d", "listing": [{"class": "File", "path": "d/a"}]}
    script = f"mkdir d; echo a > d/a; echo b > d/b; echo '{json.dumps({'found': listed})}' > cwl.output.json"
    found = collect_outputs(ran(tmp_path, shell(script, outputs=FOLDER)), tmp_path / "out")["found"]
    assert sorted(file.name for file in (tmp_path / "out/d").iterdir()) == ["a", "b"]
    assert sorted(file["basename"] for file in found.get("listing", [])) in ([], ["a", "b"])


def test_what_a_step_took_is_told(tmp_path: Path) -> None:
    run = ran(tmp_path, shell("mkdir d; echo 12345 > d/a; sleep 0.2; echo 1 > b"))
    (tmp_path / "run/outputs/jobs-tool").mkdir()
    (tmp_path / "run/outputs/jobs-tool/c").write_text("123", encoding="utf-8")
    run_step(run, None, "tool", StepExecutor(1, 1024))
    report = read_cwl_json(run.layout.step("tool"))
    assert report["status"] == "success"
    assert report["disk"] == 11
    assert 0.2 <= report["seconds"] < 300
    assert report["seconds"] == round(report["seconds"], 3)
    del report["outputs"]
    assert run_statistics(run)["steps"]["tool"].items() >= report.items()


def test_outputs_go_only_where_the_run_may_write(tmp_path: Path) -> None:
    run = ran(tmp_path, SAY, {"word": "hello"})
    with pytest.raises(Refused, match=r"^'outputs_folder': /srv/elsewhere may not be written"):
        collect_outputs(run, Path("/srv/elsewhere"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("..", "Output 'z': the link {}/d/e/z leads back into its own folder."),
        (".", "Output 'z': the link {}/d/e/z leads back into its own folder."),
        ("none", "Output 'z': the link {}/d/e/z leads nowhere."),
        ("/etc/hostname", "Output 'z': {}/d/e/z may not be read, "),
    ],
)
def test_a_link_that_came_into_an_output_later_is_refused(tmp_path: Path, target: str, said: str) -> None:
    run = ran(tmp_path, shell("mkdir -p d/e; echo a > d/e/a", outputs=FOLDER))
    (folder,) = run.layout.outputs("step-tool").glob("*/d/e")
    (folder / "z").symlink_to(target)
    with pytest.raises(Refused) as error:
        collect_outputs(run, tmp_path / "out")
    assert str(error.value).startswith(said.format(folder.parent.parent))
    assert not (tmp_path / "out/d").exists()


def test_links_in_an_output_become_files_and_inputs_stay_the_users(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("in", encoding="utf-8")
    script = f"mkdir -p d/e; echo a > d/e/a; ln -s e/a d/own; ln -s e d/f; ln -s {tmp_path}/in.txt d/in"
    run = begin(tmp_path, shell(script, inputs={"file": "File"}, outputs=FOLDER),
                {"file": {"class": "File", "path": "in.txt"}})  # fmt: skip
    run_step(run, None, "tool", StepExecutor(1, 1024))
    found = collect_outputs(run, tmp_path / "out")["found"]
    assert found["path"] == str(tmp_path / "out/d")
    files = {str(each.relative_to(tmp_path / "out")): each for each in (tmp_path / "out").rglob("*")}
    assert files.keys() == {"d", "d/e", "d/e/a", "d/own", "d/f", "d/f/a", "d/in"}
    assert not any(each.is_symlink() for each in files.values())
    assert files["d/in"].read_text(encoding="utf-8") == "in"
    assert not os.path.samefile(files["d/in"], tmp_path / "in.txt")
    # Not copied: what steps made may be large.
    (original,) = run.layout.outputs("step-tool").glob("*/d/e/a")
    assert os.path.samefile(files["d/e/a"], original)


def test_a_workflow_may_pass_on_its_inputs(tmp_path: Path) -> None:
    names = {"a": "File", "b": "File", "d": "Directory"}
    (tmp_path / "d/e").mkdir(parents=True)
    for name in ("a", "b", "d/e/c"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    sources = {"one": ("File", "a"), "both": ("File[]", ["a", "b"]), "folder": ("Directory", "d"), "n": ("int?", "n")}
    document = {
        "class": "Workflow",
        "requirements": {"MultipleInputFeatureRequirement": {}},
        "inputs": {**names, "n": "int?"},
        "outputs": {name: {"type": kind, "outputSource": source} for name, (kind, source) in sources.items()},
        "steps": {},
    }
    job = {name: {"class": kind, "path": name} for name, kind in names.items()}
    found = collect_outputs(begin(tmp_path, document, job), tmp_path / "out")
    assert found["one"]["path"] == found["both"][0]["path"]
    assert [file["basename"] for file in found["both"]] == ["a", "b"]
    assert found["folder"]["path"] == str(tmp_path / "out/d")
    assert found["n"] is None
    for name in ("a", "b", "d/e/c"):
        assert (tmp_path / "out" / name).read_text(encoding="utf-8") == name
        assert not (tmp_path / "out" / name).is_symlink()
        assert not os.path.samefile(tmp_path / name, tmp_path / "out" / name)  # theirs stays theirs


def test_several_outputs_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    outputs = {name: {"type": "File", "outputBinding": {"glob": f"{name}/same.txt"}} for name in ("a", "b")}
    run = ran(tmp_path, shell("mkdir a b; echo a > a/same.txt; echo b > b/same.txt", outputs=outputs))
    found = collect_outputs(run, tmp_path / "out")
    assert {name: Path(file["path"]).read_text(encoding="utf-8") for name, file in found.items()} == {
        "a": "a\n",
        "b": "b\n",
    }


@pytest.mark.parametrize("make", ["echo mine >", "mkdir"])
def test_an_output_may_be_called_like_the_report_of_the_outputs(tmp_path: Path, make: str) -> None:
    kind = "Directory" if make == "mkdir" else "File"
    outputs = {"found": {"type": kind, "outputBinding": {"glob": OUTPUTS_REPORT}}}
    run = ran(tmp_path, shell(f"{make} {OUTPUTS_REPORT}", outputs=outputs))
    found, report = collect_run(run, tmp_path / "out", True)
    assert found["found"]["basename"] == f"{OUTPUTS_REPORT}_2"
    assert Path(found["found"]["path"]).exists()
    assert json.loads(Path(report).read_text(encoding="utf-8"))["found"] == found["found"]


def test_names_that_are_as_long_as_they_may_be_stay_apart(tmp_path: Path) -> None:
    name = f"{'ä' * 126}.gz"
    outputs = {each: {"type": "File", "outputBinding": {"glob": f"{each}/*.gz"}} for each in ("a", "b")}
    run = ran(tmp_path, shell(f"mkdir a b; echo a > a/{name}; echo b > b/{name}", outputs=outputs))
    found = collect_outputs(run, tmp_path / "out")
    assert (found["a"]["basename"], found["b"]["basename"]) == (name, f"{'ä' * 126}._2")


def test_a_literal_that_is_several_outputs_is_one_file(tmp_path: Path) -> None:
    document = {
        "class": "ExpressionTool", "requirements": {"InlineJavascriptRequirement": {}}, "inputs": {"f": "File"},
        "outputs": {"a": "File", "b": "File[]"}, "expression": "${ return {a: inputs.f, b: [inputs.f, inputs.f]}; }",
    }  # fmt: skip
    run = begin(tmp_path, document, {"f": {"class": "File", "contents": "zz", "basename": "lit"}})
    run_step(run, None, "tool", StepExecutor(1, 1024))
    found = collect_outputs(run, tmp_path / "out")
    assert {file["basename"] for file in find_files(found)} == {"lit"}


def test_what_an_output_is_called_is_the_name_of_its_file(tmp_path: Path) -> None:
    document = {
        "class": "ExpressionTool", "requirements": {"InlineJavascriptRequirement": {}}, "inputs": {"f": "File"},
        "outputs": {"a": "File", "b": "File"},
        "expression": "${ return {a: Object.assign({}, inputs.f, {basename: 'A'}),"
                      " b: Object.assign({}, inputs.f, {basename: 'B'})}; }",
    }  # fmt: skip
    (tmp_path / "in").touch()
    run = begin(tmp_path, document, {"f": {"class": "File", "path": str(tmp_path / "in")}})
    run_step(run, None, "tool", StepExecutor(1, 1024))
    for file in find_files(collect_outputs(run, tmp_path / "out")):
        assert Path(file["path"]).name == file["basename"]


SAME = "for each in a b c; do mkdir -p $each/res/sub; echo $each | tee $each/res/v.txt $each/res/sub/v.txt; done"


def test_folders_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    outputs = {"found": {"type": "Directory[]", "outputBinding": {"glob": ["a/res", "b/res", "c/res"]}}}
    out = tmp_path / "out"
    found = collect_outputs(ran(tmp_path, shell(SAME, outputs=outputs)), out)["found"]
    assert [folder["basename"] for folder in found] == ["res", "res_2", "res_3"]
    for folder, word in zip(found, ("a", "b", "c"), strict=True):
        assert folder["path"] == str(out / folder["basename"])
        for place in ("v.txt", "sub/v.txt"):
            assert (out / folder["basename"] / place).read_text(encoding="utf-8") == f"{word}\n"
    assert {file["basename"] for file in find_files(found) if file["class"] == "File"} == {"v.txt"}


def test_what_has_the_same_name_in_a_folder_that_an_expression_makes_stays_apart(tmp_path: Path) -> None:
    for word in ("a", "b"):
        (tmp_path / word / "res").mkdir(parents=True)
        for name in ("res/v.txt", "w.txt"):
            (tmp_path / word / name).write_text(word, encoding="utf-8")
    inputs = {"folders": "Directory[]", "files": "File[]"}
    script = "${ return {found: {class: 'Directory', basename: 'all', listing: inputs.folders.concat(inputs.files)}}; }"
    document = {
        "class": "ExpressionTool", "requirements": {"InlineJavascriptRequirement": {}}, "inputs": inputs,
        "outputs": {"found": "Directory"}, "expression": script,
    }  # fmt: skip
    job = {
        "folders": [{"class": "Directory", "path": f"{word}/res"} for word in ("a", "b")],
        "files": [{"class": "File", "path": f"{word}/w.txt"} for word in ("a", "b")],
    }
    out = tmp_path / "out"
    collect_outputs(ran(tmp_path, document, job), out)
    read = {str(file.relative_to(out)): file.read_text(encoding="utf-8") for file in out.rglob("*") if file.is_file()}
    assert read == {"all/res/v.txt": "a", "all/res_2/v.txt": "b", "all/w.txt": "a", "all/w.txt_2": "b"}


def test_a_file_that_is_given_twice_keeps_its_name_and_one_beside_it_gets_another(tmp_path: Path) -> None:
    outputs = {
        "one": {"type": "File", "outputBinding": {"glob": "a/v.txt"}, "secondaryFiles": [".idx"]},
        "again": {"type": "File", "outputBinding": {"glob": "a/v.txt"}},
        "other": {"type": "File", "outputBinding": {"glob": "b/v.txt"}, "secondaryFiles": [".idx"]},
    }
    script = "mkdir a b; for each in a b; do echo $each | tee $each/v.txt $each/v.txt.idx; done"
    out = tmp_path / "out"
    found = collect_outputs(ran(tmp_path, shell(script, outputs=outputs)), out)
    assert found["one"]["basename"] == found["again"]["basename"] == "v.txt"
    assert found["other"]["basename"] == "v.txt_2"
    assert found["other"]["secondaryFiles"][0]["basename"] == "v.txt.idx_2"
    read = {file.name: file.read_text(encoding="utf-8") for file in out.iterdir()}
    assert read == {"v.txt": "a\n", "v.txt.idx": "a\n", "v.txt_2": "b\n", "v.txt.idx_2": "b\n"}


def test_a_file_whose_name_begins_like_a_folder_is_not_taken_for_a_part_of_it(tmp_path: Path) -> None:
    outputs = {**FOLDER, "file": {"type": "File", "outputBinding": {"glob": "d.txt"}}}
    run = ran(tmp_path, shell("mkdir d; echo a > d/a; echo b > d.txt", outputs=outputs))
    found = collect_outputs(run, tmp_path / "out")
    assert (found["found"]["path"], found["file"]["path"]) == (str(tmp_path / "out/d"), str(tmp_path / "out/d.txt"))


def test_outputs_lose_what_lets_others_run_as_their_owner(tmp_path: Path) -> None:
    run = ran(tmp_path, shell("mkdir d; echo a > d/a", outputs=FOLDER))
    (file,) = run.layout.outputs("step-tool").glob("*/d/a")
    file.chmod(0o6755)
    collect_outputs(run, tmp_path / "out")
    assert (tmp_path / "out/d/a").stat().st_mode & 0o7777 == 0o755


def test_an_output_with_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    run = ran(tmp_path, SAY, {"word": "hello"})
    report = run.layout.step("tool")
    report.write_text(report.read_text(encoding="utf-8").replace('"said.txt"', '"../said.txt"'), encoding="utf-8")
    with pytest.raises(Refused, match=r"^Output 'said': "):
        collect_outputs(run, tmp_path / "out")
