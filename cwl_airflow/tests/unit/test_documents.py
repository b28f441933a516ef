"""Documents that are kept as they are after they were read and resolved."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.documents import cache
from cwl_airflow.documents import load as documents
from cwl_airflow.documents.plan import DISPATCHER, GATHERER
from cwltool.load_tool import resolve_and_validate_document
from cwltool.process import Process, shortname
from gates import GATE, PROJECT, open_gate
from schema_salad.exceptions import ValidationException

SUITE = PROJECT / "tests/conformance/documents"
WORKFLOW = """\
cwlVersion: {version}
class: Workflow
requirements: {{ScatterFeatureRequirement: {{}}}}
inputs: {{words: "string[]"}}
outputs: {{said: {{type: "File[]", outputSource: each/said}}}}
steps:
  each: {{run: tool.cwl, scatter: word, in: {{word: words}}, out: [said]}}
"""
TOOL = """\
cwlVersion: {version}
class: CommandLineTool
baseCommand: echo
inputs: {{word: {{type: string?, default: {word}, inputBinding: {{}}}}}}
outputs: {{said: stdout}}
"""


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """Return the path of a workflow that refers to a tool."""
    (tmp_path / "tool.cwl").write_text(TOOL.format(version="v1.0", word="a"), encoding="utf-8")
    (tmp_path / "workflow.cwl").write_text(WORKFLOW.format(version="v1.0"), encoding="utf-8")
    return tmp_path / "workflow.cwl"


def _load(source: Path | str, folder: Path, **more: Any) -> Process:
    return documents.load_document(str(source), **({"gate": GATE, "validate": False, "folder": folder} | more)).process


def _described(process: Process) -> str:
    # cwltool shuffles them.
    made = sorted(getattr(process, "steps", []), key=lambda step: str(step.id))
    steps = [[step.tool, _described(step.embedded_tool)] for step in made]
    parts = [process.tool, process.requirements, process.hints, process.metadata, process.inputs_record_schema, steps]
    # What has no name gets a random one.
    return re.sub(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "random", json.dumps(parts, sort_keys=True, default=str)
    )


INVALID = {"requirement-unknown.cwl"}
VALID = sorted({path.name for path in SUITE.glob("*.cwl")} - INVALID)


def source_of(name: str) -> str:
    """Return how a document of the suite is named, one of several by the one that is to run."""
    text = (SUITE / name).read_text(encoding="utf-8")
    return f"{SUITE / name}#main" if "$graph" in text else str(SUITE / name)


@pytest.mark.parametrize("name", sorted(INVALID))
def test_an_invalid_document_is_not_kept(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        with pytest.raises(ValidationException, match="requirements"):
            documents.load_document(source_of(name), GATE, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


#: The forms of CWL that something in the engine is about.
FORM = re.compile(
    r"\b(?:class|type|cwlVersion|scatterMethod|pickValue|linkMerge|loadListing)\W+\w+"
    r"|\$\w+|\b(?:when|scatter|valueFrom|secondaryFiles|format|default|streamable|run)\b"
)


def with_new_forms(names: list[str]) -> set[str]:
    """Return those documents that have a form which none before them has."""
    seen: set[str] = set()
    new = set()
    for name in names:
        forms = set(FORM.findall((SUITE / name).read_text(encoding="utf-8")))
        if forms - seen:
            new.add(name)
        seen |= forms
    return new


FIRST = with_new_forms(VALID)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FIRST else [pytest.mark.full]) for name in VALID]
)
def test_what_was_kept_is_what_is_read(tmp_path: Path, name: str) -> None:
    source = source_of(name)
    read = documents.load_document(source, GATE, validate=False).process
    _load(source, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    again = _load(source, tmp_path)
    assert _described(again) == _described(read)


def test_a_document_is_resolved_once(workflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = []

    def resolve(context: Any, document: Any, uri: str) -> Any:
        resolved.append(uri)
        return resolve_and_validate_document(context, document, uri)

    monkeypatch.setattr(documents, "resolve_and_validate_document", resolve)
    for _ in range(3):
        _load(workflow, workflow.parent / "kept")
    assert len(resolved) == 1


def test_a_document_that_was_checked_is_kept(workflow: Path) -> None:
    folder = workflow.parent / "kept"
    documents.load_document(str(workflow), GATE, folder=folder)
    (entry,) = folder.iterdir()
    before = entry.stat().st_mtime_ns
    _load(workflow, folder)
    assert [each.stat().st_mtime_ns for each in folder.iterdir()] == [before]


def test_one_that_is_to_be_checked_is_read(workflow: Path) -> None:
    workflow.write_text(WORKFLOW.format(version="v1.0") + "unknown: x\n", encoding="utf-8")
    _load(workflow, workflow.parent / "kept")
    with pytest.raises(Exception, match="unknown"):
        documents.load_document(str(workflow), GATE, folder=workflow.parent / "kept")


def test_changes_are_seen(workflow: Path) -> None:
    folder = workflow.parent / "kept"
    assert _load(workflow, folder).steps[0].embedded_tool.tool["inputs"][0]["default"] == "a"
    (workflow.parent / "tool.cwl").write_text(TOOL.format(version="v1.0", word="b"), encoding="utf-8")
    assert _load(workflow, folder).steps[0].embedded_tool.tool["inputs"][0]["default"] == "b"
    workflow.write_text(WORKFLOW.format(version="v1.2").replace("each", "every"), encoding="utf-8")
    assert [step.tool["id"].rpartition("#")[2] for step in _load(workflow, folder).steps] == ["every"]


@pytest.mark.parametrize("length", [0, 10, -1, -20])
def test_a_spoilt_entry_counts_as_missing(workflow: Path, length: int) -> None:
    folder = workflow.parent / "kept"
    first = _load(workflow, folder)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:length])
    assert _described(_load(workflow, folder)) == _described(first)
    mended = entry.stat().st_mtime_ns
    _load(workflow, folder)
    assert entry.stat().st_mtime_ns == mended


@pytest.mark.full
def test_many_processes_share_the_entries(workflow: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(pool.map(_load_some, [workflow] * 8))
        pool.close()
        pool.join()
    assert len(list((workflow.parent / "kept").iterdir())) == 1


def _load_some(workflow: Path) -> bool:
    folder = workflow.parent / "kept"
    for _ in range(5):
        for entry in folder.glob("*.kept"):
            entry.unlink(missing_ok=True)
        if len(_load(workflow, folder).steps) != 1:
            return False
    return True


def test_old_entries_are_removed(workflow: Path) -> None:
    folder = workflow.parent / "kept"
    _load(workflow, folder)
    (entry,) = folder.iterdir()
    os.utime(entry, (0, time.time() - cache.ENTRY_LIFETIME - 60))
    gone = folder / "another process was faster.kept"
    gone.symlink_to("nowhere")
    _load(workflow.parent / "tool.cwl", folder)
    assert entry not in list(folder.iterdir())
    assert len(list(folder.iterdir())) == 2


def test_what_a_document_was_read_with_is_not_used_for_another_reader(workflow: Path) -> None:
    folder = workflow.parent / "kept"
    tool = workflow.parent / "tool.cwl"
    override = {"overrideTarget": tool.as_uri(), "requirements": [{"class": "EnvVarRequirement", "envDef": []}]}
    readers: list[dict[str, Any]] = [
        {},
        {"settings": {"relax_path_checks": False}},
        {"overrides": [override]},
        {"gate": open_gate(workflow.parent)},
    ]
    made = []
    for _ in range(2):
        made += [_load(tool, folder, **reader) for reader in readers]
        assert len(list(folder.iterdir())) == len(readers)
    checks = [process.path_check_mode.name for process in made]  # type: ignore[attr-defined]
    assert checks == ["RELAXED", "STRICT", "RELAXED", "RELAXED"] * 2
    overridden = [[each["class"] for each in process.requirements] for process in made]
    assert overridden == [[], [], ["EnvVarRequirement"], []] * 2


def test_what_a_job_sets_beside_its_tool_holds_also_when_it_is_kept(workflow: Path) -> None:
    job = workflow.parent / "job.yml"
    job.write_text("cwl:tool: tool.cwl\nword: of the job\n", encoding="utf-8")
    for _ in range(3):
        (word,) = _load(job, workflow.parent / "kept").tool["inputs"]
        assert word["default"] == "of the job"


def test_a_job_that_names_its_tool_and_overrides_it_is_kept(workflow: Path) -> None:
    job, folder = workflow.parent / "job.yml", workflow.parent / "kept"
    override = "{overrideTarget: tool.cwl, requirements: {EnvVarRequirement: {envDef: {}}}}"
    job.write_text(f"cwl:tool: tool.cwl\ncwltool:overrides:\n- {override}\n", encoding="utf-8")
    before = []
    for _ in range(2):
        assert _load(job, folder).requirements
        before.append({entry: entry.stat().st_ino for entry in folder.iterdir()})
    assert before[0] == before[1]


def test_what_is_wrong_with_javascript_is_logged_when_it_is_checked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tool = tmp_path / "tool.cwl"
    tool.write_text(
        "{cwlVersion: v1.2, class: ExpressionTool, requirements: {InlineJavascriptRequirement: {}}, inputs: {}, "
        "outputs: {}, expression: '${return (;}'}\n",
        encoding="utf-8",
    )
    documents.load_document(str(tool), GATE, {"disable_js_validation": True})
    documents.load_document(str(tool), GATE, validate=False)
    assert "JSHINT" not in caplog.text
    documents.load_document(str(tool), GATE)
    assert "JSHINT" in caplog.text


PARTS = """\
cwlVersion: v1.2
class: Workflow
requirements: {MultipleInputFeatureRequirement: {}, SubworkflowFeatureRequirement: {}}
inputs: {word: string?}
outputs:
  one: {type: File, outputSource: last/said}
  two: {type: "File[]", outputSource: [inner/said, last/said], linkMerge: merge_flattened}
  three: {type: string?, outputSource: word}
steps:
  first: {run: tool.cwl, in: {word: word}, out: [said]}
  second: {run: tool.cwl, in: {}, out: [{id: said}]}
  inner: {run: inner.cwl, in: {words: {default: [a]}}, out: [said]}
  last: {run: tool.cwl, in: {word: word, a: first/said, b: {source: [second/said, inner/said]}}, out: [said]}
  after: {run: tool.cwl, in: {a: last/said}, out: []}
"""


@pytest.mark.parametrize(
    ("part", "needed"),
    [
        ("first", {"first"}),
        ("last", {"first", "second", "inner", "last"}),
        ("after", {"last", "after"}),
        (DISPATCHER, set()),
        (GATHERER, {"inner", "last"}),
        (None, None),
    ],
)
def test_a_part_of_a_workflow_needs_the_steps_that_it_has_values_from(
    workflow: Path, part: str | None, needed: set[str] | None
) -> None:
    workflow.rename(workflow.with_name("inner.cwl"))
    workflow.write_text(PARTS, encoding="utf-8")
    assert _steps_asked_for(workflow, part) == [needed]


def test_a_step_may_be_named_like_the_task_that_gathers(workflow: Path) -> None:
    text = PARTS.replace("last", GATHERER).replace("run: inner.cwl, in: {words", "run: tool.cwl, in: {word")
    workflow.write_text(text, encoding="utf-8")
    assert _steps_asked_for(workflow, GATHERER) == [{"first", "second", "inner", GATHERER}]


def test_a_tool_has_no_steps_to_choose_from(workflow: Path) -> None:
    assert _steps_asked_for(workflow.parent / "tool.cwl", "tool") == []


def _steps_asked_for(source: Path, part: str | None) -> list[set[str] | None]:
    """Return the names of the steps that were to be made, once for each workflow that was."""
    asked: list[set[str] | None] = []

    def make(document: Any, loading: Any, steps: Any) -> Process:
        asked.append(None if steps is None else {shortname(step) for step in steps})
        return documents.whole_workflow(document, loading)

    documents.load_document(str(source), GATE, validate=False, part=part, make_workflow=make)
    return asked


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("a.cwl", "{folder}/a.cwl"),
        ("{path}/a.cwl", "{folder}/a.cwl"),
        ("a.cwl#main", "{folder}/a.cwl#main"),
        ("a#b c.cwl", "{folder}/a%23b%20c.cwl"),
        ("a#b c.cwl#main", "{folder}/a%23b%20c.cwl#main"),
        ("gone.cwl#main", "{folder}/gone.cwl#main"),
        ("gone.cwl", "gone.cwl"),
        ("#main", "#main"),
        ("file:///a%20b.cwl#main", "file:///a%20b.cwl#main"),
        ("http://example.org/a.cwl#main", "http://example.org/a.cwl#main"),
        ("https://example.org/a.cwl#main", "https://example.org/a.cwl#main"),
    ],
)
def test_a_document_is_named_by_path_or_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, uri: str
) -> None:
    for name in ("a.cwl", "a#b c.cwl"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert documents.document_uri(source.format(path=tmp_path)) == uri.format(folder=tmp_path.as_uri())
