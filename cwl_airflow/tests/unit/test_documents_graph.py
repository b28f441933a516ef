"""The picture of a document, as Graphviz reads it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from cwl_airflow.documents.graph import LONGEST_NAME, draw_document, quote
from cwl_airflow.documents.load import load_document
from gates import PROJECT, open_gate
from hypothesis import given, settings
from hypothesis import strategies as st


def read(graph: str) -> dict[str, Any]:
    """Return what Graphviz reads."""
    done = subprocess.run(["dot", "-Tdot_json"], input=graph.encode(), check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def drawn(tmp_path: Any, document: dict[str, Any]) -> dict[str, Any]:
    file = tmp_path / "document.cwl"
    file.write_text(json.dumps({"cwlVersion": "v1.2", **document}), encoding="utf-8")
    return read(draw_document(load_document(str(file), open_gate(tmp_path), {}).process))


def edges(found: dict[str, Any]) -> set[tuple[str, str]]:
    names = [node["tooltip"] for node in found["objects"]]
    return {(names[edge["tail"]], names[edge["head"]]) for edge in found.get("edges", [])}


TOOL = {"class": "CommandLineTool", "inputs": {"in": "string[]"}, "outputs": {"out": "string[]"}, "baseCommand": "a"}


def into(source: str) -> dict[str, Any]:
    return {"in": {"in": source}, "out": []}


def test_a_workflow_is_drawn_with_what_goes_where(tmp_path: Any) -> None:
    step = {"run": TOOL, "in": {"in": "text"}, "out": ["out"]}
    nested = {"class": "Workflow", "inputs": {"in": "string[]"}, "outputs": {}, "steps": {}}
    found = drawn(
        tmp_path,
        {
            "class": "Workflow",
            "requirements": {"ScatterFeatureRequirement": {}, "SubworkflowFeatureRequirement": {},
                             "MultipleInputFeatureRequirement": {}},
            "inputs": {"text": "string[]", "unused": "int?"},
            "outputs": {
                "all": {"type": "string[]", "outputSource": ["one/out", "text"], "linkMerge": "merge_flattened"}
            },
            "steps": {
                "one": step,
                "many": {"run": {**TOOL, "inputs": {"in": "string"}}, "scatter": "in", **into("one/out")},
                "inner": {"run": nested, **into("one/out")},
            },
        },
    )  # fmt: skip
    assert edges(found) == {("text", "one"), ("one", "many"), ("one", "inner"), ("one", "all"), ("text", "all")}
    looks = {node["tooltip"]: node for node in found["objects"]}
    assert {name for name, node in looks.items() if node.get("shape") == "ellipse"} == {"text", "unused", "all"}
    assert {name for name, node in looks.items() if "dashed" in node.get("style", "")} == {"many"}
    assert {name for name, node in looks.items() if node.get("peripheries") == "2"} == {"inner"}


def test_what_has_the_same_name_is_drawn_apart(tmp_path: Any) -> None:
    found = drawn(tmp_path, {**TOOL, "id": "mine", "inputs": {"bam": "File"}, "outputs": {"bam": "File", "in": "File"}})
    assert sorted(node["tooltip"] for node in found["objects"]) == ["bam", "bam", "in", "mine"]
    assert edges(found) == {("bam", "mine"), ("mine", "bam"), ("mine", "in")}
    step = {"run": TOOL, "in": {"in": "one"}, "out": ["out"]}
    outputs = {"one": {"type": "string[]", "outputSource": "one/out"}}
    found = drawn(
        tmp_path, {"class": "Workflow", "inputs": {"one": "string[]"}, "outputs": outputs, "steps": {"one": step}}
    )
    assert len(found["objects"]) == 3
    assert len(found["edges"]) == 2
    assert all(edge["tail"] != edge["head"] for edge in found["edges"])


def test_signs_that_no_picture_takes_are_left_out() -> None:
    assert quote("a\x01b\0c\ud800") == '"abc?"'


def test_a_tool_is_drawn_between_inputs_and_outputs(tmp_path: Any) -> None:
    assert edges(drawn(tmp_path, {**TOOL, "id": "mine"})) == {("in", "mine"), ("mine", "out")}


def test_long_names_are_cut_where_they_are_drawn(tmp_path: Any) -> None:
    name = "n" * 300
    node = drawn(tmp_path, {**TOOL, "inputs": {name: "string"}})["objects"][0]
    assert (node["label"], node["tooltip"]) == (f"{name[:LONGEST_NAME]}…", name)


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
@settings(max_examples=20)
def test_graphviz_reads_any_text_as_it_is(text: str) -> None:
    (node,) = read(f"digraph {{ n0 [label={quote('x')}, tooltip={quote(text)}]; }}")["objects"]
    # What begins an entity of HTML, Graphviz leaves to the browser.
    assert node["tooltip"].replace("\\\\", "\\") == text


@pytest.mark.parametrize("document", sorted(PROJECT.glob("files/workflows/*/*.cwl")), ids=lambda path: path.stem)
def test_the_examples_are_drawn(document: Any) -> None:
    process = load_document(str(document), open_gate(document.parent), {}).process
    assert subprocess.run(["dot", "-Tsvg"], input=draw_document(process).encode(), check=True, capture_output=True)
