"""What the page of a DAG says of its document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.dags.page import dag_description, dag_page, dag_tags
from cwl_airflow.documents.about import describe_document
from cwl_airflow.documents.load import load_document
from cwl_airflow.documents.plan import AboutDocument, AboutParameter, DocumentPlan, _decode_plan, _encode_plan
from cwl_airflow.documents.types import type_text
from gates import open_gate
from hypothesis import given
from hypothesis import strategies as st

ENUM = {"type": "enum", "symbols": ["fast", "slow"]}
TOOL = {
    "class": "CommandLineTool", "baseCommand": "true", "inputs": {}, "outputs": {},
    "hints": {"DockerRequirement": {"dockerPull": "example/tool"}},
}  # fmt: skip
WORKFLOW = {
    "cwlVersion": "v1.1",
    "class": "Workflow",
    "$namespaces": {"s": "https://schema.org/", "edam": "http://edamontology.org/"},
    "label": "Count  words",
    "doc": ["First line.", "See README.md"],
    "s:keywords": ["text", "count"],
    "requirements": {"SubworkflowFeatureRequirement": {}, "InlineJavascriptRequirement": {},
                     "SchemaDefRequirement": {"types": [{"name": "mode", **ENUM}]}},
    "inputs": {
        "reads": {"type": "File[]", "label": "Reads | gzip", "secondaryFiles": [".bai"], "format": "edam:f_1"},
        "threads": {"type": "int?", "doc": "How many\nat once", "default": 2},
        "mode": "#mode",
        "either": {"type": ["null", "int", ENUM]},
        "pairs": {"type": {"type": "array", "items": {"type": "array", "items": "string"}}},
        "record": {"type": {"type": "record", "fields": {"name": "string", "lanes": "int[]"}}},
        "genome": {"type": "File", "default": {"class": "File", "location": "genome.fa"}},
        "long": {"type": "string", "default": "x" * 200},
    },
    "outputs": {},
    "steps": {"inner": {"in": {}, "out": [], "run": {
        "class": "Workflow", "inputs": {}, "outputs": {}, "steps": {"step": {"run": TOOL, "in": {}, "out": []}}}}},
}  # fmt: skip


def described(folder: Path, document: dict[str, Any]) -> AboutDocument:
    """Return what a document says of itself."""
    (folder / "genome.fa").touch()
    file = folder / "document.cwl"
    file.write_text(json.dumps(document), encoding="utf-8")
    return describe_document(load_document(str(file), open_gate(folder)).process)


def test_all_that_a_document_says_is_found(tmp_path: Path) -> None:
    about = described(tmp_path, WORKFLOW)
    assert (about.kind, about.version) == ("Workflow", "v1.1")
    assert (about.label, about.doc) == ("Count  words", "First line.\nSee README.md")
    assert about.images == ("example/tool:latest",)
    assert about.keywords == ("text", "count")
    assert {each.name: type_text(each.type) for each in about.inputs} == {
        "reads": "File[]",
        "threads": "int?",
        "mode": "fast | slow",
        "either": "(int or fast | slow)?",
        "pairs": "string[][]",
        "record": "record (lanes: int[], name: string)",
        "genome": "File",
        "long": "string",
    }
    assert {each.name: each.default for each in about.inputs if each.default} == {
        "threads": 2,
        "genome": "genome.fa",
        "long": "x" * 200,
    }
    reads = next(each for each in about.inputs if each.name == "reads")
    assert (reads.label, reads.secondary, reads.formats) == (
        "Reads | gzip",
        (".bai",),
        ("http://edamontology.org/f_1",),
    )


def test_its_page_has_it(tmp_path: Path) -> None:
    about = described(tmp_path, WORKFLOW)
    assert dag_description(about) == "Count words"
    assert dag_tags(about) == {"cwl", "cwl v1.1", "text", "count"}
    page = dag_page(about, "/data/document.cwl")
    assert page.startswith("### Count words\n\nFirst line.\nSee README.md\n\n**Inputs**\n\n| Name |")
    for row in (
        "| `reads` | `File[]` | Reads \\| gzip. Format: `http://edamontology.org/f_1`. With `.bai` beside it |",
        "| `threads` | `int?` | How many at once. Default: `2` |",
        "| `mode` | `fast \\| slow` |  |",
        f'| `long` | `string` | Default: `"{"x" * 79}…` |',
    ):
        assert f"\n{row}\n" in page
    assert "There are no outputs." in page
    assert page.endswith("- `example/tool:latest`\n\nWorkflow of CWL v1.1: `/data/document.cwl`\n")
    assert dag_page(about, "https://example.org/a.cwl").endswith(": <https://example.org/a.cwl>\n")


def test_a_document_that_says_nothing_has_a_page(tmp_path: Path) -> None:
    about = described(tmp_path, {"cwlVersion": "v1.0", **TOOL})
    assert dag_description(about) is None
    assert dag_page(about, "a.cwl").startswith("The job needs no inputs.\n\nThere are no outputs.\n\n")


def test_a_type_that_is_made_of_itself_is_called_by_its_name(tmp_path: Path) -> None:
    tree = {
        "name": "#tree",
        "type": "record",
        "fields": [{"name": "kids", "type": {"type": "array", "items": "#tree"}}],
    }
    about = described(
        tmp_path,
        {"cwlVersion": "v1.2", **TOOL, "inputs": {"x": "#tree", "nothing": "null"},
         "requirements": {"SchemaDefRequirement": {"types": [tree]}}},
    )  # fmt: skip
    assert {each.name: type_text(each.type) for each in about.inputs} == {
        "x": "record (kids: tree[])",
        "nothing": "null",
    }


def test_what_no_database_takes_is_replaced(tmp_path: Path) -> None:
    about = described(tmp_path, {"cwlVersion": "v1.2", **TOOL, "label": "bad \ud800 \0label", "doc": ["\udfff"],
                                 "inputs": {"x": {"type": "string", "default": "\ud800"}}})  # fmt: skip
    assert (about.label, about.doc, about.inputs[0].default) == ("bad ? label", "?", "?")


@pytest.mark.parametrize(
    ("location", "shown"),
    [("genome.fa", "genome.fa"), ("a%20b.txt", "a b.txt"), ("http://example.org/a/", "a")],
)
def test_a_file_that_is_a_default_is_called_by_its_name(tmp_path: Path, location: str, shown: str) -> None:
    default = {"class": "File", "location": location}
    about = described(tmp_path, {"cwlVersion": "v1.2", **TOOL, "inputs": {"x": {"type": "Any", "default": default}}})
    assert about.inputs[0].default == shown


@pytest.mark.parametrize(
    ("keywords", "own", "tags"),
    [
        (["CWL", "rna", "RNA"], [], {"cwl", "rna"}),
        (["Café", "cafe\u0301", "cafe"], [], {"Café"}),
        (["straße", "STRASSE"], [], {"straße"}),
        (["\U0001f9ec", "\U0001f9ea"], [], {"\U0001f9ec"}),
        (["a\u200bb", "ab", " "], [], {"a\u200bb"}),
        (["mine"], ["Mine", "CWL v1.2"], {"cwl"}),
    ],
)
def test_tags_that_a_database_takes_for_the_same_are_one(keywords: list[str], own: list[str], tags: set[str]) -> None:
    about = AboutDocument(version="v1.2", keywords=tuple(keywords))
    assert dag_tags(about, own) - {"cwl v1.2"} | ({"cwl"} & tags) == tags | {"cwl"}


@pytest.mark.parametrize(
    ("doc", "end"), [("```\nnever", "\n```"), ("a\n~~~~ sh\nnever", "\n~~~~"), ("```\na\n```", ""), ("a", "")]
)
def test_a_block_of_code_ends_with_the_text_of_the_document(doc: str, end: str) -> None:
    assert dag_page(AboutDocument(doc=doc), "a.cwl").startswith(f"{doc}{end}\n\nThe job needs no inputs.")


def test_logins_of_urls_are_not_shown() -> None:
    page = dag_page(AboutDocument(), "https://user:SECRET@example.org:8443/x.cwl?sig=SECRET#main")
    assert page.endswith("<https://example.org:8443/x.cwl#main>\n")


@pytest.mark.parametrize(("label", "doc", "line"), [("", "One.\nTwo.", "One."), ("", "x" * 300, "x" * 200 + "…")])
def test_a_line_of_its_text_stands_for_its_label(label: str, doc: str, line: str) -> None:
    assert dag_description(AboutDocument(label=label, doc=doc)) == line


texts = st.text(max_size=20)
kinds = st.recursive(
    st.sampled_from(["int", "File", ["null", "string"], {"type": "enum", "symbols": ["a", "b"]}]),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda fields: {"type": "record", "fields": fields}, st.dictionaries(texts, inner, max_size=2))
    ),
    max_leaves=3,
)
parameters = st.builds(
    AboutParameter,
    texts,
    kinds,
    texts,
    texts,
    st.none() | texts | st.integers(),
    st.lists(texts).map(tuple),
    st.lists(texts).map(tuple),
)
abouts = st.builds(
    AboutDocument, texts, texts, texts, texts, *[st.lists(parameters, max_size=3).map(tuple)] * 2,
    *[st.lists(texts, max_size=3).map(tuple)] * 2,
)  # fmt: skip


@given(abouts)
def test_what_is_kept_is_what_was_found_and_a_table_has_a_line_for_each(about: AboutDocument) -> None:
    plan = DocumentPlan({}, (), about=about)
    assert _decode_plan(_encode_plan(plan)) == plan
    lines = [line for line in dag_page(AboutDocument(inputs=about.inputs), "a.cwl").split("\n") if line[:1] == "|"]
    assert len(lines) == (2 + len(about.inputs) if about.inputs else 0)
    assert all(re.sub(r"\\.", "", line).count("|") == 4 for line in lines)
