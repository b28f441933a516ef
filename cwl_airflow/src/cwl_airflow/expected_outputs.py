"""Compare what an example workflow gave with what it must give, as CWL's own conformance tests do.

Source: https://github.com/common-workflow-language/cwltest
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cwltest.compare import CompareFail, compare

from .configuration import read_option
from .example_runs import EXPECTED, dags_folder
from .gate.objects import FILES, local_path
from .runs.layout import run_folders
from .shell.run import read_outputs

#: How much of a difference is shown, in characters, and how many differences.
SHOWN_CHARACTERS, SHOWN_DIFFERENCES = 300, 9


class OutputsDiffer(Exception):
    """Outputs are not the expected ones; the message says which, in ten lines at most."""


def compare_examples(names: Collection[str], run_id: str) -> dict[str, list[str]]:
    """Compare the outputs of runs of examples with the expected ones.

    :param run_id: name of the runs.
    :returns: the outputs of each example, one line each.
    :raises OutputsDiffer: some are not the expected ones, or cannot be read.
    """
    lines, problems = {}, []
    for name in names:
        try:
            found, expected = _read(name, run_id)
        except (OSError, ValueError) as error:
            problems.append(f"{name} cannot be compared: {error}")
            continue
        lines[name] = [f"{output}: {describe(value)}" for output, value in sorted(found.items())]
        problems += [f"{name}/{problem}" for problem in differences(found, expected)]
    if problems:
        head = f"The outputs of run {run_id} are not the expected ones:"
        raise OutputsDiffer("\n".join([head, *problems[:SHOWN_DIFFERENCES]]))
    return lines


def _read(name: str, run_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the outputs of a run of an example, and those that it must have."""
    tmp, outputs = (Path(read_option("cwl", option)) for option in ("tmp_folder", "outputs_folder"))
    expected = json.loads((dags_folder() / name / EXPECTED).read_text(encoding="utf-8"))
    return read_outputs(run_folders(tmp, outputs, name, run_id, {})[1], None), expected


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return what is not as it must be, one line for each output."""
    names = sorted({*found, *expected})
    return [problem for name in names if (problem := _difference(name, found.get(name), expected.get(name)))]


def _difference(name: str, found: Any, expected: Any) -> str | None:
    try:
        compare(expected, found)
    except CompareFail as error:
        # Both values come first, at each level of lists and records, and the reason last.
        reason = " ".join(str(error).rpartition("caused by: ")[2].split())
        return f"{name}: {reason[:SHOWN_CHARACTERS]}"
    return None


def describe(value: Any) -> str:
    """Say in a line what an output is: the path of a file or folder, anything else as JSON."""
    if isinstance(value, dict) and value.get("class") in FILES:
        return local_path(value) or json.dumps(value)
    if isinstance(value, list):
        return ", ".join(map(describe, value))
    return json.dumps(value)
