"""Runs of small documents that were begun, for tests of what comes then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cwl_airflow.runs.inputs import begin_run
from cwl_airflow.runs.layout import RunLayout
from cwl_airflow.runs.run import CWLRun
from gates import open_gate

SAY = {"class": "CommandLineTool", "baseCommand": "echo", "inputs": {"word": {"type": "string", "inputBinding": {}}},
       "stdout": "said.txt", "outputs": {"said": {"type": "File", "outputBinding": {"glob": "said.txt"}}}}  # fmt: skip


def shell(script: str, **more: Any) -> dict[str, Any]:
    """Return a tool that runs a script."""
    return {"class": "CommandLineTool", "arguments": ["sh", "-c", script], "inputs": {}, "outputs": {}, **more}


def scattered(method: str, **words: str) -> dict[str, Any]:
    """Return a workflow with a scattered step, and a job with its words."""
    names = list(words)
    tool = {
        "class": "CommandLineTool",
        "baseCommand": "echo",
        "inputs": {name: {"type": "string", "inputBinding": {}} for name in names},
        "stdout": "said.txt",
        "outputs": {"said": {"type": "string", "outputBinding": {
            "glob": "said.txt", "loadContents": True, "outputEval": "$(self[0].contents)"}}},
    }  # fmt: skip
    kind: Any = "string"
    for _ in names if method == "nested_crossproduct" else names[:1]:
        kind = {"type": "array", "items": kind}
    return {
        "class": "Workflow",
        "requirements": {"ScatterFeatureRequirement": {}, "InlineJavascriptRequirement": {}},
        "inputs": dict.fromkeys(names, "string[]"),
        "outputs": {"said": {"type": kind, "outputSource": "say/said"}},
        "steps": {"say": {"run": tool, "scatter": names, "scatterMethod": method,
                          "in": dict(zip(names, names, strict=True)), "out": ["said"]}},
    }  # fmt: skip


def run_of(folder: Path, document: dict[str, Any], **options: Any) -> CWLRun:
    """Return a run of a document, both below a folder."""
    file = folder / "document.cwl"
    file.write_text(json.dumps({"cwlVersion": "v1.2", **document}), encoding="utf-8")
    return CWLRun(str(file), RunLayout(folder / "run"), open_gate(folder), options)


def begin(folder: Path, document: dict[str, Any], job: dict[str, Any] | None = None, **options: Any) -> CWLRun:
    """Return a run of a document that was begun by another task."""
    begin_run(run_of(folder, document), job or {}, str(folder), code_allowed=True)
    return run_of(folder, document, **options)
