"""What a crate says of types and container images."""

from __future__ import annotations

from typing import Any

import pytest
from cwl_airflow.pages.crate import RunRecord, TaskRecord, Times, describe_crate, image_parts, parameter_type

TOOL = {"class": "CommandLineTool", "id": "#main", "inputs": [{"id": "#main/a", "type": "Any"}], "outputs": []}
TIMES = Times("2026-01-01T00:00:00+00:00", None)


def entities(took: dict[str, Any], job: Any = None, document: Any = None) -> dict[str, Any]:
    """Return what a crate of a run of a tool has, by its ids."""
    tasks = {"tool": TaskRecord(TIMES, took, "default", "host")}
    run = RunRecord("dag", "run", TIMES, "", document or TOOL, job or {}, {}, tasks, {"cwl-airflow": "2"})
    return {each["@id"]: each for each in describe_crate(run, lambda _: "")["@graph"]}


@pytest.mark.parametrize(
    ("name", "parts"),
    [("debian", ("docker.io", "debian", "latest")), ("debian:13", ("docker.io", "debian", "13")),
     ("a/b:1", ("docker.io", "a/b", "1")), ("quay.io/a/b:1", ("quay.io", "a/b", "1")),
     ("localhost:5000/b", ("localhost:5000", "b", "latest")), ("localhost/b", ("localhost", "b", "latest")),
     ("quay.io/a/b@sha256:1", ("quay.io", "a/b", "latest"))],
)  # fmt: skip
def test_images_are_named_by_their_parts(name: str, parts: tuple[str, str, str]) -> None:
    assert image_parts(name) == parts


@pytest.mark.parametrize(
    ("kind", "told"),
    [("File", (["File"], False, True)), (["null", "int"], (["Integer"], False, False)),
     ({"type": "array", "items": "Directory"}, (["Dataset"], True, True)),
     (["null", {"type": "array", "items": ["string", "File"]}], (["Text", "File"], True, False)),
     ({"type": "enum", "symbols": ["a"]}, (["Text"], False, True)), ("Any", (["DataType"], False, True)),
     ("#main/own", (["PropertyValue"], False, True)), ("null", (["DataType"], False, False))],
)  # fmt: skip
def test_types_are_told_in_other_words(kind: Any, told: Any) -> None:
    assert parameter_type(kind) == told


def test_an_image_has_its_digest_and_a_job_what_it_took() -> None:
    found = entities({"images": {"quay.io/a/b:1": "quay.io/a/b@sha256:abc"}, "memory": 7, "disk": 9})
    image = found[found["#run"]["containerImage"]["@id"]]
    assert (image["registry"], image["name"], image["tag"], image["sha256"]) == ("quay.io", "a/b", "1", "abc")
    usage = [found[each["@id"]] for each in found["#run"]["resourceUsage"]]
    told = [(each["propertyID"], each["value"]) for each in usage]
    assert told == [("cwl-airflow:memory", "7"), ("cwl-airflow:disk", "9")]
    assert "agent" not in found["#run"]


@pytest.mark.parametrize(
    ("value", "told"),
    [("a", "a"), ("", '""'), (0, "0"), (False, "false"), ({"b": 1}, '{"b": 1}'), ([], "[]"),
     ({"class": "File", "contents": "x"}, '{"class": "File", "contents": "x"}')],
)  # fmt: skip
def test_values_are_told_as_text(value: Any, told: str) -> None:
    assert entities({}, {"a": value})["#input/a"]["value"] == told


def test_a_default_is_an_input() -> None:
    inputs = [{"id": "#main/a", "type": "int", "default": 5}, {"id": "#main/b", "type": "int"}]
    found = entities({}, {}, {**TOOL, "inputs": inputs})
    assert found["#input/a"]["value"] == "5"
    assert "packed.cwl#main/b" not in found


def test_files_of_the_network_are_named_by_their_addresses() -> None:
    found = entities({}, {"a": {"class": "File", "location": "https://example.org/a"}})
    assert found["#run"]["object"] == {"@id": "https://example.org/a"}
