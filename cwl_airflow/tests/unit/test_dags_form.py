"""The form that starts a run: its fields, and the job out of it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.exceptions import ParamValidationError
from cwl_airflow.callers import KEY
from cwl_airflow.dags.form import form_fields, job_of_configuration
from cwl_airflow.dags.form_check import check_fields
from cwl_airflow.documents.plan import AboutDocument, AboutParameter

ENUM = {"type": "enum", "symbols": ["fast", "slow"]}
RECORD = {"type": "record", "fields": {"reads": "File", "name": ["null", "string"]}}


def array(items: Any) -> dict[str, Any]:
    """Return the type of an array."""
    return {"type": "array", "items": items}


INPUTS = (
    AboutParameter("reads", "File", label="Reads", doc="In *FASTQ*.", formats=("edam:1",), secondary=(".bai",)),
    AboutParameter("threads", ["null", "int"]),
    AboutParameter("name", "string", default="x"),
    AboutParameter("extra", "Any"),
)
ABOUT = AboutDocument(inputs=INPUTS)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("int", [1, -(2**31), None], ["1", 1.5, 2**31, True]),
        ("long", [2**31], [2**63]),
        ("double", [1, 1.5], ["1"]),
        ("boolean", [True, None], ["yes", 1]),
        ("string", ["", "a", None], [1]),
        ("File", ["/data/a", None], [1, {"class": "File"}]),
        (["null", "Directory"], ["/data", None], [1]),
        (ENUM, ["fast", None], ["fst", 1]),
        (array("string"), [["a"], [], None], ["a", [1]]),
        (array("int"), [[1], None], [["1"]]),
        (array("File"), [["/data/a"]], [[1]]),
        (array(array("string")), [[["a"]]], [["a"]]),
        (array(ENUM), [["fast"]], [[1]]),
        (array(RECORD), [[{"reads": "a"}]], [["a"]]),
        (array(["int", "string"]), [["a", 1]], ["a"]),
        (RECORD, [{"reads": "a"}, None], ["a"]),
        (["int", "string"], [1, "a", None, []], []),
        ("null", [None, "a"], []),
        (array("null"), [[None]], ["a"]),
        (array(["null", "File"]), [[None, "a"]], [[1]]),
        ("tree", [{"kids": []}], []),
        ("Any", [1, "a", None], []),
    ],
)
def test_a_field_takes_what_its_input_may_be(kind: Any, right: list[Any], wrong: list[Any]) -> None:
    field = form_fields(AboutDocument(inputs=(AboutParameter("value", kind),)))["value"]
    assert field.value is None
    for value in right:
        assert field.resolve(value) == value
    for value in wrong:
        with pytest.raises(ParamValidationError):
            field.resolve(value)


def test_a_field_says_what_it_asks_for() -> None:
    reads, threads = (form_fields(ABOUT)[name].schema for name in ("reads", "threads"))
    assert reads["title"] == "reads (required)"
    assert reads["description_md"] == (
        "`File`, by its path on the host\n\nReads\n\nIn *FASTQ*.\n\nFormat: `edam:1`\n\nWith `.bai` beside it"
    )
    assert (threads["title"], threads["description_md"]) == ("threads", "`int?`")


@pytest.mark.parametrize(
    ("kind", "default", "shown"),
    [
        ("int", 2, 2),
        ("int", 2.5, None),
        ("File", "a.txt", None),
        (array("File"), ["a.txt"], None),
        (ENUM, "fast", "fast"),
        (ENUM, "odd", None),
        (array("int"), [1], [1]),
        (["int", "string"], "a", "a"),
        ("Any", "123", None),
        ("string", "x" * 20_000, None),
    ],
)
def test_a_field_has_the_documents_default_where_that_fits(kind: Any, default: Any, shown: Any) -> None:
    field = form_fields(AboutDocument(inputs=(AboutParameter("value", kind, default=default),)))["value"]
    assert field.value == field.resolve() == shown


@pytest.mark.parametrize(
    ("kind", "value", "job"),
    [
        ("File", "/data/a", {"class": "File", "path": "/data/a"}),
        ("File", "https://example.org/a", {"class": "File", "location": "https://example.org/a"}),
        (["null", "Directory"], "d", {"class": "Directory", "path": "d"}),
        (array("File"), ["a", "b"], [{"class": "File", "path": "a"}, {"class": "File", "path": "b"}]),
        (RECORD, {"reads": "a", "name": "b"}, {"reads": {"class": "File", "path": "a"}, "name": "b"}),
        (RECORD, {"class": "File", "path": "a"}, {"class": "File", "path": "a"}),
        (["File", "string"], "a", "a"),
        (["int", ENUM], "fast", "fast"),
        (["int", ENUM], "2", 2),
        (["int", "boolean"], "two", "two"),
        ("Any", '{"a": 1}', {"a": 1}),
        ("Any", "a", "a"),
        ("string", "2", "2"),
        (array("Any"), ["2"], [2]),
        ("int", 2, 2),
        ("int", 2.0, 2),
        (array("int"), [1.0], [1]),
        ("double", 2.0, 2.0),
        ("Any", "[" * 100_000, "[" * 100_000),
        ("Any", "NaN", "NaN"),
        ("Any", "1e999", "1e999"),
        (["File", array("File")], '["a"]', [{"class": "File", "path": "a"}]),
        (["int", RECORD], '{"reads": "a"}', {"reads": {"class": "File", "path": "a"}}),
        (
            ["null", {"type": "record", "fields": {"a": "int"}}, {"type": "record", "fields": {"b": "string"}}],
            {"b": "123"},
            {"b": "123"},
        ),
        (
            {"type": "record", "fields": {"class": "string", "reads": "File"}},
            {"class": "x", "reads": "a"},
            {"class": "x", "reads": {"class": "File", "path": "a"}},
        ),
        (["File", "Directory"], "/", {"class": "Directory", "path": "/"}),
        (["File", "Directory"], "a/", {"class": "Directory", "path": "a/"}),
        (["File", "Directory"], "a", {"class": "File", "path": "a"}),
        (["Directory", "Any"], "x", "x"),
        (array("File"), ["", "a", " "], [{"class": "File", "path": "a"}]),
        (array("string"), [""], [""]),
        ({"type": "record", "fields": {"index": ["null", "File"]}}, {"index": ""}, {}),
        ("File", " a ", {"class": "File", "path": "a"}),
    ],
)
def test_what_was_filled_in_becomes_a_job(kind: Any, value: Any, job: Any) -> None:
    assert job_of_configuration({"value": value}, [AboutParameter("value", kind)]) == {"value": job}


@pytest.mark.parametrize("job", [{}, {"a": 1}, "/a/job.yml"])
def test_a_job_may_be_given_as_it_is(job: Any) -> None:
    # A form has its fields beside it, as they were at first.
    fields = {"reads": None, "threads": None, "name": "x", "extra": ""}
    for conf in ({"job": job}, {"job": job, "other": 1}, {"job": job, **fields}, {"job": job, KEY: {"name": "a"}}):
        assert job_of_configuration(conf, INPUTS) == job


def test_what_was_left_empty_is_not_in_the_job() -> None:
    conf = {"reads": "a", "threads": None, "name": "x", KEY: {"name": "somebody"}}
    assert job_of_configuration(conf, INPUTS) == {"reads": {"class": "File", "path": "a"}}
    assert job_of_configuration({"reads": "  "}, [AboutParameter("reads", ["null", "File"])]) == {}
    # The page sends what its fields show at first, in which files are names.
    default = AboutParameter("any", "Any", default="a.txt")
    assert job_of_configuration({"any": "a.txt"}, [default]) == {}
    assert job_of_configuration({"name": ""}, INPUTS) == {"name": ""}  # a text may be empty
    assert job_of_configuration({}, [INPUTS[1]]) == job_of_configuration(None, []) == {}


@pytest.mark.parametrize(
    ("conf", "message"),
    [(None, ""), ({}, ""), ({"jobs": {}}, " Did you mean 'job'?"), ({"raeds": "a"}, " Did you mean 'reads'?")],
)
@pytest.mark.parametrize("noted", [{}, {KEY: {"name": "somebody"}}])
def test_a_run_without_a_job(conf: Any, message: str, noted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        job_of_configuration({**(conf or {}), **noted} or None, INPUTS)
    it_must = 'It must be {"job": {…}} with the inputs: extra, name, reads, threads.'
    assert str(error.value) == f"The run's configuration has no 'job'.{message} {it_must}"


def test_a_job_and_a_form_are_not_mixed() -> None:
    with pytest.raises(ValueError, match=r"^The run's configuration has a 'job', and beside it 'threads': put it into"):
        job_of_configuration({"job": {}, "reads": None, "threads": 2}, INPUTS)


def test_an_input_that_is_called_job_has_no_field() -> None:
    about = AboutDocument(inputs=(AboutParameter("job", "string"), *INPUTS))
    assert set(form_fields(about)) == {each.name for each in INPUTS}


def test_what_must_be_filled_in_comes_first() -> None:
    assert list(form_fields(AboutDocument(inputs=(*INPUTS[1:], INPUTS[0])))) == ["extra", "reads", "threads", "name"]


def test_a_job_may_have_an_input_that_is_called_job() -> None:
    about = AboutDocument(inputs=(AboutParameter("job", "string"), *INPUTS))
    assert job_of_configuration({"job": {"job": "a"}}, about.inputs) == {"job": "a"}


@pytest.mark.parametrize("value", [None, ""])
def test_a_form_in_which_an_input_is_missing_is_refused(value: Any) -> None:
    fields = {name: field.schema for name, field in form_fields(ABOUT).items()}
    with pytest.raises(ValueError, match=r"^Input 'reads' is missing\.$"):
        check_fields({"reads": value, "threads": 1}, fields)
    assert check_fields({"reads": "a", "extra": 1}, fields) == {"reads": {"class": "File", "path": "a"}, "extra": 1}
    assert check_fields({"other": 1}, {"other": {}}) is None
    with pytest.raises(ValueError, match="Did you mean 'job'"):
        check_fields({"jobs": {}}, fields)


def test_a_dag_may_have_fields_of_its_own() -> None:
    own = {"email": {}}
    fields = {name: field.schema for name, field in form_fields(ABOUT).items()}
    conf = {"reads": "a", "extra": 1, "email": "y"}
    assert check_fields(conf, {**fields, **own})
    assert job_of_configuration(conf, INPUTS, own) == {"reads": {"class": "File", "path": "a"}, "extra": 1}
    with pytest.raises(ValueError, match="has no 'job'"):
        job_of_configuration(conf, INPUTS)
