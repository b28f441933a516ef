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


def run_of(folder: Path, document: dict[str, Any], **more: Any) -> CWLRun:
    """Return a run of a document, both below a folder."""
    file = folder / "document.cwl"
    file.write_text(json.dumps({"cwlVersion": "v1.2", **document}), encoding="utf-8")
    return CWLRun(str(file), RunLayout(folder / "run"), open_gate(folder), {}, **more)


def begin(folder: Path, document: dict[str, Any], job: dict[str, Any] | None = None) -> CWLRun:
    """Return a run of a document that was begun by another task."""
    begin_run(run_of(folder, document), job or {}, str(folder), code_allowed=True)
    return run_of(folder, document)
