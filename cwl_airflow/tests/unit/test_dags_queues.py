"""What the steps of a document need, and which queue that takes them to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.dags.queues import Queue, capped_text, choose_capped_queue, choose_queue, queues_of_tasks, read_queues
from cwl_airflow.documents import load as documents
from cwl_airflow.documents import plan as plans
from cwl_airflow.documents.plan import ResourceNeed, StepTask
from cwl_airflow.documents.planning import make_plan
from cwltool.context import RuntimeContext
from gates import GATE
from hypothesis import given, settings
from hypothesis import strategies as st

Document = dict[str, Any]
Plan = Callable[..., plans.DocumentPlan]

NUMBERS = st.integers(1, 1000) | st.sampled_from([0.5, 1.25])
NEEDS = st.builds(lambda a, b, c, d: ResourceNeed(a, b, min(a, c), min(b, d)), *[st.integers(0, 40)] * 4)
QUEUES = st.dictionaries(
    st.text("abcd", min_size=1, max_size=3), st.builds(Queue, st.integers(1, 30), st.integers(1, 30)), min_size=1
)


def tool(**more: Any) -> Document:
    """Return a tool."""
    return {"class": "CommandLineTool", "baseCommand": "true", "inputs": {}, "outputs": {}, **more}


def workflow(steps: dict[str, Document], **more: Any) -> Document:
    """Return a workflow; its steps need no more than what they run."""
    features = dict.fromkeys(
        ["SubworkflowFeatureRequirement", "ScatterFeatureRequirement", "InlineJavascriptRequirement"], Document()
    )
    return {
        "class": "Workflow",
        "inputs": {"words": "string[]?"},
        "outputs": {},
        "steps": {name: {"in": {}, "out": [], **step} for name, step in steps.items()},
        **more,
        "requirements": {**features, **more.get("requirements", {})},
    }


def asks(**resources: Any) -> Document:
    """Return requirements or hints."""
    return {"ResourceRequirement": resources}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return a function that plans a document."""
    return lambda document, version="v1.2": planned(tmp_path, document, version)


def planned(folder: Path, document: Document, version: str = "v1.2") -> plans.DocumentPlan:
    """Write, read and plan a document."""
    file = folder / "document.cwl"
    file.write_text(json.dumps({"cwlVersion": version, **document}), encoding="utf-8")
    return make_plan(documents.load_document(str(file), GATE).process, "document")


def need_of(made: plans.DocumentPlan) -> ResourceNeed:
    """Return the need of the only task."""
    (task,) = made.tasks.values()
    return task.need


@pytest.mark.parametrize(
    ("version", "resources", "expected"),
    [
        ("v1.0", {}, (1, 1024)),
        ("v1.1", {}, (1, 256)),
        ("v1.2", {}, (1, 256)),
        ("v1.0", {"coresMin": 2}, (2, 1024)),
        ("v1.2", {"ramMin": 2000}, (1, 2000)),
        ("v1.2", {"coresMax": 3, "ramMax": 300}, (3, 300)),
        ("v1.2", {"coresMin": 2, "coresMax": 4, "ramMin": 100, "ramMax": 200}, (2, 100)),
        ("v1.2", {"coresMin": 0.5, "ramMin": 10.5}, (0.5, 11)),
        ("v1.2", {"tmpdirMin": "$(inputs.none)", "coresMax": "$(1)", "coresMin": 2}, (2, 256)),
    ],
)
def test_a_tool_needs_what_it_says_or_what_cwl_says(
    plan: Plan, version: str, resources: Document, expected: tuple[float, float]
) -> None:
    assert need_of(plan(tool(requirements=asks(**resources)), version)) == ResourceNeed(*expected, *expected)
    assert need_of(plan(tool(hints=asks(**resources)), version)) == ResourceNeed(*expected)


@pytest.mark.parametrize(
    ("of_workflow", "of_step", "of_tool", "expected"),
    [
        ({"requirements": 3}, {}, {}, ResourceNeed(3, 256, 3, 256)),
        ({"hints": 3}, {}, {}, ResourceNeed(3, 256)),
        ({"requirements": 3}, {"requirements": 2}, {}, ResourceNeed(2, 256, 2, 256)),
        ({"hints": 3}, {"hints": 2}, {}, ResourceNeed(2, 256)),
        ({}, {"requirements": 2}, {"hints": 4}, ResourceNeed(2, 256, 2, 256)),
        ({"requirements": 3}, {}, {"hints": 4}, ResourceNeed(3, 256, 3, 256)),
        ({"requirements": 3}, {"hints": 2}, {"hints": 4}, ResourceNeed(3, 256, 3, 256)),
        # The most specific one: https://www.commonwl.org/v1.2/Workflow.html#Requirements_and_hints
        ({"requirements": 3}, {"requirements": 2}, {"requirements": 4}, ResourceNeed(4, 256, 4, 256)),
        ({"hints": 3}, {"hints": 2}, {"hints": 4}, ResourceNeed(4, 256)),
    ],
)
@pytest.mark.parametrize("referenced", [False, True], ids=["embedded", "referenced"])
def test_precedence(
    plan: Plan,
    tmp_path: Path,
    of_workflow: dict[str, int],
    of_step: dict[str, int],
    of_tool: dict[str, int],
    expected: ResourceNeed,
    referenced: bool,
) -> None:
    def given_as(entries: dict[str, int]) -> Document:
        return {kind: asks(coresMin=cores) for kind, cores in entries.items()}

    runs: Any = tool(**given_as(of_tool))
    if referenced:
        (tmp_path / "tool.cwl").write_text(json.dumps({"cwlVersion": "v1.2", **runs}), encoding="utf-8")
        runs = "tool.cwl"
    made = plan(workflow({"step": {"run": runs, **given_as(of_step)}}, **given_as(of_workflow)))
    assert need_of(made) == expected


@pytest.mark.full
@settings(max_examples=30)
@given(
    entries=st.dictionaries(
        st.tuples(st.sampled_from(["workflow", "step", "tool"]), st.sampled_from(["requirements", "hints"])),
        st.dictionaries(st.sampled_from(["coresMin", "ramMin", "tmpdirMin"]), NUMBERS, min_size=1),
    ),
    version=st.sampled_from(["v1.0", "v1.1", "v1.2"]),
)
def test_a_need_is_what_cwltool_will_reckon_with(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[tuple[str, str], Document], version: str
) -> None:
    def given_at(level: str) -> Document:
        return {
            kind: asks(**{key: value if version == "v1.2" else int(value) + 1 for key, value in resources.items()})
            for (place, kind), resources in entries.items()
            if place == level
        }

    folder = tmp_path_factory.mktemp("need")
    document = workflow({"step": {"run": tool(**given_at("tool")), **given_at("step")}}, **given_at("workflow"))
    need = need_of(planned(folder, document, version))
    (step,) = documents.load_document(str(folder / "document.cwl"), GATE).process.steps
    resources = step.embedded_tool._init_job({}, RuntimeContext()).resources
    assert (need.cores, need.ram, need.known) == (resources["cores"], resources["ram"], True)
    assert (need.required_cores, need.required_ram) in ((0, 0), (need.cores, need.ram))


def test_a_subworkflow_needs_the_largest_of_what_is_in_it(plan: Plan) -> None:
    inner = workflow(
        {
            "cores": {"run": tool(requirements=asks(coresMin=8))},
            "memory": {"run": tool(hints=asks(ramMin=9000))},
            "plain": {"run": tool()},
        }
    )
    middle = workflow({"inner": {"run": inner}, "some": {"run": tool(requirements=asks(coresMin=2, ramMin=500))}})
    made = plan(workflow({"deep": {"run": middle}, "light": {"run": tool()}}))
    assert made.tasks["deep"].need == ResourceNeed(8, 9000, 8, 500)
    assert made.tasks["light"].need == ResourceNeed(1, 256)


def test_a_scattered_step_needs_what_one_job_needs(plan: Plan) -> None:
    runs = tool(inputs={"word": "string"}, requirements=asks(coresMin=2))
    made = plan(workflow({"each": {"run": runs, "scatter": "word", "in": {"word": "words"}}}))
    assert made.tasks["each"] == StepTask("each", (), True, ResourceNeed(2, 256, 2, 256))


@pytest.mark.parametrize("nested", [False, True])
def test_an_expression_is_not_known(plan: Plan, nested: bool) -> None:
    runs = tool(requirements=asks(coresMin=2, ramMin="$(inputs.size)"))
    if nested:
        runs = workflow({"inner": {"run": runs}, "other": {"run": tool(hints=asks(ramMin=700))}})
    need = need_of(plan(workflow({"step": {"run": runs}})))
    assert need == ResourceNeed(2, 700 if nested else 0, 2, 0, known=False)


def test_cores_that_an_expression_asks_for_count_as_none(plan: Plan) -> None:
    need = need_of(plan(tool(requirements=asks(coresMin="$(inputs.size)", ramMin=300))))
    assert need == ResourceNeed(0, 300, 0, 300, known=False)


def test_a_need_stays_with_a_plan_that_is_kept(tmp_path: Path) -> None:
    document = workflow({"one": {"run": tool(requirements=asks(coresMin=2, ramMin="$(9)"))}, "two": {"run": tool()}})
    made = planned(tmp_path, document)
    assert plans.cached_plan(tmp_path / "kept", "key", lambda: (made, {})) == made
    assert plans.cached_plan(tmp_path / "kept", "key", lambda: pytest.fail("made again")) == made


@given(NEEDS, QUEUES)
def test_the_queue_holds_the_need_and_no_smaller_one_does(need: ResourceNeed, queues: dict[str, Queue]) -> None:
    def holding(cores: float, ram: float) -> set[str]:
        return {name for name, queue in queues.items() if queue.cpus >= cores and queue.ram >= ram}

    held, enough = holding(need.cores, need.ram), holding(need.required_cores, need.required_ram)
    if not enough:
        with pytest.raises(ValueError, match=r"Step 'align' requires .* and no queue has as much"):
            choose_queue("align", need, queues)
        return
    chosen = choose_queue("align", need, queues)
    assert chosen in (held or enough)
    for other in held or enough:
        smaller, larger = (queues[other], queues[chosen]) if held else (queues[chosen], queues[other])
        assert not (smaller.cpus <= larger.cpus and smaller.ram <= larger.ram and smaller != larger)


@given(NEEDS, QUEUES)
def test_the_choice_does_not_depend_on_the_order_of_the_queues(need: ResourceNeed, queues: dict[str, Queue]) -> None:
    def chosen(among: dict[str, Queue]) -> str:
        try:
            return choose_queue("align", need, among)
        except ValueError as error:
            return str(error)

    assert chosen(dict(reversed(list(queues.items())))) == chosen(queues)


SITE = {"default": Queue(cpus=1, ram=1024), "cores": Queue(cpus=16, ram=8000), "advanced": Queue(cpus=4, ram=30000)}


@pytest.mark.parametrize(
    ("need", "queue"),
    [
        (ResourceNeed(), "default"),
        (ResourceNeed(1, 1024, 1, 1024), "default"),
        (ResourceNeed(1, 1025), "cores"),
        (ResourceNeed(1.5, 100), "cores"),
        (ResourceNeed(4, 8001, 4, 8001), "advanced"),
        # Not known: the largest one, but one that holds what is known.
        (ResourceNeed(1, 256, known=False), "advanced"),
        (ResourceNeed(16, 0, 16, 0, known=False), "cores"),
    ],
)
def test_choice(need: ResourceNeed, queue: str) -> None:
    assert choose_queue("align", need, SITE) == queue


def test_a_requirement_that_no_queue_holds_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        choose_queue("align", ResourceNeed(64, 256, 64, 256), SITE)
    assert str(caught.value) == (
        "Step 'align' requires 64 cores and 256 MiB, and no queue has as much: the largest is 'advanced' with 4 cores "
        "and 30000 MiB. Change the site's cwl_airflow_queues or the document's ResourceRequirement, or let it run with "
        "less: oversized = cap, of the site or the DAG."
    )


def test_large_numbers_are_readable() -> None:
    with pytest.raises(ValueError, match="requires 1 core and 2000000 MiB, and no queue"):
        choose_queue("align", ResourceNeed(1, 2_000_000, 1, 2_000_000), SITE)


def test_a_hint_that_no_queue_holds_goes_to_the_largest(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_queue("align", ResourceNeed(64, 256), SITE) == "advanced"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    said = "Step 'align' asks for 64 cores and 256 MiB in a hint or under a condition, and no queue has"
    assert record.getMessage().startswith(said)
    # Beside a requirement the largest of those that hold that.
    assert choose_queue("align", ResourceNeed(16, 90000, 16, 0), SITE) == "cores"


def test_a_step_under_a_condition_may_need_nothing(plan: Plan) -> None:
    large = {"run": tool(requirements=asks(coresMin=64)), "when": "$(false)", "in": {}}
    inner = {"run": workflow({"large": large}), "in": {}}
    for document in (workflow({"align": large}), workflow({"align": inner})):
        assert need_of(plan(document)) == ResourceNeed(64, 256)


@pytest.mark.parametrize(
    ("need", "said"),
    [
        (
            ResourceNeed(64, 100, 64, 100),
            "64 cores and 100 MiB, and runs with 4 cores and 100 MiB",
        ),
        (
            ResourceNeed(1, 9000, 1, 9000),
            "1 core and 9000 MiB, and runs with 1 core and 8000 MiB",
        ),
        (ResourceNeed(64, 9000), None),
        (ResourceNeed(4, 8000, 4, 8000), None),
    ],
)
def test_what_a_step_gets_less_is_said(need: ResourceNeed, said: str | None) -> None:
    text = capped_text("align", need, 4, 8000)
    assert text == (said and f"Step 'align' requires {said}: its queue has no more (oversized = cap).")


def test_a_step_that_requires_too_much_runs_in_the_largest_queue_if_it_may() -> None:
    assert queues_of_tasks(TASKS, SITE, {}, capped=True) == {"align": "cores", "sort": "cores"}
    queues = {"bigmem": Queue(100_000, 2), "bigcpu": Queue(8000, 32)}
    for ram, queue in ((4000, "bigcpu"), (9000, "bigmem"), (200_000, "bigmem")):
        assert choose_capped_queue("align", ResourceNeed(64, ram, 64, ram), queues) == queue
    assert choose_capped_queue("align", ResourceNeed(1, 10, 1, 10), queues) == "bigcpu"


TASKS = {"align": StepTask("align", need=ResourceNeed(64, 1, 64, 1)), "sort": StepTask("sort", need=ResourceNeed(2, 1))}


def test_what_the_dag_file_names_wins() -> None:
    assert queues_of_tasks(TASKS, SITE, {"align": "cores"}) == {"align": "cores", "sort": "cores"}
    assert queues_of_tasks(TASKS, SITE, {}, "default") == {"align": "default", "sort": "default"}
    assert queues_of_tasks(TASKS, SITE, {"align": "cores"}, "default") == {"align": "cores", "sort": "default"}


def test_where_nothing_is_known_of_queues_airflow_decides() -> None:
    assert queues_of_tasks(TASKS, {}, {}) == {}
    assert queues_of_tasks(TASKS, {}, {"align": "any"}) == {"align": "any"}


@pytest.mark.parametrize(
    ("named", "for_all", "message"),
    [
        ({"algin": "cores"}, None, "'queues' has 'algin', which is no task of a step: there are align, sort"),
        ({"align": "big"}, None, "Queue 'big' is not one of the site's cwl_airflow_queues: default, cores, advanced"),
        ({}, "big", "Queue 'big' is not one of the site's cwl_airflow_queues: default, cores, advanced"),
    ],
)
def test_a_name_that_is_not_there_is_refused(named: dict[str, str], for_all: str | None, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        queues_of_tasks(TASKS, SITE, named, for_all)
    assert str(caught.value) == message


def test_a_file_of_queues(tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text("# c\ndefault: {cpus: 1, ram: 1024}\nbig:\n  cpus: 2.5\n  ram: 4000\n", encoding="utf-8")
    assert read_queues(file) == {"default": Queue(1024, 1), "big": Queue(4000, 2.5)}


@pytest.mark.parametrize(
    "text",
    ["", "[default]", "default: 1", "default: {cpus: 1}", "default: {cpus: two, ram: 1}", "default: {cpus: 0, ram: 1}",
     "default: {cpus: true, ram: 1}", "default: {cpus: .nan, ram: 1}", "default: {"],
)  # fmt: skip
def test_a_file_that_is_malformed_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"{file} (has|is not YAML)"):
        read_queues(file)
