"""A run as an RO-Crate: of real runs, looked at by a validator that nobody of this project wrote."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from airflow.models import DagRun
from cwl_airflow.documents.plan import STATISTICS
from cwl_airflow.pages.archive import zip_stream
from cwl_airflow.pages.bundle import NotBundled, make_bundle
from home import Site
from rocrate.rocrate import ROCrate
from test_dags import CHAIN, SCATTER, failing, kept_environment, outputs, pushed, ran, written  # noqa: F401  # fixtures

VALIDATE = Path(__file__).with_name("validate_crate.py")
#: Profiles as the validator calls them: of workflows, and of what has no steps.
OF_STEPS, OF_TOOL = "provenance-run-crate-0.5", "workflow-run-crate-0.5"
#: What only whoever publishes a crate can say, or an author of a document: licence, publisher, affiliation, a README,
#: releases and addresses of tools, which file of several is the main one; and what steps gave that is no output.
LEFT_TO_OTHERS = {
    "process-run-crate-0.5_3.2", "process-run-crate-0.5_4.1", "process-run-crate-0.5_5.1", "process-run-crate-0.5_7.1",
    "process-run-crate-0.5_11.1", "process-run-crate-0.5_12.3", "ro-crate-1.1_22.1", "ro-crate-1.1_22.3",
    "ro-crate-1.1_30.2", "ro-crate-1.1_30.3", "workflow-ro-crate-1.0_6.1", "workflow-ro-crate-1.0_6.2",
}  # fmt: skip
FILES_TOOL = {
    "class": "CommandLineTool",
    "label": "Makes files",
    "inputs": {"file": "File", "numbers": {"type": "int[]?", "doc": ["Some", "numbers"]}, "flag": "boolean?"},
    "arguments": ["sh", "-c", "mkdir -p 'tree ä/sub' && echo a > 'tree ä/sub/a' && echo > b.bam && echo > b.bam.bai"],
    "outputs": {
        "tree": {"type": "Directory", "outputBinding": {"glob": "tree*"}},
        "reads": {"type": "File", "secondaryFiles": [".bai"], "outputBinding": {"glob": "b.bam"}},
        "both": {
            "type": {
                "type": "record",
                "name": "both",
                "fields": [{"name": "index", "type": "File", "outputBinding": {"glob": "b.bam.bai"}}],
            }
        },
        "none": {"type": "File?", "outputBinding": {"glob": "none"}},
    },
}


def unpack(run: DagRun, folder: Path) -> dict[str, Any]:
    """Unpack the crate of a run into a folder, and return its entities by their ids."""
    bundle = make_bundle(run.dag_id, run.run_id)
    content = b"".join(zip_stream(bundle.files(), bundle.left_out))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(set(archive.namelist()))
        archive.extractall(folder)
    metadata = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return {each["@id"]: each for each in metadata["@graph"]}


def problems(folder: Path, profile: str) -> list[str]:
    """Return what a crate lacks for a profile, as the validator says it, but for what is left to others.

    In a process of its own: in this one nothing reads JSON-LD (`gate.hooks`).
    """
    command = [sys.executable, str(VALIDATE), str(folder), profile, "RECOMMENDED"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["checks"] > 100
    return [issue for issue in said["issues"] if issue.split(": ")[:2][1] not in LEFT_TO_OTHERS]


def ids(value: Any) -> list[str]:
    """Return what a property refers to."""
    return [each["@id"] for each in (value if isinstance(value, list) else [value])]


def test_the_crate_of_a_workflow_is_one(ran: Any, tmp_path: Path) -> None:  # noqa: F811
    found = unpack(ran(CHAIN, {"word": "hello"}), tmp_path)
    assert problems(tmp_path, OF_STEPS) == []
    assert ROCrate(tmp_path).mainEntity.id == "packed.cwl"
    run, say, number = found["#run"], found["#run/say"], found["#run/number"]
    assert [found[ids(each["agent"])[0]]["name"] for each in (run, say, number)] == ["test"] * 3
    assert run["startTime"] <= say["startTime"] <= say["endTime"] <= number["endTime"] <= run["endTime"]
    assert [found[f"#step/{name}"]["position"] for name in ("say", "number")] == ["1", "2"]
    assert say["description"].endswith("The command: echo hello")
    assert ids(say["object"]) == ids(run["object"]) == ["#input/word"]
    assert ids(number["result"]) == ids(run["result"]) == ["outputs/lines.txt"]
    assert (tmp_path / "outputs/lines.txt").read_text(encoding="utf-8").split() == ["1", "hello"]
    assert json.loads((tmp_path / "job.json").read_text(encoding="utf-8")) == {"word": "hello"}


def test_the_document_of_a_crate_runs(ran: Any, tmp_path: Path) -> None:  # noqa: F811
    unpack(ran(CHAIN, {"word": "hello"}), tmp_path)
    command = [sys.executable, "-m", "cwltool", "--quiet", "--outdir", tmp_path / "again", "packed.cwl", "job.json"]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=600, capture_output=True)
    assert (tmp_path / "again/lines.txt").read_bytes() == (tmp_path / "outputs/lines.txt").read_bytes()


def test_scattered_jobs_are_told_as_one_step(ran: Any, tmp_path: Path) -> None:  # noqa: F811
    found = unpack(ran(SCATTER, {"words": list("abcdef")}), tmp_path)
    assert problems(tmp_path, OF_STEPS) == []
    assert " in 6 jobs " in found["#run/say"]["description"]
    (said,) = ids(found["#run"]["result"])
    assert found[said]["@type"] == "Collection"
    assert len(ids(found[said]["hasPart"])) == 6


def test_a_tool_with_files_and_folders(ran: Any, site: Site, tmp_path: Path) -> None:  # noqa: F811
    (site.inputs / "in ä.txt").touch()
    job = {"file": {"class": "File", "path": str(site.inputs / "in ä.txt")}, "numbers": [1, 2]}
    run = ran(FILES_TOOL, job, relax_path_checks=True)
    found = unpack(run, tmp_path)
    assert problems(tmp_path, OF_TOOL) == []
    of_files = {"outputs/tree%20%C3%A4/", "outputs/b.bam", "outputs/b.bam.bai", "#output/both"}
    assert set(ids(found["#run"]["result"])) == of_files
    assert ids(found["#output/both"]["hasPart"]) == ["outputs/b.bam.bai"]
    assert ids(found["#run"]["object"]) == [(site.inputs / "in ä.txt").as_uri(), "#input/numbers"]
    assert (tmp_path / "outputs/tree ä/sub/a").read_text(encoding="utf-8") == "a\n"
    assert found["packed.cwl#main/numbers"]["description"] == "Some\nnumbers"
    assert not (tmp_path / "LEFT-OUT.txt").exists()
    (site.outputs / "document" / run.run_id.replace(":", "_").replace("+", "_") / "b.bam").unlink()
    (site.outputs / "document" / run.run_id.replace(":", "_").replace("+", "_") / "tree ä/link").symlink_to("/etc")
    found = unpack(run, tmp_path / "again")
    assert "outputs/b.bam" not in found
    told = (tmp_path / "again/LEFT-OUT.txt").read_text(encoding="utf-8").splitlines()
    assert told[1:] == ["outputs/b.bam: There is no output 'b.bam'.", "outputs/tree ä/link: it is a link"]
    assert problems(tmp_path / "again", OF_TOOL) == []


def test_there_is_none_of_a_run_that_failed(ran: Any) -> None:  # noqa: F811
    run = ran(failing("exit 1"), {})
    with pytest.raises(NotBundled, match="Only of a run that succeeded"):
        make_bundle(run.dag_id, run.run_id)
    with pytest.raises(FileNotFoundError):
        make_bundle(run.dag_id, "another")


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"document": None}, "its document is too large"), ({"job": 5}, "its job is too large"),
     ({"document": {}}, "cannot be told as an RO-Crate"), ({"document": {"$graph": [5]}}, "cannot be told"),
     ({"document": {"id": "#main", "inputs": 5}}, "cannot be told")],
)  # fmt: skip
def test_a_report_that_does_not_say_enough(ran: Any, changed: Any, why: str) -> None:  # noqa: F811
    run = ran(CHAIN, {"word": "hello"})
    report = outputs(run)
    report[STATISTICS] |= changed
    Path(pushed(run, "CWLJobGatherer")).write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(NotBundled, match=why):
        make_bundle(run.dag_id, run.run_id)
