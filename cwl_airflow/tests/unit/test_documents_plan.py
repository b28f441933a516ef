"""Which tasks a document has, what they are called, and when a plan that was kept still holds."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import re
import string
import time
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.documents import cache
from cwl_airflow.documents import load as documents
from cwl_airflow.documents import plan as plans
from cwl_airflow.documents.planning import make_plan
from gates import GATE
from hypothesis import given
from hypothesis import strategies as st

PLAIN = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=12)
#: What CWL says where a document says nothing.
NEED = plans.ResourceNeed(1, 256)
NAMES = st.lists(st.one_of(PLAIN, st.text(min_size=1), st.just("CWLJobGatherer")), unique=True, max_size=12)

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: 'true'
inputs: {word: string?}
outputs: []
"""
WORKFLOW = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, SubworkflowFeatureRequirement: {}}
inputs: {words: "string[]"}
outputs: []
steps:
  each: {run: tool.cwl, scatter: word, in: {word: words}, out: []}
"""


@given(NAMES)
def test_ids_are_unique_and_such_as_airflow_takes(names: list[str]) -> None:
    ids = plans.task_ids(names)
    assert list(ids) == names
    assert len({each.lower() for each in ids.values()} | {"cwljobdispatcher", "cwljobgatherer"}) == len(names) + 2
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", each) for each in ids.values())


@given(NAMES, st.randoms())
def test_ids_do_not_depend_on_the_order_of_the_steps(names: list[str], random: Any) -> None:
    ids = plans.task_ids(names)
    random.shuffle(names)
    assert plans.task_ids(names) == ids


@given(st.lists(st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=12), unique=True))
def test_an_id_is_the_name_where_airflow_takes_that(names: list[str]) -> None:
    assert plans.task_ids(names) == {name: name for name in names}


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a b", "ä", "a.b-c_D9"], ["a_b", "_", "a.b-c_D9"]),
        (["a b", "a_b", "A.b"], ["a_b-c8687a08", "a_b-648fa9b3", "A.b"]),
        (["Sort", "sort"], ["Sort-bec69036", "sort-64696494"]),
        (["", "cwljobgatherer"], ["-e3b0c442", "cwljobgatherer-caa8b022"]),
        (["CWLJobDispatcher"], ["CWLJobDispatcher-6240fe89"]),
        (["x" * 200], ["x" * 200]),
        (["x" * 201], ["x" * 200 + "-84a0678c"]),
    ],
)
def test_the_id_of_a_step_stays_the_same_for_ever(names: list[str], ids: list[str]) -> None:
    assert list(plans.task_ids(names).values()) == ids


def test_edges_come_from_sources(tmp_path: Path) -> None:
    (tmp_path / "tool.cwl").write_text(TOOL.replace("outputs: []", "outputs: {said: {type: stdout}}"), encoding="utf-8")
    text = """\
cwlVersion: v1.2
class: Workflow
requirements: {MultipleInputFeatureRequirement: {}, StepInputExpressionRequirement: {}}
inputs: {word: string}
outputs:
  said: {type: File, outputSource: "third step/said"}
steps:
  first: {run: tool.cwl, in: {word: word}, out: [said]}
  second: {run: tool.cwl, in: {word: word}, out: [said]}
  third step:
    run: tool.cwl
    in: {word: {source: [first/said, second/said, word], valueFrom: x}}
    out: [said]
"""
    (tmp_path / "workflow.cwl").write_text(text, encoding="utf-8")
    plan = make_plan(documents.load_document(str(tmp_path / "workflow.cwl"), GATE).process, "workflow")
    assert plan.tasks == {
        "first": plans.StepTask("first", need=NEED),
        "second": plans.StepTask("second", need=NEED),
        "third_step": plans.StepTask("third step", ("first", "second"), need=NEED),
    }
    assert plan.last == ("third_step",)


def test_a_tool_is_one_task(tmp_path: Path) -> None:
    (tmp_path / "tool.cwl").write_text(TOOL, encoding="utf-8")
    plan = make_plan(documents.load_document(str(tmp_path / "tool.cwl"), GATE).process, "my tool")
    assert plan == plans.DocumentPlan({"my_tool": plans.StepTask(None, need=NEED)}, ("my_tool",))


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """Return the path of a workflow that refers to a tool."""
    (tmp_path / "tool.cwl").write_text(TOOL, encoding="utf-8")
    (tmp_path / "workflow.cwl").write_text(WORKFLOW, encoding="utf-8")
    return tmp_path / "workflow.cwl"


def _plan(workflow: Path, made: list[int] | None = None) -> plans.DocumentPlan:
    def make() -> Any:
        if made is not None:
            made.append(1)
        loaded = documents.load_document(str(workflow), GATE)
        return make_plan(loaded.process, "x"), loaded.texts

    return plans.cached_plan(workflow.parent / "kept", str(workflow), make)


def test_a_plan_is_made_once(workflow: Path) -> None:
    made: list[int] = []
    first = _plan(workflow, made)
    assert first == plans.DocumentPlan({"each": plans.StepTask("each", (), True, NEED)}, ())
    assert _plan(workflow, made) == first
    assert made == [1]


def test_a_changed_file_that_the_document_refers_to_makes_it_again(workflow: Path) -> None:
    made: list[int] = []
    _plan(workflow, made)
    tool = workflow.parent / "tool.cwl"
    tool.write_text(TOOL + "doc: changed\n", encoding="utf-8")
    _plan(workflow, made)
    assert made == [1, 1]
    tool.unlink()
    with pytest.raises(Exception, match=r"tool\.cwl"):
        _plan(workflow)


@pytest.mark.full
@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"texts": {}}', '{"texts": {}, "time": 0}\n{"tasks": 1, "last": []}', "\0"]
)
def test_a_spoilt_entry_counts_as_missing(workflow: Path, content: str) -> None:
    first = _plan(workflow)
    (entry,) = (workflow.parent / "kept").glob("*.kept")
    entry.write_text(content, encoding="utf-8")
    assert _plan(workflow) == first
    assert json.loads(entry.read_text(encoding="utf-8").splitlines()[1])["tasks"]


@pytest.mark.full
def test_many_processes_share_the_entries(workflow: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        results = [pool.apply_async(_plan_twice, (workflow,)) for _ in range(8)]
        assert all(result.get(timeout=120) for result in results)
        pool.close()
        pool.join()
    assert len(list((workflow.parent / "kept").iterdir())) == 1


def _plan_twice(workflow: Path) -> bool:
    tasks = set()
    for _ in range(5):
        for entry in (workflow.parent / "kept").glob("*.kept"):
            entry.unlink(missing_ok=True)
        tasks.add(tuple(_plan(workflow).tasks))
    return tasks == {("each",)}


def test_a_document_from_the_network_holds_while_the_network_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plans.DocumentPlan({"x": plans.StepTask(None, need=NEED)}, ("x",))
    made = []

    def make() -> Any:
        made.append(1)
        if len(made) > 1:
            raise OSError("no network")
        return plan, {"https://example.org/x.cwl": "0"}

    assert plans.cached_plan(tmp_path, "x", make) == plan
    (entry,) = tmp_path.glob("*.kept")
    head, made_of = entry.read_text(encoding="utf-8").splitlines()
    about = json.loads(head)
    about["time"] -= cache.REMOTE_LIFETIME + 1
    entry.write_text(f"{json.dumps(about)}\n{made_of}", encoding="utf-8")
    assert plans.cached_plan(tmp_path, "x", make) == plan
    assert made == [1, 1]
    assert re.search(r"Could not read \['plan', \d+, 'x'\] again; what is stored is used\n", caplog.text)
    assert "OSError: no network" in caplog.text
    entry.unlink()
    with pytest.raises(OSError, match="no network"):
        plans.cached_plan(tmp_path, "x", make)


HOUR = cache.REMOTE_LIFETIME


@pytest.mark.full
@pytest.mark.parametrize(
    ("uris", "age", "holds"),
    [
        (["https://example.org/x.cwl"], 0, True),
        (["https://example.org/x.cwl"], 0.5, True),
        (["https://example.org/x.cwl"], HOUR - 1, True),
        (["https://example.org/x.cwl"], HOUR, False),
        (["https://example.org/x.cwl"], -1, False),  # the clock was wrong
        (["file:{folder}/tool.cwl"], HOUR, True),
        (["file:{folder}/tool.cwl"], -1, True),
        (["file:{folder}/tool.cwl", "https://example.org/x.cwl"], HOUR, False),
        (["file:{folder}/tool.cwl", "https://example.org/x.cwl"], 1, True),
    ],
)
def test_only_what_came_from_the_network_is_read_again_after_a_time(
    workflow: Path, monkeypatch: pytest.MonkeyPatch, uris: list[str], age: float, holds: bool
) -> None:
    texts = {uri.format(folder=workflow.parent): hashlib.sha256(TOOL.encode()).hexdigest() for uri in uris}
    made = []

    def make() -> tuple[str, dict[str, str]]:
        made.append(1)
        return "made", texts

    now = time.time()
    for moment in (now, now + age):
        monkeypatch.setattr(cache.time, "time", lambda moment=moment: moment)
        assert cache.cached(workflow.parent / "kept", "x", make, str.encode, bytes.decode) == "made"
    assert len(made) == (1 if holds else 2)


def test_a_file_is_known_again_however_it_is_named_and_written(workflow: Path) -> None:
    text = WORKFLOW.replace("tool.cwl", "'größe%2050%25.cwl'").replace("\n", "\r\n")
    workflow.write_bytes(text.encode())
    (workflow.parent / "tool.cwl").rename(workflow.parent / "größe 50%.cwl")
    made: list[int] = []
    for _ in range(2):
        _plan(workflow, made)
    assert made == [1]


@pytest.mark.full
def test_what_is_missing_is_made_by_one_process(workflow: Path) -> None:
    (workflow.parent / "made").mkdir()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        results = [pool.apply_async(_make_slowly, (workflow.parent,)) for _ in range(4)]
        assert [result.get(timeout=120) for result in results] == ["made"] * 4
    assert len(list((workflow.parent / "made").iterdir())) == 1
    assert [file.suffix for file in (workflow.parent / "kept").iterdir()] == [".kept"]


def _make_slowly(folder: Path) -> str:
    def make() -> tuple[str, dict[str, str]]:
        (folder / "made" / str(os.getpid())).touch()
        time.sleep(1)
        return "made", {}

    return cache.cached(folder / "kept", "x", make, str.encode, bytes.decode)


def test_nobody_waits_for_ever_for_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    with cache.alone(cache.entry_path(tmp_path, "x")) as ours:
        assert ours
        assert cache.cached(tmp_path, "x", lambda: ("made", {}), str.encode, bytes.decode) == "made"
    assert [file.suffix for file in tmp_path.iterdir()] == [".kept"]


def test_a_lock_that_a_killed_process_left_holds_nobody_up(tmp_path: Path) -> None:
    path = cache.entry_path(tmp_path, "x")
    path.with_suffix(".lock").touch()
    with cache.alone(path, 0) as ours:
        assert ours
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_user_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = cache.entry_path(tmp_path, "x"), os.open

    def refuse_to_write(name: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, flags, mode)

    path.with_suffix(".lock").touch()
    with monkeypatch.context() as patched:
        patched.setattr(cache.os, "open", refuse_to_write)
        with cache.alone(path, 0) as ours, cache.alone(path, 0) as others:
            assert ours
            assert not others


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(cache.fcntl, "flock", refuse)
    assert cache.cached(tmp_path, "x", lambda: ("made", {}), str.encode, bytes.decode) == "made"


def test_plans_of_one_key_are_kept_apart_from_those_of_others(tmp_path: Path) -> None:
    for _ in range(2):
        for key in ("a", ["a"], {"a": 1, "b": Path("a")}, {"b": Path("a"), "a": 1}):
            plan = plans.DocumentPlan({}, (str(type(key)),))
            assert plans.cached_plan(tmp_path, key, lambda plan=plan: (plan, {})) == plan  # type: ignore[misc]
    assert len(list(tmp_path.iterdir())) == 3
