"""When outputs count as the expected ones."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cwl_outputs
import pytest
from cwl_outputs import bai_counts, bam_records, describe, differences, local_path
from hypothesis import given
from hypothesis import strategies as st

EXPECTED = Path(__file__).parents[2] / "files/workflows/coverage/expected"
# A path's parts: any text that a file name may have.
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)

Run = Callable[[str, bytes], dict[str, Any]]


def bam(text: bytes = b"@HD\n", reference: bytes = b"chr1\0", length: int = 100, *records: bytes) -> bytes:
    """Return a BAM file: magic, header text, one reference, records."""
    head = b"BAM\1" + struct.pack("<i", len(text)) + text
    references = struct.pack("<ii", 1, len(reference)) + reference + struct.pack("<i", length)
    body = b"".join(struct.pack("<i", len(record)) + record for record in records)
    return gzip.compress(head + references) + gzip.compress(body)  # members, as in BGZF


def bai(bins: dict[int, int], intervals: int, offset: int = 0) -> bytes:
    """Return a BAM index of one reference: bins with a number of chunks each, and a linear index."""
    content = b"BAI\1" + struct.pack("<ii", 1, len(bins))
    for number, chunks in bins.items():
        content += struct.pack("<Ii", number, chunks) + chunks * struct.pack("<QQ", offset, offset + 1)
    return content + struct.pack("<i", intervals) + intervals * struct.pack("<Q", offset)


@pytest.fixture
def expected(tmp_path: Path) -> Path:
    """Return the folder of the expected files."""
    folder = tmp_path / "expected"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that makes an output file and gives its File object."""

    def make(name: str, content: bytes) -> dict[str, Any]:
        path = tmp_path / "run of 50%" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return {"class": "File", "location": path.as_uri(), "basename": name, "size": len(content)}

    return make


def file(name: str, *secondary: str) -> dict[str, Any]:
    """Return an expected File object."""
    wanted: dict[str, Any] = {"class": "File", "basename": name}
    return wanted | ({"secondaryFiles": [file(other) for other in secondary]} if secondary else {})


def compare(found: Any, wanted: Any, folder: Path) -> list[str]:
    """Return the differences as a list."""
    return list(differences(found, wanted, str(folder), "out"))


def test_equal_files_do_not_differ(expected: Path, run: Run) -> None:
    (expected / "a.txt").write_bytes(b"same\0\xff")
    assert compare(run("a.txt", b"same\0\xff"), file("a.txt"), expected) == []


def test_other_content_differs(expected: Path, run: Run) -> None:
    (expected / "a.txt").write_bytes(b"one")
    found = run("a.txt", b"two")
    assert compare(found, file("a.txt"), expected) == [f"out: {local_path(found)} differs from {expected / 'a.txt'}"]


def test_another_name_differs(expected: Path, run: Run) -> None:
    (expected / "a.txt").write_bytes(b"same")
    assert compare(run("b.txt", b"same"), file("a.txt"), expected) == ["out is called b.txt, expected a.txt"]


def test_a_file_that_is_gone_is_named(expected: Path, run: Run) -> None:
    (expected / "a.txt").write_bytes(b"same")
    found = run("a.txt", b"same")
    Path(local_path(found)).unlink()
    (problem,) = compare(found, file("a.txt"), expected)
    assert problem.startswith("out: ") and local_path(found) in problem


@pytest.mark.parametrize("found", [None, "a.txt", 1, [], {}, {"class": "Directory", "location": "file:///a.txt"}])
def test_what_is_no_file_differs(expected: Path, found: Any) -> None:
    assert compare(found, file("a.txt"), expected) == [f"out is {found!r}, expected a File"]


def test_a_file_where_none_is_expected_differs(expected: Path, run: Run) -> None:
    (problem,) = compare(run("a.txt", b""), None, expected)
    assert problem.endswith("expected None")


def test_secondary_files_are_compared(expected: Path, run: Run) -> None:
    for name in ("a.fa", "a.fa.fai", "a.dict"):
        (expected / name).write_bytes(name.encode())
    found = run("a.fa", b"a.fa") | {"secondaryFiles": [run("a.fa.fai", b"a.fa.fai"), run("a.dict", b"other")]}
    (problem,) = compare(found, file("a.fa", "a.fa.fai", "a.dict"), expected)
    assert problem.startswith("out.secondaryFiles[1]: ")


def test_a_missing_secondary_file_differs(expected: Path, run: Run) -> None:
    (expected / "a.fa").write_bytes(b"")
    problems = compare(run("a.fa", b""), file("a.fa", "a.fa.fai"), expected)
    assert problems == ["out.secondaryFiles has 0 elements, expected 1"]


def test_an_additional_secondary_file_differs(expected: Path, run: Run) -> None:
    (expected / "a.fa").write_bytes(b"")
    found = run("a.fa", b"") | {"secondaryFiles": [run("a.fa.fai", b"")]}
    assert compare(found, file("a.fa"), expected) == ["out.secondaryFiles has 1 elements, expected 0"]


def test_reaches_arrays_of_records(expected: Path, run: Run) -> None:
    for name in ("a.txt", "b.txt"):
        (expected / name).write_bytes(name.encode())
    wanted = [{"name": "a", "files": [file("a.txt")]}, {"name": "b", "files": [file("b.txt")]}]
    found: list[dict[str, Any]] = [
        {"name": "a", "files": [run("a.txt", b"a.txt")]},
        {"name": "c", "files": [run("b.txt", b"changed")]},
    ]
    assert compare(found, wanted, expected) == [
        f"out[1].files[0]: {local_path(found[1]['files'][0])} differs from {expected / 'b.txt'}",
        "out[1].name is 'c', expected 'b'",
    ]


def test_keys_of_records_must_agree(expected: Path) -> None:
    assert compare({"a": 1, "c": 3}, {"a": 1, "b": 2}, expected) == ["out.b is missing", "out.c is not expected"]


@pytest.mark.parametrize(("found", "wanted"), [([1], [1, 2]), ([1, 2], [1])])
def test_lengths_of_arrays_must_agree(expected: Path, found: list[int], wanted: list[int]) -> None:
    assert compare(found, wanted, expected) == [f"out has {len(found)} elements, expected {len(wanted)}"]


@given(JSON)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert compare(value, value, Path("/nowhere")) == []


@given(JSON, JSON)
def test_values_differ_when_they_are_unequal(found: Any, wanted: Any) -> None:
    assert bool(compare(found, wanted, Path("/nowhere"))) == (found != wanted)


def test_a_bam_file_with_another_header_is_equal(expected: Path, run: Run) -> None:
    (expected / "a.bam").write_bytes(bam(b"@PG\tCL:sort in /tmp/1\n", b"chr1\0", 100, b"record"))
    assert compare(run("a.bam", bam(b"@PG\tCL:sort\n", b"chr1\0", 100, b"record")), file("a.bam"), expected) == []


@pytest.mark.parametrize(
    "other",
    [
        bam(b"@HD\n", b"chr1\0", 100, b"record", b"another"),
        bam(b"@HD\n", b"chr1\0", 100, b"Record"),
        bam(b"@HD\n", b"chr1\0", 100),
        bam(b"@HD\n", b"chr2\0", 100, b"record"),
        bam(b"@HD\n", b"chr1\0", 101, b"record"),
    ],
)
def test_a_bam_file_with_other_records_or_references_differs(expected: Path, run: Run, other: bytes) -> None:
    (expected / "a.bam").write_bytes(bam(b"@HD\n", b"chr1\0", 100, b"record"))
    assert len(compare(run("a.bam", other), file("a.bam"), expected)) == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no gzip",
        gzip.compress(b"no BAM"),
        gzip.compress(b"BAM\1"),
        bam()[:-12],
        bam()[:10] + b"\xff" * 20 + bam()[30:],
        gzip.compress(b"BAM\1" + struct.pack("<i", 1000)),
    ],
    ids=["empty", "no gzip", "no BAM", "magic only", "truncated", "damaged", "header too long"],
)
def test_a_broken_bam_file_is_a_difference(expected: Path, run: Run, broken: bytes) -> None:
    (expected / "a.bam").write_bytes(bam())
    (problem,) = compare(run("a.bam", broken), file("a.bam"), expected)
    assert problem.startswith("out")


def test_splits_references_from_records(tmp_path: Path) -> None:
    path = tmp_path / "a.bam"
    path.write_bytes(bam(b"@HD\n", b"chr1\0", 100, b"record"))
    references, records = bam_records(str(path))
    assert references == struct.pack("<ii", 1, 5) + b"chr1\0" + struct.pack("<i", 100)
    assert records == struct.pack("<i", 6) + b"record"


def test_reads_the_bam_file_of_the_example() -> None:
    references, records = bam_records(str(EXPECTED / "sorted.bam"))
    assert struct.unpack_from("<i", references)[0] >= 1
    at = count = 0
    while at < len(records):  # whole records, to the last byte
        at += 4 + struct.unpack_from("<i", records, at)[0]
        count += 1
    assert at == len(records) and count > 0


def test_the_bam_file_of_the_example_equals_a_copy_with_another_header(tmp_path: Path) -> None:
    with gzip.open(EXPECTED / "sorted.bam") as stream:
        data = stream.read()
    (length,) = struct.unpack_from("<i", data, 4)
    text = data[8 : 8 + length] + b"@CO\tanother comment\n"
    copy = tmp_path / "sorted.bam"
    copy.write_bytes(gzip.compress(b"BAM\1" + struct.pack("<i", len(text)) + text + data[8 + length :]))
    found = {"class": "File", "path": str(copy)}
    assert compare(found, file("sorted.bam"), EXPECTED) == []
    copy.write_bytes(gzip.compress(data[:-1] + bytes([data[-1] ^ 1])))
    assert len(compare(found, file("sorted.bam"), EXPECTED)) == 1


def test_an_index_with_other_offsets_is_equal(expected: Path, run: Run) -> None:
    (expected / "a.bam.bai").write_bytes(bai({4681: 1, 37450: 2}, 3, offset=100))
    assert compare(run("a.bam.bai", bai({37450: 2, 4681: 1}, 3, offset=7)), file("a.bam.bai"), expected) == []


@pytest.mark.parametrize("other", [bai({4681: 1}, 3), bai({4681: 1, 4682: 1}, 3), bai({4681: 1, 37450: 2}, 4)])
def test_an_index_that_counts_otherwise_differs(expected: Path, run: Run, other: bytes) -> None:
    (expected / "a.bam.bai").write_bytes(bai({4681: 1, 37450: 2}, 3))
    assert len(compare(run("a.bam.bai", other), file("a.bam.bai"), expected)) == 1


@pytest.mark.parametrize("broken", [b"", b"CSI\1", b"BAI\1", bai({1: 1}, 3)[:30]])
def test_a_broken_index_is_a_difference(expected: Path, run: Run, broken: bytes) -> None:
    (expected / "a.bam.bai").write_bytes(bai({1: 1}, 3))
    (problem,) = compare(run("a.bam.bai", broken), file("a.bam.bai"), expected)
    assert problem.startswith("out: ")


def test_counts_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.bai"
    path.write_bytes(bai({37450: 2, 4681: 1}, 3))
    assert bai_counts(str(path)) == [([4681, 37450], 3)]


def test_counts_the_index_of_the_example() -> None:
    references, _ = bam_records(str(EXPECTED / "sorted.bam"))
    counts = bai_counts(str(EXPECTED / "sorted.bam.bai"))
    assert len(counts) == struct.unpack_from("<i", references)[0]
    assert any(bins for bins, _ in counts)


@given(PATHS)
def test_a_file_url_gives_its_path(path: str) -> None:
    assert local_path({"class": "File", "location": Path(path).as_uri()}) == path


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("file:///out/50%25%20of%20it%20%231%3F.txt", "/out/50% of it #1?.txt"),
        ("file:///out/%C3%BC.txt", "/out/ü.txt"),
        ("file:///out/a+b.txt", "/out/a+b.txt"),
        ("file://localhost/out/a.txt", "/out/a.txt"),
    ],
)
def test_a_percent_encoded_url_gives_its_path(location: str, path: str) -> None:
    assert local_path({"class": "File", "location": location}) == path


def test_a_path_is_taken_as_it_is() -> None:
    assert local_path({"class": "File", "path": "/a%20b", "location": "file:///c"}) == "/a%20b"


def test_an_entry_without_place_has_an_empty_path() -> None:
    assert local_path({"class": "File", "contents": "x"}) == ""


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"class": "File", "location": "file:///o/a%20b.txt"}, "/o/a b.txt"),
        ({"class": "Directory", "path": "/o"}, "/o"),
        ([{"class": "File", "path": "/a"}, {"class": "File", "path": "/b"}], "/a, /b"),
        ([], ""),
        (None, "null"),
        (1.5, "1.5"),
        ("x", '"x"'),
        ({"n": 1}, '{"n": 1}'),
    ],
)
def test_describes_an_output_in_a_line(value: Any, line: str) -> None:
    assert describe(value) == line


def run_module(report: Path, expected: Path) -> tuple[int, dict[str, Any]]:
    """Run the module as Ansible does, in a process of its own."""
    arguments = {"ANSIBLE_MODULE_ARGS": {"report": str(report), "expected": str(expected)}}
    done = subprocess.run(
        [sys.executable, cwl_outputs.__file__], input=json.dumps(arguments), capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_module_accepts_the_expected_outputs(tmp_path: Path) -> None:
    for name in ("sorted.bam", "sorted.bam.bai", "coverage.bedgraph"):
        shutil.copy(EXPECTED / name, tmp_path)
    uri = tmp_path.as_uri()
    alignments = {"class": "File", "location": f"{uri}/sorted.bam"}
    alignments |= {"secondaryFiles": [{"class": "File", "location": f"{uri}/sorted.bam.bai"}]}  # type: ignore[dict-item]
    outputs = {"alignments": alignments, "coverage": {"class": "File", "location": f"{uri}/coverage.bedgraph"}}
    report = tmp_path / "workflow_report.json"
    report.write_text(json.dumps(outputs), encoding="utf-8")
    code, result = run_module(report, EXPECTED)
    assert code == 0
    assert not result["changed"]
    assert result["outputs"] == [f"alignments: {tmp_path}/sorted.bam", f"coverage: {tmp_path}/coverage.bedgraph"]


def test_the_module_names_every_difference(tmp_path: Path) -> None:
    report = tmp_path / "workflow_report.json"
    report.write_text(json.dumps({"coverage": {"class": "File", "location": "file:///gone.txt"}}), encoding="utf-8")
    code, result = run_module(report, EXPECTED)
    assert code == 1
    assert "alignments is None, expected a File" in result["msg"]
    assert "coverage is called gone.txt" in result["msg"]


def test_the_module_names_an_output_that_is_not_expected(tmp_path: Path) -> None:
    (tmp_path / "outputs.json").write_text('{"a": 1}', encoding="utf-8")
    report = tmp_path / "workflow_report.json"
    report.write_text('{"a": 1, "b": 2}', encoding="utf-8")
    code, result = run_module(report, tmp_path)
    assert code == 1
    assert "b is not expected" in result["msg"]


@pytest.mark.parametrize("text", [None, "", "no JSON"])
def test_the_module_names_a_report_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    report = tmp_path / "workflow_report.json"
    if text is not None:
        report.write_text(text, encoding="utf-8")
    code, result = run_module(report, EXPECTED)
    assert code == 1
    assert result["msg"].startswith("The outputs cannot be compared: ")
