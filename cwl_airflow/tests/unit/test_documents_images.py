"""Which images CWL documents need: every form in which a document may ask for one."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cwl_airflow.commands.images import main
from cwl_airflow.documents.images import DocumentError, document_images, find_images, is_document, with_tag
from gates import PROJECT
from hypothesis import given
from hypothesis import strategies as st

WORKFLOWS = PROJECT / "files/workflows"
VERSIONS = ["v1.0", "v1.1", "v1.2"]

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a document into the test's folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def tool(image: str | None = None, version: str | None = "v1.2", kind: str = "hints") -> str:
    """Return a CommandLineTool in YAML, with an image or without."""
    document: dict[str, object] = {"cwlVersion": version} if version else {}
    document |= {"class": "CommandLineTool", "baseCommand": "true", "inputs": [], "outputs": []}
    if image:
        document[kind] = {"DockerRequirement": {"dockerPull": image}}
    return yaml.safe_dump(document, sort_keys=False)


def workflow(*runs: object, version: str = "v1.2", **extra: object) -> str:
    """Return a Workflow in YAML whose steps run the given tools or references."""
    steps = {f"step{number}": {"run": run, "in": [], "out": []} for number, run in enumerate(runs)}
    document = {"cwlVersion": version, "class": "Workflow", "inputs": [], "outputs": [], "steps": steps, **extra}
    return yaml.safe_dump(document, sort_keys=False)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["requirements", "hints"])
def test_finds_the_image_of_a_tool_in_map_form(write: Write, version: str, kind: str) -> None:
    assert document_images(write("tool.cwl", tool("debian:trixie-slim", version, kind))) == {"debian:trixie-slim"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["requirements", "hints"])
def test_finds_the_image_of_a_tool_in_list_form(write: Write, version: str, kind: str) -> None:
    text = f"""\
        cwlVersion: {version}
        class: CommandLineTool
        {kind}:
          - class: ResourceRequirement
            coresMin: 1
          - class: DockerRequirement
            dockerPull: "debian:trixie-slim"
        baseCommand: ["true"]
        inputs: []
        outputs: []
        """
    assert document_images(write("tool.cwl", text)) == {"debian:trixie-slim"}


def test_finds_the_image_in_requirements_and_the_one_in_hints(write: Write) -> None:
    text = tool("a:1") + "requirements: [{class: DockerRequirement, dockerPull: 'b:1'}]\n"
    assert document_images(write("tool.cwl", text)) == {"a:1", "b:1"}


@pytest.mark.parametrize("version", VERSIONS)
def test_finds_the_images_of_embedded_tools(write: Write, version: str) -> None:
    text = workflow(
        yaml.safe_load(tool("a:1", None)), yaml.safe_load(tool("b:1", None, "requirements")), version=version
    )
    assert document_images(write("workflow.cwl", text)) == {"a:1", "b:1"}


@pytest.mark.parametrize("version", VERSIONS)
def test_follows_references_to_other_files(write: Write, version: str) -> None:
    write("a.cwl", tool("a:1", version))
    write("tools/b.cwl", tool("b:1", version))
    path = write("workflows/workflow.cwl", workflow("../a.cwl", "../tools/b.cwl", "../a.cwl", version=version))
    assert document_images(path) == {"a:1", "b:1"}


def test_follows_references_between_versions(write: Write) -> None:
    write("a.cwl", tool("a:1", "v1.0"))
    write("b.cwl", tool("b:1", "v1.1"))
    assert document_images(write("workflow.cwl", workflow("a.cwl", "b.cwl"))) == {"a:1", "b:1"}


def test_follows_subworkflows_of_subworkflows(write: Write) -> None:
    subworkflow = [{"class": "SubworkflowFeatureRequirement"}]
    write("deep/tool.cwl", tool("deep:1"))
    write("deep/inner.cwl", workflow("tool.cwl"))
    write("outer.cwl", workflow("deep/inner.cwl", yaml.safe_load(tool("embedded:1", None)), requirements=subworkflow))
    path = write("workflow.cwl", workflow("outer.cwl", requirements=subworkflow))
    assert document_images(path) == {"deep:1", "embedded:1"}


def test_finds_the_images_of_embedded_subworkflows(write: Write) -> None:
    inner = yaml.safe_load(workflow(yaml.safe_load(tool("a:1", None)), "b.cwl"))
    del inner["cwlVersion"]
    write("b.cwl", tool("b:1"))
    path = write("workflow.cwl", workflow(inner, requirements={"SubworkflowFeatureRequirement": {}}))
    assert document_images(path) == {"a:1", "b:1"}


@pytest.mark.parametrize("kind", ["requirements", "hints"])
@pytest.mark.parametrize("version", VERSIONS)
def test_finds_the_images_of_workflows_and_of_their_steps(write: Write, kind: str, version: str) -> None:
    document = yaml.safe_load(workflow("tool.cwl", "tool.cwl", version=version))
    document[kind] = {"DockerRequirement": {"dockerPull": "workflow:1"}}
    document["steps"]["step0"][kind] = [{"class": "DockerRequirement", "dockerPull": "host:5000/list"}]
    document["steps"]["step1"][kind] = {"DockerRequirement": {"dockerPull": "host:5000/map"}}
    write("tool.cwl", tool("tool:1", version))
    path = write("workflow.cwl", yaml.safe_dump(document))
    assert document_images(path) == {"workflow:1", "host:5000/list:latest", "host:5000/map:latest", "tool:1"}


def test_finds_images_that_a_step_imports(write: Write) -> None:
    write("docker.yml", "class: DockerRequirement\ndockerPull: imported:1\n")
    document = yaml.safe_load(workflow(yaml.safe_load(tool(None, None))))
    document["steps"]["step0"]["hints"] = [{"$import": "docker.yml"}]
    assert document_images(write("workflow.cwl", yaml.safe_dump(document))) == {"imported:1"}


def test_steps_may_be_a_list(write: Write) -> None:
    document = yaml.safe_load(workflow())
    document["steps"] = [{"id": "one", "run": "tool.cwl", "in": [], "out": []}]
    write("tool.cwl", tool("tool:1"))
    assert document_images(write("workflow.cwl", yaml.safe_dump(document))) == {"tool:1"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_expression_tool_needs_no_image(write: Write, version: str) -> None:
    expression = {
        "class": "ExpressionTool",
        "requirements": {"InlineJavascriptRequirement": {}},
        "expression": "$({})",
        "inputs": [],
        "outputs": [],
    }
    text = workflow(expression, yaml.safe_load(tool("a:1", None)), version=version)
    assert document_images(write("workflow.cwl", text)) == {"a:1"}


def test_a_workflow_without_steps_needs_no_image(write: Write) -> None:
    assert document_images(write("workflow.cwl", workflow())) == set()


def test_an_operation_needs_no_image(write: Write) -> None:
    operation = {"class": "Operation", "inputs": [], "outputs": []}
    assert document_images(write("workflow.cwl", workflow(operation))) == set()


@pytest.mark.parametrize("other", ["dockerImageId: local", "dockerLoad: image.tar", "dockerFile: FROM debian"])
def test_a_requirement_without_dockerpull_needs_no_image(write: Write, other: str) -> None:
    text = tool() + f"hints: {{DockerRequirement: {{{other}}}}}\n"
    assert document_images(write("tool.cwl", text)) == set()


def test_ignores_hints_of_other_namespaces(write: Write) -> None:
    text = tool("a:1") + "$namespaces: {cwltool: 'http://commonwl.org/cwltool#'}\n"
    text = text.replace("hints:\n", "hints:\n  cwltool:Secrets: {secrets: [password]}\n  ex:Unknown: {a: 1}\n")
    assert document_images(write("tool.cwl", text)) == {"a:1"}


@pytest.mark.parametrize("version", VERSIONS)
def test_finds_the_images_of_all_processes_of_a_graph(write: Write, version: str) -> None:
    text = f"""\
        cwlVersion: {version}
        $graph:
          - id: main
            class: Workflow
            requirements: [{{class: SubworkflowFeatureRequirement}}]
            inputs: []
            outputs: []
            steps:
              one: {{run: "#sub", in: [], out: []}}
              two: {{run: "#second", in: [], out: []}}
          - id: sub
            class: Workflow
            inputs: []
            outputs: []
            steps:
              one: {{run: "#first", in: [], out: []}}
          - id: first
            class: CommandLineTool
            hints: [{{class: DockerRequirement, dockerPull: "first:1"}}]
            baseCommand: "true"
            inputs: []
            outputs: []
          - id: second
            class: CommandLineTool
            requirements: {{DockerRequirement: {{dockerPull: second}}}}
            baseCommand: "true"
            inputs: []
            outputs: []
          - id: unused
            class: CommandLineTool
            requirements: {{DockerRequirement: {{dockerPull: "unused:1"}}}}
            baseCommand: "true"
            inputs: []
            outputs: []
        """
    assert document_images(write("graph.cwl", text)) == {"first:1", "second:latest", "unused:1"}


def test_reads_a_packed_document(write: Write) -> None:
    """As `cwltool --pack` writes it: JSON, identifiers with `#`, parameters named after their process."""
    packed = {
        "$graph": [
            {
                "class": "CommandLineTool",
                "id": "#sort.cwl",
                "requirements": [{"class": "DockerRequirement", "dockerPull": "sort:1"}],
                "baseCommand": "sort",
                "inputs": [{"id": "#sort.cwl/text", "type": "File", "inputBinding": {"position": 1}}],
                "outputs": [{"id": "#sort.cwl/sorted", "type": "File", "outputBinding": {"glob": "sorted.txt"}}],
                "stdout": "sorted.txt",
            },
            {
                "class": "Workflow",
                "id": "#main",
                "inputs": [{"id": "#main/text", "type": "File"}],
                "outputs": [{"id": "#main/sorted", "type": "File", "outputSource": "#main/sort/sorted"}],
                "steps": [
                    {
                        "id": "#main/sort",
                        "run": "#sort.cwl",
                        "in": [{"id": "#main/sort/text", "source": "#main/text"}],
                        "out": ["#main/sort/sorted"],
                        "hints": [{"class": "DockerRequirement", "dockerPull": "step:1"}],
                    }
                ],
            },
        ],
        "cwlVersion": "v1.0",
    }
    assert document_images(write("packed.cwl", json.dumps(packed, indent=4))) == {"sort:1", "step:1"}


def test_follows_references_into_a_graph(write: Write) -> None:
    graph = {"cwlVersion": "v1.2", "$graph": []}
    for name in ("main", "one", "two"):
        process = yaml.safe_load(tool(f"{name}:1", None))
        graph["$graph"].append({"id": name, **process})  # type: ignore[attr-defined]
    write("tools/graph.cwl", yaml.safe_dump(graph))
    assert document_images(write("named.cwl", workflow("tools/graph.cwl#two"))) == {"two:1"}
    assert document_images(write("default.cwl", workflow("tools/graph.cwl"))) == {"main:1"}


def test_reads_imported_fragments_with_the_document_that_imports_them(write: Write, tmp_path: Path) -> None:
    write("docker.cwl", "class: DockerRequirement\ndockerPull: imported:1\n")
    path = write("tool.cwl", tool() + "hints: [{$import: docker.cwl}]\n")
    write("run.cwl", workflow({"$import": "tool.cwl"}))
    assert find_images([tmp_path]) == ({"imported:1": [str(tmp_path / "run.cwl"), str(path)]}, [])


def test_reads_json(write: Write) -> None:
    path = write("tool.cwl", json.dumps(yaml.safe_load(tool("a:1"))))
    assert is_document(path)
    assert document_images(path) == {"a:1"}


def test_a_workflow_that_runs_itself_ends(write: Write) -> None:
    """CWL forbids it; that is for the one who runs it to say, but the search must not go round for ever."""
    write("b.cwl", workflow("a.cwl", yaml.safe_load(tool("b:1", None))))
    assert document_images(write("a.cwl", workflow("b.cwl"))) == {"b:1"}


@pytest.mark.parametrize(
    "name", ["two words", "50%", "a%20b", "a:b", "ü", "it's", "[a]", "a&b", "a?b", "a+b", "a#b", "-a", "*"]
)
def test_reads_documents_with_awkward_names(write: Write, tmp_path: Path, name: str) -> None:
    path = write(f"{name}.cwl", tool("a:1"))
    assert find_images([tmp_path]) == ({"a:1": [str(path)]}, [])


@pytest.mark.parametrize("name", ["two words.cwl", "ü.cwl", "it's.cwl", "[a].cwl", "a&b.cwl", "a+b.cwl", "./a:b.cwl"])
def test_follows_references_with_awkward_names(write: Write, tmp_path: Path, name: str) -> None:
    write(name, tool("a:1"))
    path = write("workflow.cwl", workflow(name))
    assert find_images([path]) == ({"a:1": [str(path)]}, [])


@pytest.mark.parametrize("reference", ["two%20words.cwl", "50%25.cwl", "a%2Bb.cwl"])
def test_follows_percent_encoded_references(write: Write, tmp_path: Path, reference: str) -> None:
    """`run` is a URI reference, so a name may be percent-encoded."""
    write({"two%20words.cwl": "two words.cwl", "50%25.cwl": "50%.cwl"}.get(reference, "a+b.cwl"), tool("a:1"))
    path = write("workflow.cwl", workflow(reference))
    assert find_images([path]) == ({"a:1": [str(path)]}, [])


@pytest.mark.parametrize("name", ["a#b.cwl", "a?b.cwl", "a:b.cwl"])
def test_a_reference_that_is_no_path_names_the_document(write: Write, name: str) -> None:
    """These are a fragment, a query and a scheme of a URI reference."""
    write(name, tool("a:1"))
    path = write("workflow.cwl", workflow(name))
    images, errors = find_images([path])
    assert images == {}
    assert len(errors) == 1 and errors[0].startswith(f"{path}: ") and name in errors[0]


def test_reads_documents_in_folders_with_awkward_names(write: Write, tmp_path: Path) -> None:
    write("50% of: #1 & a+b/tools/tool.cwl", tool("a:1"))
    path = write("50% of: #1 & a+b/workflow.cwl", workflow("tools/tool.cwl"))
    assert find_images([path]) == ({"a:1": [str(path)]}, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cwlVersion: v1.2\nclass: [\n", r", line 3: not YAML: [^\n]+\Z"),
        ("cwlVersion: v1.2\n\ta: b\n", r", line 2: not YAML: found [^\n]+\Z"),
        ("a: b\nc: *nobody\n", r", line 2: not YAML: found undefined alias[^\n]*\Z"),
        (f"a: {'[' * 200_000}", r" is nested more than 100 deep[^\n]*\Z"),
        ("a: b\nc: \a\n", r": not YAML: [^\n]* characters are not allowed[^\n]*\Z"),
    ],
)
def test_names_file_and_line_of_what_is_not_yaml(write: Write, text: str, message: str) -> None:
    path = write("bad.cwl", text)
    images, errors = find_images([path])
    assert images == {}
    assert len(errors) == 1 and re.match(re.escape(str(path)) + message, errors[0])


def test_names_a_document_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin1.cwl"
    path.write_bytes(b"# M\xfcller\n")
    assert find_images([path]) == ({}, [f"{path}: not UTF-8: invalid start byte at byte 3"])


def test_reads_a_document_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "bom.cwl"
    path.write_bytes(tool("a:1").encode("utf-8-sig"))
    assert find_images([path]) == ({"a:1": [str(path)]}, [])


@pytest.mark.parametrize("text", ["", "# no\n", "[]\n", "word\n", "class: DockerRequirement\n", tool("a", None)])
def test_skips_what_is_no_document_of_its_own(write: Write, text: str) -> None:
    assert find_images([write("fragment.cwl", text)]) == ({}, [])


@pytest.mark.parametrize("version", ["v1.3", "draft-3", "1.2"])
def test_names_a_version_that_is_unknown(write: Write, version: str) -> None:
    path = write("tool.cwl", tool("a:1", version))
    images, errors = find_images([path])
    assert images == {}
    assert len(errors) == 1 and errors[0].startswith(f"{path}: ") and version in errors[0]


@pytest.mark.parametrize(
    "text",
    [
        "cwlVersion: v1.2\n",
        "cwlVersion: v1.2\nclass: Nonsense\n",
        "cwlVersion: v1.2\nclass: CommandLineTool\n",
        "cwlVersion: v1.2\n$graph: nonsense\n",
        "cwlVersion: [v1.2]\nclass: CommandLineTool\n",
        workflow("missing.cwl"),
        "cwlVersion: v1.2\n$graph:\n- {id: main, class: Workflow, inputs: [], outputs: [], steps: "
        "{one: {run: '#missing', in: [], out: []}}}\n",
    ],
)
def test_names_a_document_that_is_not_cwl(write: Write, text: str) -> None:
    path = write("bad.cwl", text)
    images, errors = find_images([path])
    assert images == {}
    assert len(errors) == 1 and errors[0].startswith(f"{path}: ")
    assert "\n" not in errors[0]


def test_says_all_that_a_document_lacks_in_one_line(write: Write) -> None:
    _, errors = find_images([write("tool.cwl", "cwlVersion: v1.2\nclass: CommandLineTool\n")])
    assert errors[0].endswith(": * missing required field `inputs` * missing required field `outputs`")


def test_names_the_reference_that_is_missing(write: Write) -> None:
    _, errors = find_images([write("workflow.cwl", workflow("missing.cwl"))])
    assert "missing.cwl" in errors[0]


def test_names_the_document_whose_reference_is_broken(write: Write, tmp_path: Path) -> None:
    write("tool.cwl", "cwlVersion: v1.2\nclass: [\n")
    path = write("workflow.cwl", workflow("tool.cwl"))
    _, errors = find_images([path])
    assert len(errors) == 1 and errors[0].startswith(f"{path}: ") and "/tool.cwl" in errors[0]


@pytest.mark.parametrize("scalar", ["2024-02-30", "12:30:45", "0b1", "no", ".5", "~"])
def test_reads_scalars_as_cwl_does(write: Write, scalar: str) -> None:
    """CWL has the types of JSON: no time stamps, no sexagesimal numbers."""
    path = write("tool.cwl", tool("a:1").replace("inputs: []", f"inputs: {{a: {{type: Any, default: {scalar}}}}}"))
    assert find_images([path]) == ({"a:1": [str(path)]}, [])


@pytest.mark.parametrize("scalar", ["=", "0x_", "!!int x"])
def test_names_a_document_with_a_scalar_that_cwl_utils_cannot_read(write: Write, scalar: str) -> None:
    path = write("tool.cwl", tool("a:1").replace("inputs: []", f"inputs: {{a: {{type: Any, default: {scalar}}}}}"))
    images, errors = find_images([path])
    assert images == {}
    assert len(errors) == 1 and errors[0].startswith(f"{path}")


def test_one_bad_document_does_not_hide_the_others(write: Write, tmp_path: Path) -> None:
    bad = write("a.cwl", "cwlVersion: [")
    good = write("b.cwl", tool("b:1"))
    images, errors = find_images([tmp_path])
    assert images == {"b:1": [str(good)]}
    assert len(errors) == 1 and str(bad) in errors[0]


def test_lists_each_document_under_its_images(write: Write, tmp_path: Path) -> None:
    a = write("w/a.cwl", tool("shared"))
    b = write("w/deep/b.cwl", tool("shared:latest"))
    c = write("other/c.cwl", tool("c:1"))
    w = write("w/workflow.cwl", workflow("a.cwl", "../other/c.cwl"))
    write("w/notes.yml", tool("not-searched:1"))
    images, errors = find_images([tmp_path / "w", c])
    assert errors == []
    assert images == {"c:1": [str(c), str(w)], "shared:latest": [str(a), str(b), str(w)]}
    assert list(images) == sorted(images)


def test_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A mistyped folder must not read like a folder without images."""
    assert find_images([tmp_path / "typo"]) == ({}, [f"{tmp_path / 'typo'}: no such file or folder"])


def test_a_folder_named_like_a_document_is_searched(write: Write, tmp_path: Path) -> None:
    path = write("folder.cwl/tool.cwl", tool("a:1"))
    assert find_images([tmp_path]) == ({"a:1": [str(path)]}, [])


def test_names_a_document_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "gone.cwl").symlink_to("nowhere.cwl")
    images, errors = find_images([tmp_path])
    assert images == {}
    assert errors == [f"{tmp_path / 'gone.cwl'}: No such file or directory"]


@pytest.mark.parametrize("name", ["two-step", "word-count", "coverage"])
def test_finds_the_images_of_the_examples(name: str) -> None:
    images, errors = find_images([WORKFLOWS / name])
    assert errors == []
    text = "".join(path.read_text(encoding="utf-8") for path in (WORKFLOWS / name).glob("*.cwl"))
    written = re.findall(r"dockerPull: (\S+?)[}\s]", text)
    assert images.keys() == {with_tag(image) for image in written}
    assert written


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("debian", "debian:latest"),
        ("debian:12", "debian:12"),
        ("biocontainers/bwa", "biocontainers/bwa:latest"),
        ("registry.example.org:5000/bwa", "registry.example.org:5000/bwa:latest"),
        ("registry.example.org:5000/lab/bwa:1.0", "registry.example.org:5000/lab/bwa:1.0"),
        ("localhost:5000/bwa", "localhost:5000/bwa:latest"),
        ("debian@sha256:" + 64 * "0", "debian@sha256:" + 64 * "0"),
        ("registry.example.org:5000/bwa@sha256:" + 64 * "0", "registry.example.org:5000/bwa@sha256:" + 64 * "0"),
        ("debian:12@sha256:" + 64 * "0", "debian:12@sha256:" + 64 * "0"),
    ],
)
def test_adds_the_tag_that_the_engine_assumes(write: Write, image: str, name: str) -> None:
    assert with_tag(image) == name
    assert document_images(write("tool.cwl", tool(image))) == {name}


@given(st.text())
def test_adding_a_tag_twice_changes_nothing(image: str) -> None:
    assert with_tag(with_tag(image)) == with_tag(image)


@given(st.text(alphabet="abc:/@.\n#&*!|>'\"%{}[]?-,= \t0x_", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_document_a_fragment_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.cwl"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        assert is_document(path) in (True, False)
    except DocumentError as error:
        assert str(path) in str(error)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_document_a_fragment_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes.cwl"
    path.write_bytes(b"cwlVersion: v1.2\n" + content)
    images, errors = find_images([path])
    assert images == {}
    assert all(str(path) in error for error in errors)


def test_prints_json_and_ends_well(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("tool.cwl", tool("a:1"))
    assert main([str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"images": {"a:1": [str(path)]}, "errors": []}


def test_prints_json_and_exit_code_1_for_a_bad_document(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write("good.cwl", tool("a:1"))
    bad = write("ü.cwl", "[")
    assert main([str(good), str(bad)]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["images"] == {"a:1": [str(good)]}
    assert len(printed["errors"]) == 1 and str(bad) in printed["errors"][0]


def test_asks_for_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "folders" in capsys.readouterr().err


def test_paths_may_be_relative(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("w/workflow.cwl", workflow("../tool.cwl"))
    write("tool.cwl", tool("a:1"))
    monkeypatch.chdir(tmp_path)
    assert find_images([Path("w")]) == ({"a:1": [os.path.join("w", "workflow.cwl")]}, [])
