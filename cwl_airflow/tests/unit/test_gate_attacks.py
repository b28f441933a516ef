"""Attacks on what a run may read and where it may write, each through the engine as its tasks run it.

Whatever an attack is: it must be refused, in words that name what it is about; the secret must be nowhere in what the
run wrote; and nothing outside the run's own folders may have changed. That is checked for every row alike.
"""

from __future__ import annotations

import copy
import json
import os
import re
import socket
import stat
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cwl_airflow.documents import load as documents
from cwl_airflow.documents.planning import make_plan
from cwl_airflow.gate import DataPath, Places, Refused
from cwl_airflow.gate.fetching import check_public
from cwl_airflow.gate.job import check_folder, check_job
from cwl_airflow.gate.names import check_name
from cwl_airflow.gate.objects import LISTS, TEXT, check_names
from cwl_airflow.gate.outputs import NAMED
from cwl_airflow.gate.places import RUNS
from cwl_airflow.runs.executor import JobFailure, StepExecutor
from cwl_airflow.runs.inputs import begin_run
from cwl_airflow.runs.job_input import folders_named_by_job
from cwl_airflow.runs.layout import RunLayout, run_folders
from cwl_airflow.runs.outputs import collect_outputs
from cwl_airflow.runs.run import CWLRun
from cwl_airflow.runs.steps import run_step
from cwltool.errors import WorkflowException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests_hardened.ip_filter import InvalidIPAddress
from schema_salad.exceptions import ValidationException

SECRET = "fernet_key-of-the-test"
FOLDERS_BESIDE = ("data", "results", "etc")
Job = dict[str, Any]


class Site:
    """The folders of a site, with a secret beside them."""

    def __init__(self, folder: Path) -> None:
        """Make them."""
        self.top = folder
        self.failures: list[JobFailure] = []
        home = folder / "home"
        cwl = home / "cwl"
        self.places = Places(
            home=home,
            dags=home / "dags",
            inputs=cwl / "inputs",
            outputs=cwl / "outputs",
            tmp=cwl / "tmp",
            embedded=cwl / "pickle/embedded",
            data=(DataPath(folder / "data"), DataPath(folder / "results", writable=True)),
        )
        self.inputs, self.dags, self.outputs = self.places.inputs, self.places.dags, self.places.outputs
        self.run_folder = self.places.tmp / "mine/run"
        for each in (self.inputs, self.dags / "mine", self.outputs / "mine", self.outputs / "other/run"):
            each.mkdir(parents=True)
        for each in (self.run_folder, self.places.tmp / "other/run", *(folder / name for name in FOLDERS_BESIDE)):
            each.mkdir(parents=True)
        self.secret = folder / "etc/airflow.conf"
        self.others_output = self.outputs / "other/run/out.txt"
        self.others_data = self.places.tmp / "other/run/between.txt"
        for each in (self.secret, self.others_output, self.others_data, home / "airflow.cfg", folder / "data/.netrc"):
            each.write_text(SECRET)
        (self.dags / "mine/dag.py").write_text(f"from airflow import DAG  # {SECRET}")
        (self.inputs / "good.txt").write_text("good")
        (self.inputs / "link").symlink_to(self.secret)
        (self.inputs / "chain").symlink_to("link")
        (self.inputs / "etc").symlink_to(folder / "etc")
        (self.inputs / "folder").mkdir()
        (self.inputs / "folder/link").symlink_to(self.secret)
        (folder / "results/dags").symlink_to(self.dags)
        (self.inputs / "pipes/deep").mkdir(parents=True)
        (self.inputs / "pipes/linked").mkdir()
        (self.inputs / "pipes/linked/a").symlink_to("../../fifo")
        for fifo in ("fifo", "pipes/deep/fifo", "good.txt.fai"):
            os.mkfifo(self.inputs / fifo)
        with socket.socket(socket.AF_UNIX) as server:
            # The name of a socket may have 107 bytes only.
            here = os.getcwd()
            os.chdir(self.inputs)
            server.bind("socket")
            os.chdir(here)

    def snapshot(self) -> dict[str, Any]:
        """Return all that is there, but for what the run may write and the document that the test writes."""
        own = (self.run_folder, self.outputs / "mine", self.dags / "mine/document.cwl")
        found = {}
        for path in sorted(self.top.rglob("*")):
            if not any(path == folder or folder in path.parents for folder in own):
                found[str(path)] = (
                    path.read_bytes() if path.is_file() and not path.is_symlink() else path.lstat().st_mode
                )
        return found

    def written(self) -> str:
        """Return all text that the run wrote, and what it says of its failures; in the outputs, links are followed."""
        text = str(self.failures)
        for folder in (self.run_folder, self.outputs / "mine"):
            for path in folder.rglob("*"):
                if path.is_file() and (folder != self.run_folder or not path.is_symlink()):
                    text += path.read_text(encoding="utf-8", errors="replace")
        return text

    def run(
        self,
        document: Job,
        job: Any,
        reads: tuple[str, ...] | None = (),
        between: Callable[[], object] = lambda: None,
        outdir: Path | None = None,
    ) -> Job:
        """Run a document as the tasks of its DAG do, and return its outputs.

        :param between: is called when the run has begun.
        """
        file = self.dags / "mine/document.cwl"
        file.write_text(json.dumps({"cwlVersion": "v1.2", **document}))
        gate = self.places.gate("mine", self.run_folder, reads)
        made = CWLRun(str(file), RunLayout(self.run_folder), gate, {"eval_timeout": 60})
        begin_run(made, job, str(self.inputs))
        between()
        plan = make_plan(documents.load_document(str(file), gate).process, "tool")
        for name, task in plan.tasks.items():
            executor = StepExecutor(4, 4096)
            try:
                run_step(made, task.step, name, executor)
            finally:
                self.failures += executor.failures
        return collect_outputs(made, outdir or self.outputs / "mine/run")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site of the test's own."""
    return Site(tmp_path)


def tool(script: str, **more: Any) -> Job:
    """Return a tool that runs a script, with JavaScript."""
    made = {"class": "CommandLineTool", "arguments": ["bash", "-c", script], "inputs": {}, "outputs": {}, **more}
    made["requirements"] = {"InlineJavascriptRequirement": {}, **more.get("requirements", {})}
    return made


FILE_OUT = {"out": {"type": "File", "outputBinding": {"glob": "out"}}}
FOLDER_OUT = {"out": {"type": "Directory", "outputBinding": {"glob": "out"}}}
#: Takes whatever it is given, shows it, and gives it back.
TAKE = tool(
    'cat "$0" 2>&1; cp -rL . /dev/null 2>/dev/null; true',
    inputs={"x": "Any?", "files": {"type": "File[]?"}},
    stdout="shown",
    outputs={"shown": "stdout", "back": {"type": "Any?", "outputBinding": {"outputEval": "$(inputs.x)"}}},
)
TAKE["arguments"].append("$(inputs.x && inputs.x.path ? inputs.x.path : '/dev/null')")
SCATTER = {
    "class": "Workflow",
    "requirements": {f"{each}Requirement": {} for each in ("ScatterFeature", "InlineJavascript", "SubworkflowFeature")},
    "inputs": {"x": "Any"},
    "outputs": {"out": {"type": "Any", "outputSource": "each/back"}},
    "steps": {"each": {"run": TAKE, "scatter": "x", "in": {"x": "x"}, "out": ["back"]}},
}  # fmt: skip
NESTED = {
    **SCATTER,
    "steps": {
        "each": {
            "run": {**SCATTER, "outputs": {"back": {"type": "Any", "outputSource": "each/back"}}},
            "in": {"x": "x"},
            "out": ["back"],
        }
    },
}


def file(path: str, **more: Any) -> Job:
    """Return a file."""
    return {"class": "File", "path": path, **more}


def located(location: str) -> Job:
    """Return a file by its location."""
    return {"class": "File", "location": location}


#: Jobs that name what they may not read: the value of the input, made from the paths of the site.
READS: dict[str, Callable[[Site], Any]] = {
    "absolute path": lambda site: file(str(site.secret)),
    "location": lambda site: located(site.secret.as_uri()),
    "location that is a path": lambda site: located(str(site.secret)),
    "one slash": lambda site: located(f"file:{site.secret}"),
    "host": lambda site: located(f"file://localhost{site.secret}"),
    "capitals": lambda site: located(f"FILE://{site.secret}"),
    "doubled slashes": lambda site: file(str(site.secret).replace("/", "//")),
    "dots in between": lambda site: file(str(site.inputs) + "/./../inputs/../../../etc/airflow.conf"),
    "relative": lambda _: file("../../../etc/airflow.conf"),
    "relative through what is not there": lambda _: file("none/../../../../etc/airflow.conf"),
    "encoded dots": lambda _: located("%2e%2e/%2e%2e/%2e%2e/etc/airflow.conf"),
    "encoded slashes": lambda _: file("..%2f..%2f..%2fetc%2fairflow.conf"),
    "encoded path": lambda site: located("file://" + "".join(f"%{ord(each):02x}" for each in str(site.secret))),
    "encoded twice": lambda _: located("%252e%252e/%252e%252e/%252e%252e/etc/airflow.conf"),
    "full-width dots": lambda _: file("．．/．．/．．/etc/airflow.conf"),  # noqa: RUF001
    "other slashes": lambda _: file("..∕..∕..∕etc∕airflow.conf"),  # noqa: RUF001
    "backslashes": lambda _: file("..\\..\\..\\etc\\airflow.conf"),
    "other case": lambda site: file(str(site.secret).replace("/etc/", "/ETC/")),
    "NUL": lambda site: file(f"good.txt\0{site.secret}"),
    "encoded NUL": lambda site: located(f"{site.inputs.as_uri()}/good.txt%00"),
    "newline": lambda site: file(f"{site.secret}\n"),
    "fragment": lambda site: located(f"{site.secret.as_uri()}#x"),
    "query": lambda site: located(f"{site.secret.as_uri()}?x"),
    "link": lambda site: file(str(site.inputs / "link")),
    "link to a link": lambda _: file("chain"),
    "through a linked folder": lambda _: file("etc/airflow.conf"),
    "process's root": lambda site: file(f"/proc/self/root{site.secret}"),
    "process's folder": lambda site: file(f"/proc/self/cwd/../../../../../../../../../..{site.secret}"),
    "environment": lambda _: file("/proc/self/environ"),
    "system": lambda _: file("/etc/passwd"),
    "device": lambda _: file("/dev/zero"),
    "standard input": lambda _: file("/dev/stdin"),
    "FIFO": lambda _: file("fifo"),
    "socket": lambda _: file("socket"),
    "FIFO as a folder": lambda _: {"class": "Directory", "path": "fifo"},
    "FIFO deep in a folder": lambda _: {"class": "Directory", "path": "pipes"},
    "link in a folder to a FIFO": lambda _: {"class": "Directory", "path": "pipes/linked"},
    "FIFO in a listing": lambda _: {"class": "Directory", "basename": "x", "listing": [file("fifo")]},
    "folder with a FIFO in a listing": lambda _: {
        "class": "Directory", "basename": "x", "listing": [{"class": "Directory", "path": "pipes"}]
    },
    "socket in a listing": lambda _: {"class": "Directory", "basename": "x", "listing": [file("socket")]},
    "secondary file that is a FIFO": lambda _: file("good.txt", secondaryFiles=[file("fifo")]),
    "secondary folder with a FIFO": lambda _: file(
        "good.txt", secondaryFiles=[{"class": "Directory", "path": "pipes"}]
    ),
    "$include of a FIFO": lambda _: {"$include": "fifo"},
    "$import of a FIFO": lambda _: {"$import": "fifo"},
    "Airflow's configuration": lambda site: file(str(site.places.home / "airflow.cfg")),
    "DAG file": lambda site: file(str(site.dags / "mine/dag.py")),
    "outputs of another DAG": lambda site: file(str(site.others_output)),
    "data of another run": lambda site: file(str(site.others_data)),
    "program's settings in a data path": lambda site: file(str(site.top / "data/.netrc")),
    "folder": lambda site: {"class": "Directory", "path": str(site.top / "etc")},
    "folder with a link in it": lambda _: {"class": "Directory", "path": "folder"},
    "all there is": lambda _: {"class": "Directory", "path": "/"},
    "folder with a DAG file": lambda site: {"class": "Directory", "path": str(site.dags / "mine")},
    "folder with a program's settings": lambda site: {"class": "Directory", "path": str(site.top / "data")},
    "all of the inputs' parent": lambda site: {"class": "Directory", "path": str(site.places.home)},
    "listing": lambda site: {"class": "Directory", "basename": "x", "listing": [file(str(site.secret))]},
    "listing of a listing": lambda site: {
        "class": "Directory", "basename": "x",
        "listing": [{"class": "Directory", "basename": "y", "listing": [file(str(site.secret))]}],
    },
    "secondary file": lambda site: file("good.txt", secondaryFiles=[file(str(site.secret))]),
    "secondary file that is a link": lambda _: file("good.txt", secondaryFiles=[file("link")]),
    "in a list": lambda site: [file("good.txt"), file(str(site.secret))],
    "in a record": lambda site: {"one": {"two": [file(str(site.secret))]}},
    "$include": lambda site: {"$include": str(site.secret)},
    "$include of a URI": lambda site: {"$include": site.secret.as_uri()},
    "$include, relative": lambda _: {"$include": "../../../etc/airflow.conf"},
    "$include of a link": lambda _: {"$include": "chain"},
    "$include in a list": lambda site: [{"deep": {"$include": str(site.secret)}}],
    "$include of the environment": lambda _: {"$include": "/proc/self/environ"},
    "$include as contents": lambda site: {"class": "File", "basename": "x", "contents": {"$include": str(site.secret)}},
    "$import": lambda site: {"$import": str(site.secret)},
    "$import of what includes": lambda site: {"$import": imported(site)},
    "$mixin": lambda site: {"$mixin": str(site.secret), "more": 1},
    "http to this host": lambda _: located("http://127.0.0.1:9/x"),
    "http by name": lambda _: located("http://localhost:9/x"),
    "http in IPv6": lambda _: located("http://[::1]:9/x"),
    "http as a number": lambda _: located("http://2130706433:9/x"),
    "http to all addresses": lambda _: located("http://0.0.0.0:9/x"),
    "metadata of a cloud": lambda _: located("http://169.254.169.254/latest/meta-data"),
    "http in capitals": lambda _: located("HTTP://127.0.0.1:9/x"),
    "$include over http": lambda _: {"$include": "http://127.0.0.1:9/x"},
    "$import over http": lambda _: {"$import": "http://127.0.0.1:9/x"},
    "ftp": lambda _: located("ftp://127.0.0.1/x"),
    "another DAG's attachment": lambda site: file(written(site.places.tmp / "@wes/other/x.cwl")),
    "all attachments": lambda site: {"class": "Directory", "path": str(site.places.tmp / "@wes")},
    "compiled Python": lambda site: file(written(site.dags / "mine/x.pyc")),
    "archive of DAGs": lambda site: file(archived(site.dags / "mine/x.zip")),
    "what Airflow ignores": lambda site: file(written(site.dags / ".airflowignore")),
    "git's settings": lambda site: file(written(site.dags / ".git/config")),
}  # fmt: skip


def written(path: Path) -> str:
    """Write the secret into a file, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECRET)
    return str(path)


def archived(path: Path) -> str:
    """Write an archive with a DAG file, and return its path."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dag.py", SECRET)
    return str(path)


#: Nothing is to be found at these, whatever the gate says.
NOWHERE = {
    "capitals", "one slash", "encoded twice", "full-width dots", "other slashes", "backslashes", "other case",
    "newline", "relative through what is not there", "ftp", "fragment",
}  # fmt: skip


def imported(site: Site) -> str:
    """Write a file that includes the secret, and return its name."""
    (site.inputs / "imported.yml").write_text(yaml.safe_dump({"deep": {"$include": str(site.secret)}}))
    return "imported.yml"


def refused(site: Site, act: Callable[[], object]) -> str:
    """Return why something was refused, when it has left nothing behind."""
    before = site.snapshot()
    # Of anything else, nobody meant it.
    with pytest.raises((Refused, WorkflowException, ValidationException, OSError, ValueError)) as error:
        act()
    assert site.snapshot() == before
    assert SECRET not in site.written()
    assert "root:x:0" not in site.written()
    assert SECRET not in str(error.value)
    return str(error.value)


def in_a_file(site: Site, job: Any) -> str:
    """Write a job's file into the inputs, and return its name."""
    (site.inputs / "job.yml").write_text(yaml.safe_dump(job))
    return "job.yml"


SHAPES: dict[str, Callable[[Site, Any], tuple[Job, Any]]] = {
    "tool": lambda _, value: (TAKE, {"x": value}),
    "scattered": lambda _, value: (SCATTER, {"x": [value]}),
    "nested": lambda _, value: (NESTED, {"x": [value]}),
    "job's file": lambda site, value: (TAKE, in_a_file(site, {"x": value})),
    "default": lambda site, value: (
        {**TAKE, "inputs": {"x": {"type": "Any?", "default": absolute(site, value)}}}, {}
    ),
}  # fmt: skip


def absolute(site: Site, value: Any) -> Any:
    """Return a value whose relative paths lead from the document where they led from the inputs."""
    text = json.dumps(value)
    for name in (
        "good.txt",
        "link",
        "chain",
        "etc/airflow.conf",
        "folder",
        "fifo",
        "socket",
        "pipes",
        "pipes/linked",
        "imported.yml",
    ):
        text = text.replace(f'"{name}"', json.dumps(str(site.inputs / name)))
    return json.loads(text)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", READS)
def test_nothing_is_read_that_may_not_be(site: Site, name: str, shape: str) -> None:
    document, job = SHAPES[shape](site, READS[name](site))
    why = refused(site, lambda: site.run(document, job))
    if name not in NOWHERE:
        assert any(word in why for word in ("may not be", "neither a file", "no absolute path", "NUL", "must be")), why


#: What a file may not be called, in a job, in what a tool says or in what an expression makes.
NAMES = ["../x", "../../../../dags/x.py", "/etc/x", "a/b", "..", ".", "a\0b", "x" * 256, "a/../../x", "\u00e4" * 128]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize(
    "value",
    [
        lambda name: {"class": "File", "basename": name, "contents": "x"},
        lambda name: file("good.txt", basename=name),
        lambda name: {"class": "Directory", "basename": name, "listing": []},
        lambda name: {"class": "Directory", "basename": "x", "listing": [file("good.txt", basename=name)]},
        lambda name: file("good.txt", secondaryFiles=[file("good.txt", basename=name)]),
    ],
    ids=["literal", "file", "folder", "listing", "secondary file"],
)
def test_an_input_is_called_like_a_file(site: Site, name: str, value: Callable[[str], Any]) -> None:
    why = refused(site, lambda: site.run(TAKE, {"x": value(name)}))
    assert why.startswith("Input 'x': the name "), why


@given(st.text() | st.text(alphabet="./\\~\0ab", max_size=8) | st.sampled_from(NAMES))
def test_a_name_that_is_taken_is_that_of_a_file_in_the_folder(name: str) -> None:
    try:
        check_name(name, "Input 'x'")
    except Refused as error:
        assert "\n" not in str(error)
        return
    assert os.path.normpath(f"/folder/{name}") == f"/folder/{name}"
    assert os.path.dirname(f"/folder/{name}") == "/folder"
    assert "\0" not in name


PARTS = [
    "..",
    ".",
    "",
    "etc",
    "link",
    "chain",
    "folder",
    "good.txt",
    "airflow.conf",
    "home",
    "cwl",
    "inputs",
    "dags",
    "mine",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PARTS), max_size=10))
def test_whatever_leads_to_a_file_only_what_may_be_read_is(site: Site, parts: list[str]) -> None:
    path = "/".join([str(site.inputs), *parts])
    gate = site.places.gate("mine", site.run_folder)
    try:
        with gate.open(path, "Input 'x'") as stream:
            text = stream.read().decode()
    except (Refused, OSError):
        return
    assert text == "good"
    assert os.path.realpath(path) == str(site.inputs / "good.txt")


@pytest.mark.parametrize("key", ["dirname", "nameroot", "nameext"])
def test_a_job_does_not_say_where_a_file_is_put(site: Site, key: str) -> None:
    document = tool("true", inputs={"x": "File"}, stdout="$(inputs.x.nameroot)", outputs={"said": "stdout"})
    value = file("good.txt", **{key: str(site.dags)})
    before = site.snapshot()
    try:
        site.run(document, {"x": value})
    except Refused as error:
        assert "Input 'x'" in str(error)
    assert site.snapshot() == before


def literal(name: str) -> Job:
    """Return a file that is a literal."""
    return {"class": "File", "basename": name, "contents": "x"}


def made_by(expression: str) -> Job:
    """Return a tool that is an expression."""
    return {
        "class": "ExpressionTool",
        "requirements": {"InlineJavascriptRequirement": {}},
        "inputs": {},
        "outputs": {"out": "Any"},
        "expression": f"${{ return {{out: {expression}}}; }}",
    }


def workflow_with(value_from: str) -> Job:
    """Return a workflow whose step gets the value of an expression."""
    return {
        "class": "Workflow",
        "requirements": {"StepInputExpressionRequirement": {}, "InlineJavascriptRequirement": {}},
        "inputs": {},
        "outputs": {"out": {"type": "Any", "outputSource": "take/back"}},
        "steps": {"take": {"run": TAKE, "in": {"x": {"valueFrom": value_from}}, "out": ["back"]}},
    }


def says(out: Any, script: str = "touch out") -> Job:
    """Return a tool that says itself what its output is."""
    return tool(f"{script}; cat > cwl.output.json <<'END'\n{json.dumps({'out': out})}\nEND", outputs={"out": "Any"})


def finds(script: str, kind: str = "File", glob: str = "out", secondaryFiles: Any = (), **binding: Any) -> Job:
    """Return a tool whose output is found by a pattern."""
    out = {"type": kind, "secondaryFiles": secondaryFiles, "outputBinding": {"glob": glob, **binding}}
    return tool(script, outputs={"out": {key: value for key, value in out.items() if value != ()}})


def puts(entry: Any, script: str = "true", **more: Any) -> Job:
    """Return a tool with something in its output folder from the beginning."""
    return tool(script, requirements={"InitialWorkDirRequirement": {"listing": [entry]}}, **more)


def in_place(script: str, gives: bool = False) -> Job:
    """Return a workflow whose second step changes the folder that the first one made.

    :param gives: whether the folder is its output too.
    """
    requirements = {"InplaceUpdateRequirement": {"inplaceUpdate": True}, "InitialWorkDirRequirement": {
        "listing": [{"entry": "$(inputs.x)", "entryname": "out", "writable": True}]}}  # fmt: skip
    outputs = FOLDER_OUT if gives else {}
    update = tool(script, inputs={"x": "Directory"}, requirements=requirements, outputs=outputs)
    return {
        "class": "Workflow",
        "inputs": {},
        "outputs": {"out": {"type": "Directory", "outputSource": "update/out" if gives else "make/out"}},
        "steps": {
            "make": {"run": tool("mkdir out", outputs=FOLDER_OUT), "in": {}, "out": ["out"]},
            "update": {"run": update, "in": {"x": "make/out"}, "out": list(outputs)},
        },
    }


AT_SECRET = "{class: 'File', location: 'file://@SECRET'}"
UP = "../" * 20
#: Tools that give as an output what is not theirs, or under a name that is none. @ and capitals stand for paths.
OUTPUTS: dict[str, Job] = {
    "link": finds("ln -s @SECRET out"),
    "relative link": finds(f"ln -s {UP}@SECRET out"),
    "link to a link": finds("ln -s @SECRET a; ln -s a out"),
    "link to a folder": finds("ln -s @ETC out", "Directory"),
    "through a linked folder": finds("ln -s @ETC etc", glob="etc/airflow.conf"),
    "link in a folder": finds("mkdir -p out/a; ln -s @SECRET out/a/b", "Directory"),
    "linked folder in a folder": finds("mkdir -p out/a; ln -s @ETC out/a/b", "Directory"),
    "link to the system": finds("mkdir out; ln -s /etc/passwd out/p", "Directory"),
    "link to what the run may read": finds("ln -s @INPUTS/good.txt out"),
    "link that is read": finds("ln -s @SECRET out", "string", loadContents=True, outputEval="$(self[0].contents)"),
    "listing of a linked folder": finds("mkdir out; ln -s @ETC out/a", "Directory", loadListing="deep_listing"),
    "glob upwards": finds("true", glob=f"{UP}etc/passwd"),
    "glob upwards from a folder": finds("mkdir a", glob=f"a/{UP}@SECRET"),
    "cwl.output.json is a link": tool("ln -s @SECRET cwl.output.json", outputs={"out": "Any"}),
    "says a path": says(file("@SECRET")),
    "says a location": says(located("file://@SECRET")),
    "says a path upwards": says(file(f"{UP}etc/passwd")),
    "says a location upwards": says(located(f"{UP}etc/passwd")),
    "says an encoded location": says(located("..%2f" * 20 + "etc%2fpasswd")),
    "says a link": says(file("out"), "ln -s @SECRET out"),
    "says a link in a list": says([[{"a": file("out")}]], "ln -s @SECRET out"),
    "says a folder": says({"class": "Directory", "path": "@ETC"}),
    "says a listing": says({"class": "Directory", "basename": "x", "listing": [file("@SECRET")]}),
    "says a secondary file": says(file("out", secondaryFiles=[file("@SECRET")])),
    **{f"says the name {number}": says(file("out", basename=name)) for number, name in enumerate(NAMES)},
    **{f"says the literal {number}": says(literal(name)) for number, name in enumerate(NAMES)},
    "says a literal folder": says({"class": "Directory", "basename": "../x", "listing": []}),
    "says a literal in a folder": says({"class": "Directory", "basename": "x", "listing": [literal("../../x")]}),
    "FIFO": finds("mkfifo out"),
    "FIFO in a folder": finds("mkdir out; mkfifo out/a", "Directory"),
    "FIFO deep in a folder": finds("mkdir -p out/a/b; mkfifo out/a/b/c", "Directory"),
    "FIFO as a folder": finds("mkfifo out", "Directory"),
    "FIFO among others": finds("touch a; mkfifo out", "File[]", glob="*"),
    "FIFO that is read": finds("mkfifo out", "string", loadContents=True, outputEval="$(self[0].contents)"),
    "FIFO that is listed": finds("mkdir out; mkfifo out/a", "Directory", loadListing="deep_listing"),
    "FIFO as a secondary file": finds("touch out; mkfifo out.fai", secondaryFiles=".fai"),
    "link to a FIFO": finds("mkfifo a; ln -s a out"),
    "link in a folder to a FIFO": finds("mkfifo a; mkdir out; ln -s ../a out/b", "Directory"),
    "stdout that becomes a FIFO": tool("rm o; mkfifo o", stdout="o", outputs={"out": "stdout"}),
    "cwl.output.json is a FIFO": tool("mkfifo cwl.output.json", outputs={"out": "Any"}),
    "says a FIFO": says(file("out"), "mkfifo out"),
    "says a folder with a FIFO": says({"class": "Directory", "path": "out"}, "mkdir out; mkfifo out/a"),
    "says a secondary FIFO": says(file("out", secondaryFiles=[file("a")]), "touch out; mkfifo a"),
    "socket": finds("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"out\")'"),
    "socket in a folder": finds(
        "mkdir out; cd out; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"a\")'", "Directory"
    ),
    "link in a folder to a device": finds("mkdir out; ln -s /dev/zero out/a", "Directory"),
    "link to a device": finds("ln -s /dev/zero out"),
    "stderr that becomes a link": tool("rm e; ln -s @SECRET e", stderr="e", outputs={"out": "stderr"}),
    "stderr that becomes a FIFO": tool("rm e; mkfifo e", stderr="e", outputs={"out": "stderr"}),
    "stdout upwards": tool("true", stdout="../x", outputs={"out": "stdout"}),
    "stdout anywhere": tool("true", stdout="@DAGS/x.py", outputs={"out": "stdout"}),
    "stderr upwards": tool("true", stderr="a/../../x", outputs={"out": "stderr"}),
    "stdout over an input": puts(located("file://@INPUTS/good.txt"), "echo over", stdout="good.txt"),
    "entry upwards": puts({"entryname": "../x", "entry": "x"}),
    "entry further upwards": puts({"entryname": "a/../../../x", "entry": "x"}),
    "entry anywhere": puts({"entryname": "@DAGS/x.py", "entry": "x"}),
    "entry that may not be read": puts({"entryname": "a", "entry": f"${{ return {AT_SECRET}; }}"}, "cat a", stdout="b"),
    "expression's file": made_by(AT_SECRET),
    "expression's path": made_by("{class: 'File', path: '@SECRET'}"),
    "expression's file in a record": made_by(f"{{a: [{AT_SECRET}]}}"),
    "expression's folder": made_by("{class: 'Directory', location: 'file://@ETC'}"),
    "expression's name": made_by("{class: 'File', basename: '../x', contents: 'x'}"),
    "expression's link": made_by("{class: 'File', location: 'file://@INPUTS/chain'}"),
    "evaluated output": finds("true", outputEval=f"${{ return {AT_SECRET}; }}"),
    "evaluated name": finds("touch out", outputEval="${ self[0].basename = '../../x'; return self; }"),
    "value of an input": workflow_with(f"${{ return {AT_SECRET}; }}"),
    "link that leads nowhere yet": finds("mkdir out; ln -s ../../x out/a", "Directory"),
    "a part of a folder": says(
        {"class": "Directory", "path": "out", "listing": [file("out/good")]},
        "mkdir out; touch out/good; ln -s nothing out/a",
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_output_is_what_is_not_the_tools_to_give(site: Site, name: str) -> None:
    text = json.dumps(OUTPUTS[name])
    paths = {"@SECRET": site.secret, "@ETC": site.secret.parent, "@INPUTS": site.inputs, "@DAGS": site.dags}
    for short, path in paths.items():
        text = text.replace(short, str(path))
    why = refused(site, lambda: site.run(json.loads(text), {}))
    why += "".join(line for failure in site.failures for line in (failure.reason, *failure.lines))
    # In cwltool's words where it refuses by itself.
    words = "leads out|may not be read|the name|neither a file|is also what|no file of the run|within designated output"
    words += "|leads nowhere|missing both|cannot start with|can only start with|must be a relative path|Anonymous file"
    assert re.search(words, " ".join(why.split())), why


@pytest.mark.parametrize("folder", [False, True])
def test_outputs_lose_setuid_and_setgid(site: Site, folder: bool, caplog: pytest.LogCaptureFixture) -> None:
    script = (
        "mkdir -p out/a && cp /bin/true out/a/x && chmod 6755 out/a/x out/a out"
        if folder
        else "cp /bin/true out && chmod 6755 out"
    )
    outputs = site.run(tool(script, outputs=FOLDER_OUT if folder else FILE_OUT), {})
    path = Path(outputs["out"]["path"])
    for each in (path, *path.rglob("*")):
        assert each.stat().st_mode & 0o7777 == 0o755
    (said,) = [line for line in caplog.messages if "setuid" in line and "$ bash" not in line]
    name = "out/a/x" if folder else "out"
    assert re.fullmatch(f"Output 'out': setuid and setgid are taken from /.*/{name}", said)


def test_each_file_that_loses_setuid_is_told_of_in_a_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    script = f'mkdir out; for i in {{1..{NAMED + 5}}}; do touch "out/$i\n"; done; chmod 4755 out/*'
    site.run(tool(script, outputs=FOLDER_OUT), {})
    said = [line for line in caplog.messages if line.startswith("Output 'out': setuid and setgid are taken from ")]
    assert len(said) == NAMED + 1
    assert said[-1].endswith(" from 5 files more")
    assert all("\n" not in line for line in said)


@pytest.mark.parametrize("gives", [False, True])
@pytest.mark.parametrize(
    "script", ["mkfifo out/a", "cd out; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"a\")'"]
)
def test_what_is_no_file_is_not_put_into_a_folder_in_place(site: Site, script: str, gives: bool) -> None:
    why = refused(site, lambda: site.run(in_place(script, gives), {}))
    assert "is neither a file nor a folder" in why


def test_a_secondary_file_that_a_tool_asks_for_is_a_file(site: Site) -> None:
    document = tool("true", inputs={"x": {"type": "File", "secondaryFiles": [".fai"]}})
    why = refused(site, lambda: site.run(document, {"x": file("good.txt")}))
    assert "good.txt.fai is neither a file nor a folder" in why


def test_a_document_includes_no_fifo(site: Site) -> None:
    os.mkfifo(site.dags / "mine/pipe")
    library = {"InlineJavascriptRequirement": {"expressionLib": [{"$include": "pipe"}]}}
    why = refused(site, lambda: site.run(tool("true", requirements=library), {}))
    assert "pipe is neither a file nor a folder" in why


def test_a_job_that_is_a_fifo_is_refused(site: Site) -> None:
    assert "fifo is neither a file nor a folder" in refused(site, lambda: site.run(TAKE, "fifo"))


def test_what_a_tool_leaves_beside_its_outputs_is_left(site: Site) -> None:
    outputs = site.run(tool("echo a > out; mkfifo other", outputs=FILE_OUT), {})
    assert [path.name for path in Path(outputs["out"]["path"]).parent.iterdir()] == ["out"]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root makes devices; tests_day2/test_special_files.py tries them on a host"
)
@pytest.mark.parametrize("path", ["device", "devices"])
def test_a_device_is_no_input(site: Site, path: str) -> None:
    (site.inputs / "devices/deep").mkdir(parents=True)
    for name in ("device", "devices/deep/device"):
        os.mknod(site.inputs / name, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    kind = "File" if path == "device" else "Directory"
    why = refused(site, lambda: site.run(TAKE, {"x": {"class": kind, "path": path}}))
    assert "neither a file nor a folder" in why


def test_what_is_updated_in_place_loses_setuid(site: Site) -> None:
    update = tool(
        "chmod 6755 out",
        requirements={
            "InplaceUpdateRequirement": {"inplaceUpdate": True},
            "InitialWorkDirRequirement": {"listing": [{"entry": "$(inputs.x)", "writable": True}]},
        },
        inputs={"x": "File"},
        outputs=FILE_OUT,
    )
    document = {
        "class": "Workflow",
        "inputs": {},
        "outputs": {"out": {"type": "File", "outputSource": "update/out"}},
        "steps": {
            "make": {"run": finds("touch out"), "in": {}, "out": ["out"]},
            "update": {"run": update, "in": {"x": "make/out"}, "out": ["out"]},
        },
    }
    outputs = site.run(document, {})
    assert Path(outputs["out"]["path"]).stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("name", ["x.py", ".ssh"])
def test_no_part_of_a_folder_gets_through_unlisted(site: Site, name: str) -> None:
    there = site.top / "results/out"
    there.mkdir()
    (there / "x.py").symlink_to(site.dags / "evil.py")
    document = says(
        {"class": "Directory", "path": "out", "listing": [file("out/good")]},
        f"mkdir -p out/.ssh; touch out/good out/{name if name == 'x.py' else '.ssh/authorized_keys'}",
    )
    refused(site, lambda: site.run(document, {}, outdir=site.top / "results"))
    assert sorted(path.name for path in there.rglob("*")) == ["x.py"]


def test_a_folder_is_collected_with_all_that_is_in_it(site: Site) -> None:
    document = says(
        {"class": "Directory", "path": "out", "listing": [file("out/one")]}, "mkdir out; touch out/one out/two"
    )
    outputs = site.run(document, {})
    assert sorted(each["basename"] for each in outputs["out"]["listing"]) == ["one", "two"]
    assert all(Path(each["path"]).is_file() for each in outputs["out"]["listing"])


#: Folders that a job names for its run.
FOLDERS: dict[str, Callable[[Site], str]] = {
    "DAGs": lambda site: str(site.dags),
    "in the DAGs": lambda site: str(site.dags / "x"),
    "upwards": lambda _: "../../dags/x",
    "upwards from its own": lambda _: "mine/../../../dags/x",
    "another DAG's": lambda _: "other/run",
    "all outputs": lambda site: str(site.outputs),
    "inputs": lambda site: str(site.inputs / "x"),
    "Airflow's": lambda site: str(site.places.home / "logs"),
    "system": lambda _: "/etc/cron.d",
    "not writable": lambda site: str(site.top / "data/x"),
    "linked": lambda site: str(site.top / "results/dags/x"),
    "settings": lambda site: str(site.top / "results/.ssh"),
    "NUL": lambda site: f"{site.top}/results/a\0b",
    "doubled": lambda site: f"//{site.dags}//x",
    "beginning alike": lambda site: f"{site.top}/results-2",
    "elsewhere": lambda _: "/tmp/x",
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("key", ["outputs_folder", "tmp_folder"])
@pytest.mark.parametrize("shape", ["job", "job's file"])
def test_a_run_writes_into_no_folder_that_is_not_its_own(site: Site, name: str, key: str, shape: str) -> None:
    job: Any = {key: FOLDERS[name](site)}
    if shape == "job's file":
        job = in_a_file(site, job)
    why = refused(site, lambda: check_job(job, site.places.gate("mine"), str(site.inputs), code_allowed=True))
    assert key in why
    assert "may not be written" in why or "must be the path of a folder" in why


@pytest.mark.parametrize("folder", ["mine/sub", "{top}/results", "{top}/results/new/one", "{outputs}/mine/x"])
def test_a_run_writes_into_folders_of_its_own_and_of_the_site(site: Site, folder: str) -> None:
    check_folder("outputs_folder", folder.format(top=site.top, outputs=site.outputs), site.places.gate("mine"))


#: Jobs that change the document, by which a job would run commands.
ATTACK = {"requirements": {"InlineJavascriptRequirement": {"expressionLib": ["require('fs')"]}}}
CODE: dict[str, Job] = {
    "overrides": {"cwltool:overrides": {"document.cwl": ATTACK}},
    "overrides in full": {"http://commonwl.org/cwltool#overrides": {"document.cwl": ATTACK}},
    "overrides by a name": {
        "$namespaces": {"x": "http://commonwl.org/cwltool#"},
        "x:overrides": {"document.cwl": ATTACK},
    },
    "overrides by another": {
        "$namespaces": {"y": "http://commonwl.org/cwltool#overr"},
        "y:ides": {"document.cwl": ATTACK},
    },
    "overrides in capitals": {"cwltool:Overrides": {"document.cwl": ATTACK}},
    "requirements": {"cwl:requirements": [{"class": "InlineJavascriptRequirement"}]},
    "requirements in full": {"https://w3id.org/cwl/cwl#requirements": [{"class": "InlineJavascriptRequirement"}]},
}


@pytest.mark.parametrize("shape", ["job", "job's file", "mixed in"])
@pytest.mark.parametrize("name", CODE)
def test_a_job_brings_no_code(site: Site, name: str, shape: str) -> None:
    job: Any = CODE[name]
    if shape == "job's file":
        job = in_a_file(site, job)
    elif shape == "mixed in":
        job = {"$mixin": in_a_file(site, {})} | job
    document = tool("printf %s made", stdout="out", outputs={"out": "stdout"})
    why = refused(site, lambda: site.run(document, job))
    # schema-salad itself cannot take some names together with $mixin.
    assert "changes the document" in why or "not subscriptable" in why
    assert not (site.run_folder / "overrides.json").exists()


class Server:
    """A server of the test's own on this host's loopback."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        """Start it."""
        self.asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.host = f"127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Stop it."""
        self._http.shutdown()
        self._http.server_close()


def answering(text: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(text)

    return answer


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return what starts servers."""
    started: list[Server] = []

    def start(*arguments: Any, **more: Any) -> Server:
        started.append(Server(arguments[0] if callable(arguments[0]) else answering(*arguments, **more)))
        return started[-1]

    yield start
    for server in started:
        server.close()


def listing(site: Site, *hosts: str, documents: tuple[str, ...] = ("*",)) -> None:
    """Let jobs of a site fetch from hosts."""
    site.places = Places(**{**vars(site.places), "hosts": hosts, "document_hosts": documents})


def test_a_listed_host_is_fetched_from_once_for_a_run(site: Site, serve: Callable[..., Server]) -> None:
    server = serve(b"fetched")
    listing(site, server.host)
    outputs = site.run(SCATTER, {"x": [located(f"http://{server.host}/name.txt")] * 3})
    assert [Path(each["path"]).read_text() for each in outputs["out"]] == ["fetched"] * 3
    assert server.asked == 1


@pytest.mark.parametrize("named", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]"])
def test_a_host_that_is_not_listed_is_not_connected_to(site: Site, serve: Callable[..., Server], named: str) -> None:
    server = serve(SECRET.encode())
    port = server.host.partition(":")[2]
    for hosts in ((), ("files.example.org",), (f"127.0.0.1:{int(port) - 1}",)):
        listing(site, *hosts)
        refused(site, lambda: site.run(TAKE, {"x": located(f"http://{named}:{port}/x")}))
        refused(site, lambda: site.run(TAKE, f"http://{named}:{port}/job.yml"))
    assert server.asked == 0


def test_a_user_in_a_url_is_not_its_host(site: Site, serve: Callable[..., Server]) -> None:
    server = serve(SECRET.encode())
    listing(site, "files.example.org")
    refused(site, lambda: site.run(TAKE, {"x": located(f"http://files.example.org@{server.host}/x")}))
    refused(site, lambda: site.run(TAKE, {"x": located(f"http://{server.host}#@files.example.org/x")}))
    refused(site, lambda: site.run(TAKE, {"x": located(f"http://{server.host}\\@files.example.org/x")}))
    assert server.asked == 0


def test_a_redirect_leads_to_no_host_that_is_not_listed(site: Site, serve: Callable[..., Server]) -> None:
    inside = serve(SECRET.encode())
    outside = serve(b"", 302, Location=f"http://{inside.host}/x")
    listing(site, outside.host)
    refused(site, lambda: site.run(TAKE, {"x": located(f"http://{outside.host}/x")}))
    refused(site, lambda: site.run(TAKE, f"http://{outside.host}/job.yml"))
    assert (inside.asked, outside.asked > 0) == (0, True)


def test_a_document_reaches_no_private_address(site: Site, serve: Callable[..., Server]) -> None:
    server = serve(json.dumps({**TAKE, "cwlVersion": "v1.2"}).encode())
    step = {"run": f"http://{server.host}/tool.cwl", "in": {}, "out": ["back"]}
    document = {**workflow_with(""), "steps": {"take": step}}
    why = refused(site, lambda: site.run(document, {}))
    assert "no public address" in why
    assert server.asked == 0
    listing(site, server.host)
    site.run(document, {})


def test_an_answer_that_is_an_error_is_no_data(site: Site, serve: Callable[..., Server]) -> None:
    server = serve(b"not found", 404)
    listing(site, server.host)
    why = refused(site, lambda: site.run(TAKE, {"x": located(f"http://{server.host}/x")}))
    assert "404" in why


def test_what_is_fetched_has_an_end(site: Site, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]) -> None:
    monkeypatch.setattr("cwl_airflow.gate.fetching.DATA", (2**20, 60.0))
    monkeypatch.setattr("cwl_airflow.gate.fetching.TEXT", (2**20, 60.0))
    server = serve(b"x" * (3 * 2**20))
    listing(site, server.host)
    for job in ({"x": located(f"http://{server.host}/x")}, f"http://{server.host}/job.yml"):
        why = refused(site, lambda job=job: site.run(TAKE, job))  # type: ignore[misc]
        assert "more than 1 MiB" in why


@pytest.mark.full
def test_an_answer_that_is_sent_a_byte_at_a_time_has_an_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    monkeypatch.setattr("cwl_airflow.gate.fetching.TEXT", (2**20, 1.0))
    ended = threading.Event()

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.1):
            try:
                request.wfile.write(b"x")
            except OSError:
                break

    server = serve(trickle)
    listing(site, server.host)
    try:
        for job in ({"x": located(f"http://{server.host}/x")}, f"http://{server.host}/job.yml"):
            why = refused(site, lambda job=job: site.run(TAKE, job))  # type: ignore[misc]
            assert "did not answer within 1 s" in why
    finally:
        ended.set()


@pytest.mark.parametrize("before", ["good.txt", "real"])
def test_a_link_that_is_swapped_after_the_check_leads_nowhere(site: Site, before: str) -> None:
    swapped = site.inputs / "swapped"
    (site.inputs / "real").mkdir()
    swapped.symlink_to(before)
    kind = "File" if before == "good.txt" else "Directory"

    def swap() -> None:
        swapped.unlink()
        swapped.symlink_to(site.secret if kind == "File" else site.secret.parent)

    job = {"x": {"class": kind, "path": "swapped"}}
    with pytest.raises(Exception, match="may not be read"):
        site.run(TAKE, job, between=swap)
    assert SECRET not in site.written()


def test_a_file_that_is_swapped_while_it_is_opened_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = site.places.gate("mine")
    path = site.inputs / "raced"
    for swap in (path, site.inputs / "raced-folder"):
        path.unlink(missing_ok=True)
        (site.inputs / "raced-folder").mkdir(exist_ok=True)
        target = path if swap == path else swap / "airflow.conf"
        target.write_text("harmless")
        real = gate.read(target, "x")

        def change(swap: Path = swap) -> None:
            if swap.is_dir():
                swap.rename(site.inputs / "away")
                swap.symlink_to(site.secret.parent)
            else:
                swap.unlink()
                swap.symlink_to(site.secret)

        change()
        monkeypatch.setattr(type(gate), "read", lambda *_, real=real: real)
        with pytest.raises(Refused):
            gate.open(target, "x")
        monkeypatch.undo()


def test_outputs_of_other_dags_are_read_by_who_may(site: Site) -> None:
    site.others_output.write_text("result")
    job = {"x": file(str(site.others_output))}
    with pytest.raises(Refused, match="output of DAG 'other'"):
        site.run(TAKE, job, reads=("another",))
    for reads in (("other",), None):
        assert Path(site.run(TAKE, job, reads=reads)["back"]["path"]).read_text() == "result"


def test_what_may_be_read_is(site: Site) -> None:
    (site.dags / "mine/deep").mkdir()
    (site.dags / "mine/script.py").write_text("print('not of Airflow')")
    (site.top / "data/genome.fa").write_text("ACGT")
    (site.inputs / "to-data").symlink_to(site.top / "data/genome.fa")
    (site.inputs / "inside").mkdir()
    (site.inputs / "inside/link").symlink_to("../good.txt")
    for value in (
        file("good.txt"),
        file("folder/../good.txt"),
        file(str(site.dags / "mine/deep/../script.py")),
        file(str(site.top / "data/genome.fa")),
        file("to-data"),
        {"class": "Directory", "path": "inside"},
    ):
        assert site.run(TAKE, {"x": value})["back"]["class"] == value["class"]


def test_what_is_not_there_yet_is_made(site: Site) -> None:
    document = tool('cat "$0"', inputs={"x": "Any"}, stdout="shown", outputs={"shown": "stdout"})
    document["arguments"].append("$(inputs.x.class == 'File' ? inputs.x.path : inputs.x.path + '/good.txt')")
    for value, said in (
        ({"class": "File", "basename": "literal", "contents": "x"}, "x"),
        ({"class": "Directory", "basename": "made", "listing": [file("good.txt")]}, "good"),
    ):
        assert Path(site.run(document, {"x": value})["shown"]["path"]).read_text() == said


#: What no field of a file is; a list of files is what two of them are.
WRONG = (1, 1.5, True, [1], [None], [[]], [{}], ["x"], {"a": 1}, [{"class": 1}])
VALUES: dict[str, Job] = {
    "File": {"class": "File", "path": "good.txt"},
    "Directory": {"class": "Directory", "basename": "made", "listing": []},
    "Any": {"class": "File", "path": "good.txt"},
}


def tool_of(kind: str) -> Job:
    """Return a tool with an input of a type."""
    return {"class": "CommandLineTool", "baseCommand": "true", "inputs": {"x": kind}, "outputs": {}}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("key", [*TEXT, *LISTS])
def test_a_field_of_a_wrong_type_is_refused_by_name(site: Site, key: str, kind: str) -> None:
    for wrong in WRONG:
        value = {**VALUES[kind], key: wrong}
        for job in ({"x": value}, in_a_file(site, {"x": value})):
            if key == "dirname" or (key == "class" and kind == "Any"):
                continue  # cwltool sets the one, and of another class it is no file
            with pytest.raises((Refused, WorkflowException, ValidationException, ValueError), match="'x'"):
                site.run(tool_of(kind), job)
        if key not in ("class", "dirname"):
            with pytest.raises(Refused, match="Output 'x'"):  # what a tool or an expression made
                check_names(copy.deepcopy(value), "Output 'x'")


@pytest.mark.parametrize("key", [*TEXT, *LISTS, "size"])
def test_a_field_that_is_null_is_left_out(site: Site, key: str) -> None:
    for value in ({**VALUES["File"], key: None}, {**VALUES["Directory"], "location": "inside", key: None}):
        if key in ("class", "path") or (key == "location" and value["class"] == "Directory"):
            continue  # something must be there
        (site.inputs / "inside").mkdir(exist_ok=True)
        if value["class"] == "Directory":
            value = {name: field for name, field in value.items() if name != "listing" or key == "listing"}
        site.run(tool_of(value["class"]), {"x": value})
        if key in LISTS:
            site.run(tool_of(value["class"]), in_a_file(site, {"x": value}))


@pytest.mark.parametrize("value", [{"class": 3, "score": 0.5}, {"class": None}, [{"class": 0}], {"class": ["a"]}])
def test_a_class_in_plain_data_is_data(site: Site, value: Any) -> None:
    assert site.run(TAKE, {"x": value})["back"] == value
    assert site.run(says(value), {})["out"] == value


def test_a_mapping_that_is_merged_is_whole(site: Site) -> None:
    (site.inputs / "job.yml").write_text("d: &d {path: good.txt}\nx: {class: File, <<: *d}")
    assert site.run(TAKE, "job.yml")["back"]["basename"] == "good.txt"


@pytest.mark.parametrize("kind", ["File", "Directory"])
@pytest.mark.parametrize("url", [
    "http://[", "file://[", "http:", "http:x", "http:///x", "https://a:99999/", "http://a b/", "http://user@/", "ftp://x/y",
    "s3://x/y", "HTTP://x",
])  # fmt: skip
def test_a_url_that_is_none_is_refused_by_name(site: Site, url: str, kind: str) -> None:
    for job in ({"x": {"class": kind, "location": url}}, url):
        with pytest.raises(Refused, match=f"'{'job' if job == url else 'x'}': .*{re.escape(url)}"):
            check_job(job, site.places.gate("mine"), str(site.inputs), code_allowed=True)


def test_a_name_of_an_input_is_text(site: Site) -> None:
    (site.inputs / "job.yml").write_text("1: 2\nx: 3\n")
    with pytest.raises(ValueError, match="which is no name of an input"):
        site.run(TAKE, "job.yml")


ENDLESS = {
    "deep": "x: " + "[" * 1_000_000,
    "deep mappings": "{a: " * 500_000,
    "in itself": "x: {$import: job.yml}",
    "aliases": "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
    "aliases that are imported": "x: {$import: aliases.yml}",
    "nothing": "",
    "a list": "[1]",
    "text": "x",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_job_that_has_no_end_or_no_inputs_is_refused(site: Site, name: str) -> None:
    (site.inputs / "job.yml").write_text(ENDLESS[name])
    (site.inputs / "aliases.yml").write_text(ENDLESS["aliases"])
    with pytest.raises((Refused, ValueError)) as error:
        site.run(TAKE, "job.yml")
    assert str(error.value)


def test_outputs_do_not_go_where_a_run_keeps_its_state(site: Site) -> None:
    gate = site.places.gate("mine")
    for folder in (site.run_folder, site.run_folder / "steps", site.run_folder.parent):
        with pytest.raises(Refused, match="outputs_folder"):
            check_folder("outputs_folder", str(folder), gate)
        check_folder("tmp_folder", str(folder), gate)
    with pytest.raises(Refused, match="tmp_folder"):
        check_folder("tmp_folder", str(site.outputs / "mine"), gate)
    # Where others could put a state, which may hold code.
    results = site.top / "results"
    check_folder("tmp_folder", str(results / "x"), gate)
    results.chmod(0o770)
    with pytest.raises(Refused, match=r"'tmp_folder': .* others may change"):
        check_folder("tmp_folder", str(results / "x"), gate)
    check_folder("outputs_folder", str(results / "x"), gate)
    results.chmod(0o700)
    # A run that has its own in a folder of the site's data.
    (folder, _) = run_folders(site.places.tmp, site.outputs, "mine", "run", {"tmp_folder": str(results)})
    assert folder == results / RUNS / "mine/run"
    for each in (folder, folder / "steps/x", results / RUNS):
        with pytest.raises(Refused, match="has its intermediate data there"):
            check_folder("outputs_folder", str(each), gate)
        with pytest.raises(Refused, match="is in the intermediate data of a run"):
            check_folder("tmp_folder", str(each), gate)
    check_folder("tmp_folder", str(folder), site.places.gate("mine", folder))  # as a dispatcher may report it
    with pytest.raises(Refused, match="has its intermediate data there"):
        gate.write(folder / "overrides.json", "Output 'x'")


@pytest.mark.parametrize("run_id", ["run", "steps", "..", ".cwl-airflow-runs", "a/b", "mine"])
@pytest.mark.parametrize("other", ["run", "steps", ".cwl-airflow-runs", "mine"])
@pytest.mark.parametrize(
    "given", ["", "mine", "mine/run", "mine/mine/steps", "{top}/results", "{top}/results/mine/run"]
)
def test_no_run_is_in_anothers_folder(site: Site, run_id: str, other: str, given: str) -> None:
    def of(run: str, named: str) -> Path:
        job = {"tmp_folder": named.format(top=site.top)} if named else {}
        check_job(job, site.places.gate("mine"), str(site.inputs), code_allowed=True)
        return run_folders(site.places.tmp, site.outputs, "mine", run, job)[0]

    if run_id != other:
        for mine, theirs in ((of(run_id, given), of(other, "")), (of(run_id, ""), of(other, given))):
            assert mine != theirs
            assert mine not in theirs.parents
            assert theirs not in mine.parents


def test_a_folder_that_is_passed_on_replaces_none(site: Site) -> None:
    kept = site.top / "results/other/kept.txt"
    kept.parent.mkdir()
    kept.write_text("kept")
    (site.top / "data/new").mkdir()
    (site.top / "data/new/good.txt").write_text("good")
    (site.top / "data/new/good.txt").chmod(0o4755)
    for _ in range(2):
        x = {"class": "Directory", "path": str(site.top / "data/new"), "basename": "other"}
        document = {"class": "Workflow", "inputs": {"x": "Directory"}, "steps": {}}
        document["outputs"] = {"out": {"type": "Directory", "outputSource": "x"}}
        site.run(document, {"x": x}, outdir=site.top / "results")
        assert kept.read_text() == "kept"
        assert (kept.parent / "good.txt").stat().st_mode & 0o7777 == 0o755
    assert (site.top / "data/new/good.txt").stat().st_mode & 0o7777 == 0o4755


def test_a_file_that_is_passed_on_loses_setuid(site: Site) -> None:
    (site.top / "data/x").write_text("x")
    (site.top / "data/x").chmod(0o6755)
    out = site.run(TAKE, {"x": file(str(site.top / "data/x"))})["back"]["path"]
    assert Path(out).stat().st_mode & 0o7777 == 0o755
    assert (site.top / "data/x").stat().st_mode & 0o7777 == 0o6755


def test_a_lock_is_a_file_like_any_other(site: Site) -> None:
    gate = site.places.gate("mine")
    (site.top / "results/lock").touch()
    check_folder("outputs_folder", str(site.top / "results/mine"), gate)


@pytest.mark.parametrize("of", ["job", "document"])
@pytest.mark.parametrize("shape", ["job", "job's file"])
def test_schemas_fetch_nothing(site: Site, serve: Callable[..., Server], of: str, shape: str) -> None:
    server = serve(b"{}")
    opened: list[str] = []
    sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
    for context in (f"http://{server.host}/context", site.secret.as_uri()):
        (site.inputs / "a.jsonld").write_text(json.dumps({"@context": context, "@id": "urn:x"}))
        (site.dags / "mine/a.jsonld").write_text((site.inputs / "a.jsonld").read_text())
        schemas = {"$schemas": ["a.jsonld"]}
        document = {"class": "CommandLineTool", "baseCommand": "true", "inputs": {}, "outputs": {}}
        document |= schemas if of == "document" else {}
        job: Any = schemas if of == "job" else {"x": 1}
        assert site.run(document, in_a_file(site, job) if shape == "job's file" else job) == {}
    assert server.asked == 0
    assert str(site.secret) not in opened


def test_a_refusal_is_one_line(site: Site) -> None:
    why = refused(site, lambda: site.run(TAKE, {"x": file(f"{site.secret}\n[2026] INFO - forged\x1b[0m")}))
    assert "\\n[2026]" in why
    assert not re.search(r"[\n\x1b]", why)


def test_the_folders_of_a_job_are_found_however_it_is_named(site: Site) -> None:
    gate = site.places.gate("mine")
    name = in_a_file(site, {"outputs_folder": "mine/x"})
    file_of_job = site.inputs / name
    for job in (name, str(file_of_job), file_of_job.as_uri(), f"file:{file_of_job}"):
        assert folders_named_by_job(job, str(site.inputs), gate) == {"outputs_folder": "mine/x"}


def test_a_job_that_is_fetched_names_no_folder(site: Site, serve: Callable[..., Server]) -> None:
    server = serve(b"outputs_folder: mine/x")
    listing(site, server.host)
    why = refused(site, lambda: site.run(TAKE, f"http://{server.host}/job.yml"))
    assert "'outputs_folder' in a job that is fetched" in why


def test_git_runs_nothing_that_a_run_wrote(site: Site) -> None:
    with pytest.raises(Refused, match="git runs what is there"):
        site.places.gate("mine").write(site.top / "results/.git/hooks", "'outputs_folder'")


def test_a_link_that_is_put_into_a_folder_in_place_is_not_followed(site: Site) -> None:
    refused(site, lambda: site.run(in_place(f"ln -s {site.secret} out/link"), {}))


@pytest.mark.parametrize("name", [".ssh", ".bashrc", "dags", "linked"])
def test_outputs_are_not_put_through_links_or_called_like_settings(site: Site, name: str) -> None:
    results = site.top / "results"
    (results / "linked").symlink_to(site.dags / "new.py")
    document = tool(f"mkdir {name}; touch {name}/authorized_keys", outputs={
        "out": {"type": "Directory", "outputBinding": {"glob": name}}})  # fmt: skip
    before = site.snapshot()
    with pytest.raises(Exception, match=r"may not be written|is a link or in one"):
        site.run(document, {}, outdir=results)
    assert site.snapshot() == before


def test_a_folder_that_leads_back_into_itself_is_refused(site: Site) -> None:
    for script in ("mkdir out; ln -s . out/a", "mkdir -p out/a out/b; ln -s ../b out/a/b; ln -s ../a out/b/a"):
        with pytest.raises(Exception, match="leads back into its own folder"):
            site.run(tool(script, outputs=FOLDER_OUT), {})


@pytest.mark.parametrize(
    "address",
    ["100.100.100.200", "192.0.0.192", "100.64.0.1", "224.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "fec0::1",
     "::127.0.0.1", "::ffff:10.0.0.1", "168.63.129.16", "0.0.0.0", "fe80::1", "fd00::1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(InvalidIPAddress):
        check_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_addresses_that_are_public(address: str) -> None:
    check_public(address)


def test_a_folder_of_outputs_may_hold_what_programs_read(site: Site) -> None:
    made = {"type": "Directory", "outputBinding": {"glob": "out", "loadListing": "deep_listing"}}
    make = tool("mkdir -p out/.git out/__pycache__; touch out/.git/config out/.env", outputs={"out": made})
    document = {
        "class": "Workflow",
        "inputs": {},
        "outputs": {"out": {"type": "Any", "outputSource": "take/back"}},
        "steps": {
            "make": {"run": make, "in": {}, "out": ["out"]},
            "take": {"run": TAKE, "in": {"x": "make/out"}, "out": ["back"]},
        },
    }
    outputs = site.run(document, {})
    assert {path.name for path in Path(outputs["out"]["path"]).iterdir()} == {".git", "__pycache__", ".env"}


def test_a_tool_passes_on_its_inputs(site: Site) -> None:
    script = "ln -s good.txt out; mkdir folder; ln -s ../good.txt folder/link"
    folder = {"type": "Directory", "outputBinding": {"glob": "folder"}}
    document = puts("$(inputs.x)", script, inputs={"x": "File"}, outputs={**FILE_OUT, "folder": folder})
    outputs = site.run(document, {"x": file("good.txt")})
    assert Path(outputs["out"]["path"]).read_text() == "good"
    assert (Path(outputs["folder"]["path"]) / "link").read_text() == "good"
