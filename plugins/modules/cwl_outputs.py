#!/usr/bin/python
"""Ansible module: compare a workflow's outputs with the expected ones."""

from __future__ import annotations

import gzip
import json
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: cwl_outputs
short_description: Compare a workflow's outputs with the expected ones
description:
  - Compares CWL output objects. Files are compared byte for byte with those of the same name in the folder of the
    expected outputs; BAM files record by record, because their headers carry command lines; their indices by what they
    count, because offsets depend on the header.
options:
  report:
    description: The output object of the run, a JSON file on the host.
    type: path
    required: true
  expected:
    description: Folder on the host with C(outputs.json) and the files that it names.
    type: path
    required: true
author: [cwl-airflow-production contributors]
"""

EXAMPLES = """
- cwl_outputs:
    report: /var/lib/airflow/cwl/outputs/two-step/run/workflow_report.json
    expected: /var/lib/airflow/dags/two-step/expected
"""

RETURN = """
outputs:
  description: The outputs, one line each.
  type: list
  elements: str
  returned: always
"""


def bam_records(path: str) -> tuple[bytes, bytes]:
    """Split a BAM file into its references and its records, leaving out the text header.

    Source: https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.2
    """
    with gzip.open(path) as stream:  # BGZF is gzip in many members
        data = stream.read()
    if data[:4] != b"BAM\1":
        raise ValueError(f"{path} is not a BAM file")
    at = 8 + struct.unpack_from("<i", data, 4)[0]
    start = at
    (references,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(references):
        at += 8 + struct.unpack_from("<i", data, at)[0]
    return data[start:at], data[at:]


def bai_counts(path: str) -> list[tuple[list[int], int]]:
    """Return, per reference, the bins of a BAM index and the length of its linear index.

    Source: https://samtools.github.io/hts-specs/SAMv1.pdf, section 5.2
    """
    with open(path, "rb") as stream:
        data = stream.read()
    if data[:4] != b"BAI\1":
        raise ValueError(f"{path} is not a BAM index")
    (references,) = struct.unpack_from("<i", data, 4)
    at = 8
    counts = []
    for _ in range(references):
        (bins,) = struct.unpack_from("<i", data, at)
        at += 4
        numbers = []
        for _ in range(bins):
            number, chunks = struct.unpack_from("<Ii", data, at)
            at += 8 + 16 * chunks
            numbers.append(number)
        (intervals,) = struct.unpack_from("<i", data, at)
        at += 4 + 8 * intervals
        counts.append((sorted(numbers), intervals))
    return counts


def file_bytes(path: str) -> bytes:
    """Return the content of a file."""
    with open(path, "rb") as stream:
        return stream.read()


READERS = {".bam": bam_records, ".bai": bai_counts}


def local_path(entry: dict[str, Any]) -> str:
    """Return the path of a CWL File or Directory object."""
    if "path" in entry:
        return str(entry["path"])
    return unquote(urlsplit(str(entry.get("location", ""))).path)


def differences(found: Any, expected: Any, folder: str, name: str) -> Iterator[str]:
    """Compare a value of an output object with the expected one.

    :param found: the run's value.
    :param expected: the expected value; of File objects only ``basename`` and ``secondaryFiles`` count.
    :param folder: where the expected files are.
    :param name: how the value is called in messages.
    :returns: one message per difference.
    """
    if isinstance(expected, dict) and expected.get("class") == "File":
        if not isinstance(found, dict) or found.get("class") != "File":
            yield f"{name} is {found!r}, expected a File"
            return
        path = local_path(found)
        basename = expected["basename"]
        if os.path.basename(path) != basename:
            yield f"{name} is called {os.path.basename(path)}, expected {basename}"
        read = READERS.get(os.path.splitext(basename)[1], file_bytes)
        try:
            if read(path) != read(os.path.join(folder, basename)):
                yield f"{name}: {path} differs from {os.path.join(folder, basename)}"
        except (OSError, ValueError, EOFError, struct.error, zlib.error) as error:
            yield f"{name}: {error}"
        wanted = expected.get("secondaryFiles", [])
        yield from differences(found.get("secondaryFiles", []), wanted, folder, f"{name}.secondaryFiles")
    elif isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in expected or key not in found:
                yield f"{name}.{key} is {'missing' if key in expected else 'not expected'}"
            else:
                yield from differences(found[key], expected[key], folder, f"{name}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            yield f"{name} has {len(found)} elements, expected {len(expected)}"
        for index, pair in enumerate(zip(found, expected, strict=False)):
            yield from differences(*pair, folder, f"{name}[{index}]")
    elif found != expected:
        yield f"{name} is {found!r}, expected {expected!r}"


def describe(value: Any) -> str:
    """Say in a line what an output is."""
    if isinstance(value, dict) and value.get("class") in ("File", "Directory"):
        return local_path(value)
    if isinstance(value, list):
        return ", ".join(map(describe, value))
    return json.dumps(value)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"report": {"type": "path", "required": True}, "expected": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    try:
        with open(module.params["report"], encoding="utf-8") as stream:
            found = json.load(stream)
        with open(os.path.join(module.params["expected"], "outputs.json"), encoding="utf-8") as stream:
            expected = json.load(stream)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"The outputs cannot be compared: {error}", outputs=[])
    found.pop("cwl-airflow:statistics", None)  # the engine's own, no output
    outputs = [f"{name}: {describe(found.get(name))}" for name in sorted(expected)]
    problems = [
        problem
        for name in sorted(expected)
        for problem in differences(found.get(name), expected[name], module.params["expected"], name)
    ]
    problems += [f"{name} is not expected" for name in sorted(found.keys() - expected.keys())]
    if problems:
        module.fail_json(msg="The outputs are not the expected ones: " + "; ".join(problems), outputs=outputs)
    module.exit_json(changed=False, outputs=outputs)


if __name__ == "__main__":
    main()
