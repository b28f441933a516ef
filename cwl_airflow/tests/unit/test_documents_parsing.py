"""Documents that libyaml parses: what comes out is what ruamel.yaml makes, or it is left to that."""

from __future__ import annotations

import copy
import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from cwl_airflow.documents import load as documents
from cwl_airflow.documents import parsing
from cwl_airflow.documents.planning import make_plan
from cwl_airflow.javascript import lint
from gates import GATE, PROJECT
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from schema_salad.exceptions import ValidationException
from schema_salad.ref_resolver import Loader
from schema_salad.utils import yaml_no_ts

DOCUMENTS = sorted(
    path
    for folder in ("cwl_airflow/tests/conformance", "files", "tests/conformance")
    for path in (PROJECT / folder).rglob("*")
    if path.suffix in (".cwl", ".yml", ".yaml", ".json")
)
#: What YAML is made of.
PIECES = [
    "a", "b: ", "c:", "- ", "\n", "\n  ", "\n    ", "\t", " ", "{", "}", "[", "]", ",", '"x"', "'y'", "|\n  ", ">\n  ",
    "|-\n ", "#c", "# d\n", "?", "? ", ": ", ":", "-", "&a ", "*a", "!t ", "%", "@", "`", "1", "0", "0x1f", "1.5",
    "1e3", "1_0", "-0", "+1", ".5", "~", "null", "true", "yes", "2001-01-01", "<<", "=", "---\n", "...\n", "\\", "\\n",
    "é", "\u00a0", "$(x)", "${", "a#b", "a:b", "[a?b]", "{a: 1}", '"k":v', "'k':[1]", "{a,b: c}", "\r\n", "\r", "http://x",
    "1:2:3", "0o7", "07", "0b1", "1.", "\x01", "\x7f", "\x85", "\u2028", "😀", "\ufeff",
]  # fmt: skip


def _described(value: Any, lines: bool) -> Any:
    """Return a value with types, and where its parts stand unless they are empty: nobody asks where nothing is."""
    if isinstance(value, (CommentedMap, CommentedSeq)):
        parts = value.items() if isinstance(value, CommentedMap) else enumerate(value)
        data = value.lc.data or {}
        stand = [tuple(data[key])[: 2 if part is None else 4] for key, part in parts if lines and key in data]
        parts = value.items() if isinstance(value, CommentedMap) else enumerate(value)
        inside = [(key, _described(part, lines)) for key, part in parts]
        return type(value).__name__, (value.lc.line, value.lc.col) if lines else (), stand, inside
    return str(value) if isinstance(value, str) else (type(value).__name__, repr(value))


def _check_alike(text: str, lines: bool) -> None:
    """Check that a text is parsed as by ruamel.yaml, or left to it."""
    try:
        parsed = parsing.parse_documents(text)
    except (parsing.Unusual, yaml.YAMLError):
        return
    expected = list(yaml_no_ts().load_all(text))
    assert [_described(each, lines) for each in parsed] == [_described(each, lines) for each in expected]


@pytest.mark.full
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_parsed_is_what_ruamel_makes(path: Path) -> None:
    _check_alike(path.read_text(encoding="utf-8"), lines=True)


@pytest.mark.parametrize(
    "text", ["a: --- 5\n", "[x, --- 5]\n", "a: --- 0x10\n", "a: -1\n\n  ...\n", "a: 1 # b\n", "a: -1 .\n", "a: + 1\n"]
)
def test_text_of_several_words_is_text(text: str) -> None:
    (parsed,) = parsing.parse_documents(text)
    assert _described(parsed, True) == _described(yaml_no_ts().load(text), True)


@pytest.mark.full
def test_most_documents_are_not_unusual() -> None:
    unusual = 0
    for path in DOCUMENTS:
        try:
            parsing.parse_documents(path.read_text(encoding="utf-8"))
        except (parsing.Unusual, yaml.YAMLError):
            unusual += 1
    assert unusual < len(DOCUMENTS) / 10


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join))
def test_any_text_is_parsed_alike_or_left_alone(text: str) -> None:
    _check_alike(text, lines=False)


@pytest.mark.parametrize(
    "text",
    ["a: &x 1\nb: *x\n", "a: !!str 1\n", "a: 1\na: 2\n", "<<: {a: 1}\n", "a:\t1\n", "%YAML 1.1\n---\na: yes\n",
     "1: a\n", "? [a]\n: b\n", "a: |\n\n  b\n"],
)  # fmt: skip
def test_what_is_unusual_is_left_to_ruamel(text: str) -> None:
    with pytest.raises(parsing.Unusual):
        parsing.parse_documents(text)


def test_tabs_of_scripts_are_not_unusual() -> None:
    assert parsing.parse_documents("a: |\n  {\n  \treturn;\n  }\n") == [{"a": "{\n\treturn;\n}\n"}]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: [a\ninputs: []\n", r"tool\.cwl:4:7|tool\.cwl:3:14"),
        ("cwlVersion: v1.2\nclass: CommandLineTool\ninputs: []\noutputs: []\nodd: 1\n", r"tool\.cwl:5:1:"),
        ("cwlVersion: v1.2\nclass: CommandLineTool\ninputs: {x: {type: odd}}\noutputs: []\n", r"tool\.cwl:3:14:"),
        ("cwlVersion: v1.2\nclass: CommandLineTool\ncwlVersion: v1.2\n", "cwlVersion"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_column(tmp_path: Path, broken: str, said: str) -> None:
    (tmp_path / "tool.cwl").write_text(broken, encoding="utf-8")
    with pytest.raises((ValidationException, YAMLError), match=said):
        documents.load_document(str(tmp_path / "tool.cwl"), GATE)


def test_several_documents_in_a_file_are_attachments(tmp_path: Path) -> None:
    path = tmp_path / "a.cwl"
    path.write_text("id: x\n---\nb: 1\n---\n- c\n", encoding="utf-8")
    indexes = []
    for kind in (Loader, parsing.DocumentLoader):
        loader = kind({"id": "@id"}, allow_attachments=lambda _: True)
        loader.fetch(path.as_uri())
        indexes.append({uri: _described(each, True) for uri, each in loader.idx.items()})
    assert indexes[0] == indexes[1]
    assert len(indexes[0]) == 4


@pytest.mark.full
def test_copying_a_sequence_takes_time_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Any] = []
    real = CommentedSeq.copy_attributes

    def copy_attributes(self: Any, *arguments: Any, **more: Any) -> Any:
        copied.append(self)
        return real(self, *arguments, **more)

    monkeypatch.setattr(CommentedSeq, "copy_attributes", copy_attributes)
    sequence = yaml_no_ts().load("# first\n- [a]  # second\n" + "- {b: c}\n" * 1000)
    again = copy.deepcopy(sequence)
    assert len(copied) == 2
    assert _described(again, True) == _described(sequence, True)
    assert again.ca.items.keys() == sequence.ca.items.keys()
    assert again[0] is not sequence[0]
    again.lc.data[0][0] = 77
    assert sequence.lc.data[0][0] != 77


def test_a_sequence_that_holds_itself_is_copied() -> None:
    sequence = CommentedSeq()
    sequence.append(sequence)
    again = copy.deepcopy(sequence)
    assert again[0] is again


@pytest.mark.full
def test_a_large_document_is_read_with_little_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("large", PROJECT / "bench/large.py")
    assert spec and spec.loader
    large = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(large)
    path = large.write_large_document(tmp_path / "large", "https://terms.invalid/terms.rdf")
    assert len(list(path.parent.iterdir())) == 201
    parsed: list[str] = []
    asked: list[str] = []
    real_parse, real_ask = parsing.parse_documents, lint.exec_js_process

    def parse(text: str) -> Any:
        parsed.append(text)
        return real_parse(text)

    def ask(text: str, **more: Any) -> Any:
        asked.append(text)
        return real_ask(text, **more)

    def look_up(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(parsing, "parse_documents", parse)
    monkeypatch.setattr(lint, "exec_js_process", ask)
    monkeypatch.setattr("socket.getaddrinfo", look_up)
    loaded = documents.load_document(str(path), GATE, folder=tmp_path / "kept")
    assert len(make_plan(loaded.process, "large").tasks) == 30
    assert len(loaded.texts) == 201
    assert loaded.ontologies == ("https://terms.invalid/terms.rdf",)
    assert len(parsed) == 31
    assert len(asked) == 1


JAVASCRIPT = """\
cwlVersion: v1.2
class: CommandLineTool
requirements:
  InlineJavascriptRequirement:
    expressionLib:
      - function one() { return 1; }
      - function two() { return one() + unknown; }
inputs: {word: string}
outputs:
  out: {type: "string", outputBinding: {outputEval: "$(two() + missing)"}}
baseCommand: echo
arguments:
  - $(inputs.word)
  - $(nobody.word)
  - valueFrom: "a $(self) b ${ let x = 1; return one(); } \\\\$(c)"
"""


def _javascript_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return sorted(message for record in caplog.records if "JSHINT" in (message := record.getMessage()))


def test_javascript_is_checked_as_cwltool_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from cwltool.context import LoadingContext
    from cwltool.load_tool import load_tool

    path = tmp_path / "tool.cwl"
    path.write_text(JAVASCRIPT, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        load_tool(str(path), LoadingContext())
        expected = _javascript_warnings(caplog)
        caplog.clear()
        documents.load_document(str(path), GATE)
    assert _javascript_warnings(caplog) == expected
    text = "\n".join(expected)
    assert all(name in text for name in ("unknown", "missing", "nobody", "ES5.1"))


def test_the_javascript_of_a_tool_is_checked_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tool.cwl").write_text(JAVASCRIPT, encoding="utf-8")
    steps = ", ".join(f"s{n}: {{run: tool.cwl, in: {{word: word}}, out: []}}" for n in range(3))
    path = tmp_path / "workflow.cwl"
    path.write_text(
        f"{{cwlVersion: v1.2, class: Workflow, inputs: {{word: string}}, outputs: [], steps: {{{steps}}}}}",
        encoding="utf-8",
    )
    documents.load_document(str(path), GATE)
    found = _javascript_warnings(caplog)
    assert found
    assert len(found) == len(set(found))


def test_an_expression_without_an_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tool.cwl"
    path.write_text(JAVASCRIPT.replace("$(nobody.word)", "$(nobody.word"), encoding="utf-8")
    with pytest.raises(Exception, match=r"tool\.cwl:\d+:\d+:"):
        documents.load_document(str(path), GATE)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((1, "", "no memory"), r"JSHint failed.*no memory"),
        ((0, "", "it threw"), r"JSHint failed.*it threw"),
        ((-1, "", ""), r"JSHint took longer than \d+ s"),
    ],
)
def test_javascript_that_cannot_be_checked_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str, str], said: str
) -> None:
    path = tmp_path / "tool.cwl"
    path.write_text(JAVASCRIPT, encoding="utf-8")
    monkeypatch.setattr(lint, "exec_js_process", lambda *_, **__: answer)
    with pytest.raises(Exception, match=said):
        documents.load_document(str(path), GATE)


def test_options_of_jshint_may_be_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, options = tmp_path / "tool.cwl", tmp_path / "options.json"
    path.write_text(JAVASCRIPT, encoding="utf-8")
    options.write_text('{"includewarnings": [], "esversion": 6}', encoding="utf-8")
    documents.load_document(str(path), GATE, {"js_hint_options_file": str(options)})
    assert _javascript_warnings(caplog) == []
