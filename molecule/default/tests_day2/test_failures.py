"""What people see of a run that failed: which step, and in one line why, the same wherever they look.

The runs of all kinds are at work at once. docs/when-it-fails.md has the words of each kind.
"""

from __future__ import annotations

import json
import re
import shlex
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from api import ADMIN, AIRFLOW, API, ask, curl, made_user
from dags import DAGS, IMAGE, TMP, tool, wait_for

from cwl_airflow import rest

#: With what the names of the DAGs begin: the journal has the reports of earlier ones.
PREFIX = f"failures-{uuid.uuid4().hex[:8]}-"
FOLDER = f"{DAGS}/failures"
INPUTS = "/var/lib/airflow/cwl/inputs/failures"
#: What `cwl-airflow-run` said.
SAID = "/tmp/failures"
UNIT = "test-failures"
PAGE = Path(__file__).parents[3] / "docs/when-it-fails.md"
#: Lines in the log of a task beside those of the tool.
MOST_LINES = 40
DAG_FILE = f"""\
from airflow.sdk import get_parsing_context
from cwl_airflow.extensions.cwldag import CWLDAG

for kind in KINDS:
    dag_id = f"{PREFIX}{{kind}}"
    if get_parsing_context().dag_id in (None, dag_id):
        globals()[dag_id] = CWLDAG(dag_id, f"{FOLDER}/{{kind}}.cwl", is_paused_upon_creation=False)
"""
COMMANDS = f"""\
mkdir {SAID}
cd {SAID}
printf '%s\\n' "$@" | xargs --max-procs=4 -I @ sh -c '
    cwl-airflow-run --rm --timeout 600 {FOLDER}/@.cwl {INPUTS}/@.json > @.out 2> @.err; echo $? > @.code'
"""
WRITE = """\
import json, os, sys
for path, text in json.load(sys.stdin).items():
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
"""


def step(run, inputs=None, **more):
    """Return a workflow with a step `align`.

    :param run: its tool.
    :param inputs: of the workflow, which are the tool's.
    :param more: of the step.
    """
    return {
        "class": "Workflow",
        "requirements": {"ScatterFeatureRequirement": {}},
        "inputs": inputs or {},
        "outputs": {},
        "steps": {"align": {"run": run, "in": {name: name for name in inputs or {}}, "out": [], **more}},
    }


def file(name):
    """Return a file of the inputs folder."""
    return {"class": "File", "path": f"{INPUTS}/{name}"}


TAKES = {
    "reads": "File",
    "threads": "int?",
    "mode": ["null", {"type": "enum", "name": "mode", "symbols": ["fast", "slow"]}],
}
#: Takes inputs of several types.
ALIGN = step(tool("true", inputs={"reads": "File", "threads": "int?", "mode": "Any?"}), TAKES)
CAT = tool('cat "$0"', inputs={"reads": {"type": "File", "inputBinding": {}}})
WORDS = tool("true", inputs={"word": "string", "other": "string"})
OUT = {"bam": {"type": "File", "outputBinding": {"glob": "*.bam"}}}
JAVASCRIPT = {"InlineJavascriptRequirement": {}}


@dataclass(frozen=True)
class Kind:
    """A kind of failure: a document and a job, and what is said of their run."""

    document: dict
    line: str
    #: How docs/when-it-fails.md has it, where `…` is anything; as it is by default.
    page: str = ""
    job: dict = field(default_factory=dict)
    task: str = "align"


KINDS = {
    "exit": Kind(
        step(tool("seq 30 >&2; echo 'keine größe {x} da' >&2; exit 3", outputs=OUT)),
        """align: 'sh -c 'seq 30 >&2; echo '"'"'keine größe {x} da'"'"' >&2; exit 3'' exit status 3: """
        "keine größe {x} da",
        "align: '…' exit status 3: …",
    ),
    "program": Kind(
        step({**tool(""), "arguments": ["bwa", "mem"]}),
        "align: 'bwa mem' cannot be run: there is no program 'bwa'",
    ),
    "memory": Kind(
        step(tool("head --bytes=1500M /dev/zero | tail --bytes=1500M > /dev/null", hints=IMAGE)),
        "align: 'sh -c 'head --bytes=1500M /dev/zero | tail --bytes=1500M > /dev/null'' exit status 137 "
        "(killed; perhaps it took more than 1024 MiB: ask for them with ramMin): Killed",
        "align: '…' exit status 137 (killed; perhaps it took more than 1024 MiB: ask for them with ramMin): …",
    ),
    "time": Kind(
        step(tool("exec sleep 7656", requirements={"ToolTimeLimit": {"timelimit": 1}})),
        "align: 'sh -c 'exec sleep 7656'' took longer than the 1 s that its document gives it (ToolTimeLimit)",
        "align: '…' took longer than the … s that its document gives it (ToolTimeLimit)",
    ),
    "pattern": Kind(
        step(tool("echo done; touch reads.sam", outputs=OUT)),
        "align: 'sh -c 'echo done; touch reads.sam'' Error collecting output for parameter 'bam': "
        "pattern.cwl:23:15: Did not find output file with glob pattern: ['*.bam'].",
        "align: '…' Error collecting output for parameter 'bam': …: Did not find output file with glob pattern: "
        "['*.bam'].",
    ),
    "full": Kind(
        step(tool("echo much | cat > /dev/full")),
        "align: 'sh -c 'echo much | cat > /dev/full'' exit status 1: cat: write error: No space left on device",
        "align: '…' exit status 1: …: No space left on device",
    ),
    "expression": Kind(
        step(
            {**tool("true", requirements=JAVASCRIPT), "arguments": ["${\n  throw new Error('keine größe {x} da');\n}"]}
        ),
        "align: expression.cwl:14:11: Error: keine größe {x} da",
        "align: ….cwl:…: Error: …",
    ),
    "image": Kind(
        step(tool("true", hints={"DockerRequirement": {"dockerPull": "localhost:1/bwa:1"}})),
        "align: docker cannot pull the image localhost:1/bwa:1: Error response from daemon: "
        'Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        "align: docker cannot pull the image …: Error response from daemon: …",
    ),
    "name": Kind(
        step(CAT, {"reads": "File"}),
        "align: Invalid filename: 'größe (1).fq' contains illegal characters, with which it could become a command in "
        "this tool: rename the file, or set relax_path_checks",
        "align: Invalid filename: '…' contains illegal characters, with which it could become a command in this tool: "
        "rename the file, or set relax_path_checks",
        {"reads": file("größe (1).fq")},
    ),
    "lengths": Kind(
        step(WORDS, {"word": "string[]", "other": "string[]"}, scatter=["word", "other"], scatterMethod="dotproduct"),
        "align: What is scattered with dotproduct must be lists of one length: 'word' has 2, 'other' has 1.",
        job={"word": ["a", "b"], "other": ["c"]},
        task="align.scatter",
    ),
    "missing": Kind(
        ALIGN,
        "CWLJobDispatcher: Input 'reads' is missing. The job gives: threads.",
        job={"threads": 2},
        task="CWLJobDispatcher",
    ),
    "misspelt": Kind(
        ALIGN,
        "CWLJobDispatcher: Input 'raeds' is not one of the workflow's. Did you mean 'reads'?",
        job={"raeds": file("reads.fq")},
        task="CWLJobDispatcher",
    ),
    "optional": Kind(
        ALIGN,
        "CWLJobDispatcher: Input 'thraeds' is not one of the workflow's. Did you mean 'threads'?",
        "CWLJobDispatcher: Input '…' is not one of the workflow's. Did you mean '…'?",
        {"reads": file("reads.fq"), "thraeds": 2},
        task="CWLJobDispatcher",
    ),
    "type": Kind(
        ALIGN,
        """CWLJobDispatcher: Input 'threads': must be int, not "two".""",
        job={"reads": file("reads.fq"), "threads": "two"},
        task="CWLJobDispatcher",
    ),
    "enum": Kind(
        ALIGN,
        """CWLJobDispatcher: Input 'mode': must be one of 'fast', 'slow', not "slwo". Did you mean 'slow'?""",
        job={"reads": file("reads.fq"), "mode": "slwo"},
        task="CWLJobDispatcher",
    ),
    "file": Kind(
        ALIGN,
        f"CWLJobDispatcher: Input 'reads': {INPUTS}/größe.fq is not there, or not for this service to see. Did you "
        f"mean {INPUTS}/größe (1).fq? Inputs belong into the inputs folder or into a folder of cwl_airflow_data_paths.",
        "CWLJobDispatcher: Input 'reads': … is not there, or not for this service to see. Did you mean …? Inputs "
        "belong into the inputs folder or into a folder of cwl_airflow_data_paths.",
        {"reads": file("größe.fq")},
        task="CWLJobDispatcher",
    ),
    "permission": Kind(
        ALIGN,
        f"CWLJobDispatcher: Input 'reads': {INPUTS}/secret.fq may not be read by the user airflow: it is root's, "
        "-rw-------. Let the group of the inputs folder read it (chgrp, chmod g+r).",
        "CWLJobDispatcher: Input 'reads': … may not be read by the user airflow: it is …'s, …. Let the group of the "
        "inputs folder read it (chgrp, chmod g+r).",
        {"reads": file("secret.fq")},
        task="CWLJobDispatcher",
    ),
}


def write(host, files):
    """Write files of the host by their paths."""
    host.check_output(f"printf %s {shlex.quote(json.dumps(files))} | python3 -c {shlex.quote(WRITE)}")


def run_of(kind):
    """Return the name of a DAG and of its run, which are one as WES has it."""
    return f"{PREFIX}{kind}"


@dataclass(frozen=True)
class Failed:
    """The runs of all kinds, which failed."""

    host: object
    #: Login of who asks the CWL API.
    user: str
    #: What Airflow says of the runs, by kind.
    runs: dict
    #: What was reported of them when they had failed, likewise.
    reports: dict
    #: Exit code, output and errors of the commands, likewise.
    commands: dict

    def log(self, kind):
        """Return the messages in the log of the task that failed, as the web page shows them."""
        url = f"{AIRFLOW}/dags/{run_of(kind)}/dagRuns/{run_of(kind)}/taskInstances/{KINDS[kind].task}/logs/1"
        return ask(self.host, "GET", f"{url}?full_content=true")["content"]

    def ask_api(self, path):
        """Return what the CWL API answers."""
        status, answer = curl(self.host, f"{API}/{path}", user=self.user)
        assert status == 200, answer
        return json.loads(answer)


@pytest.fixture(scope="module")
def failed(host, receiver):
    """Run all kinds, over the API of Airflow and by `cwl-airflow-run`, and return them when all have ended."""
    documents = {f"{FOLDER}/{name}.cwl": {"cwlVersion": "v1.2", **kind.document} for name, kind in KINDS.items()}
    jobs = {f"{INPUTS}/{name}.json": kind.job for name, kind in KINDS.items()}
    files = {path: json.dumps(value, indent=2, ensure_ascii=False) for path, value in (documents | jobs).items()}
    files |= {f"{INPUTS}/{name}": "a" for name in ("reads.fq", "secret.fq", "größe (1).fq")}
    receiver.stop()
    receiver.start()
    try:
        write(host, files | {f"{FOLDER}/failures.py": f"KINDS = {[*KINDS]!r}\n{DAG_FILE}"})
        host.check_output(f"chmod 0600 {INPUTS}/secret.fq")
        commands = shlex.join(["sh", "-c", COMMANDS, "sh", *KINDS])
        host.check_output(f"systemd-run --quiet --collect --unit={UNIT} {commands}")
        for name, kind in KINDS.items():
            body = {"dag_run_id": run_of(name), "logical_date": None, "conf": {"job": kind.job}}
            url = f"{AIRFLOW}/dags/{run_of(name)}/dagRuns"
            wait_for("DAG", lambda url=url, body=body: ask(host, "POST", url, body, missing=True), 120)
        ended = f"{AIRFLOW}/dags/~/dagRuns?limit=100&dag_id_pattern={PREFIX}&state=failed&state=success"
        wait_for("runs", lambda: ask(host, "GET", ended)["total_entries"] == len(KINDS), 600)
        wait_for("commands", lambda: host.run(f"systemctl is-active {UNIT}").rc != 0, 600)
        wait_for("reports", lambda: receiver.waiting(dag_id=f"{PREFIX}%") == 0, 300)
        runs = {run["dag_id"].removeprefix(PREFIX): run for run in ask(host, "GET", ended)["dag_runs"]}
        reports = [(name, receiver.reports(run_of(name))) for name in KINDS]
        with made_user(host, "reads-failures", "Admin") as user:
            yield Failed(host, user, runs, dict(reports), read_commands(host))
    finally:
        host.run(f"systemctl stop {UNIT}; rm -r {FOLDER} {INPUTS} {SAID}")
        for name in KINDS:
            curl(host, f"{AIRFLOW}/dags/{run_of(name)}", "--request", "DELETE", user=ADMIN)
        # The data of runs that failed stays for a week, that of a command's run too.
        host.run(f"rm -rf {TMP}/{PREFIX}* {TMP}/cwl-run-* /var/lib/airflow/cwl/outputs/{PREFIX}*")


def read_commands(host):
    """Return exit code, output and errors of the commands by kind."""
    texts = host.check_output(f"cd {SAID} && tail --verbose --lines=+1 *.code *.out *.err")
    found = dict(re.findall(r"==> (\S+) <==\n(.*?)\s*(?=\n==>|\Z)", texts, re.DOTALL))
    return {name: tuple(found[f"{name}.{kind}"] for kind in ("code", "out", "err")) for name in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_ends_with_why(failed, kind):
    """It is short, and what Python has to say of where it was raised comes last."""
    messages = failed.log(kind)
    raised = [message["error_detail"] for message in messages if message.get("error_detail")]
    assert [[(error["exc_type"], error["exc_value"]) for error in each] for each in raised] == [
        [("StepFailed", KINDS[kind].line)]
    ]
    assert not [message for message in messages if "Traceback" in message["event"]]
    wrong = [message for message in messages if message.get("level") == "error"]
    assert wrong[-1].get("error_detail")
    shown = rest.log_end(messages, lines=1000)
    of_tool = [line for line in shown if re.match(r"\[align\] |\d+$", line)]
    assert len(shown) - len(of_tool) + len(raised[0][0]["frames"]) <= MOST_LINES, shown


def test_the_log_shows_the_command_and_the_last_lines(failed):
    (told,) = [message["event"] for message in failed.log("exit") if message["event"].startswith("align failed")]
    first, command, *lines = told.splitlines()
    assert first == "align failed (exit status 3)"
    assert command.startswith("sh -c 'seq 30")
    assert lines == [*map(str, range(12, 31)), "keine größe {x} da"]


def test_the_log_shows_the_expression(failed):
    told = "\n".join(message["event"] for message in failed.log("expression"))
    assert "throw new Error('keine größe {x} da');" in told


@pytest.mark.parametrize("kind", KINDS)
def test_the_note_says_why(failed, kind):
    assert failed.runs[kind]["note"] == f"Failed: `{KINDS[kind].line}`"


@pytest.mark.parametrize("kind", KINDS)
def test_the_cwl_api_says_why(failed, kind):
    (run,) = failed.ask_api(f"dag_runs?dag_id={run_of(kind)}")["dag_runs"]
    assert (run["state"], run["error"]) == ("failed", KINDS[kind].line)
    assert {"id": KINDS[kind].task, "state": "failed"} in run["tasks"]
    log = failed.ask_api(f"wes/runs/{run_of(kind)}")
    assert (log["state"], log["run_log"]["system_logs"]) == ("EXECUTOR_ERROR", [KINDS[kind].line])


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_says_why(failed, kind):
    reports = [report["payload"] for report in failed.reports[kind] if report["route"] == "progress"]
    assert [report["error"] for report in reports if report["state"] == "failed"] == [KINDS[kind].line]


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_says_why(failed, kind):
    code, out, err = failed.commands[kind]
    first, *_, last = err.splitlines()
    assert (code, out) == ("1", "")
    assert (first, last) == (f"{KINDS[kind].task} failed:", f"StepFailed: {KINDS[kind].line}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_has_the_words(kind):
    page = KINDS[kind].page or KINDS[kind].line
    assert f"| `{page}` |" in PAGE.read_text(encoding="utf-8")
    assert re.fullmatch(re.escape(page).replace("…", ".*"), KINDS[kind].line)


INVALID = {"class": "CommandLineTool", "baseCommand": "true", "inputs": {"größe": "strng"}, "outputs": {}}


def test_a_document_that_does_not_validate_is_refused_with_its_place(host, dag):
    document, folder = json.dumps({"cwlVersion": "v1.2", **INVALID}, indent=2, ensure_ascii=False), f"{DAGS}/invalid"
    write(host, {f"{folder}/invalid.cwl": document})
    dag.write(INVALID)
    try:
        form = ("--form", f"workflow=@{folder}/invalid.cwl")
        status, answer = curl(host, f"{API}/dags?dag_id=invalid", *form, user=ADMIN)
        assert status == 400
        ran = host.run(f"cwl-airflow-run {folder}/invalid.cwl")
        assert (ran.rc, ran.stdout) == (1, "")

        def read():
            errors = ask(host, "GET", f"{AIRFLOW}/importErrors?limit=100")["import_errors"]
            return next((each["stack_trace"] for each in errors if each["filename"] == f"{dag.dag_id}.py"), None)

        for said in (json.loads(answer)["detail"], ran.stderr, wait_for("import error", read, 60)):
            words = " ".join(said.split())
            assert re.search(
                r"\.cwl:\d+:\d+: checking object '.*#größe' Field 'type' references unknown .*'strng'", words
            )
        assert "Traceback" not in answer + ran.stderr
    finally:
        host.run(f"rm -r {folder}")


@pytest.mark.parametrize(
    ("conf", "status", "line"),
    [
        ({"threads": 2}, 400, "Input 'reads' is missing."),
        (
            {"raeds": f"{INPUTS}/reads.fq"},
            400,
            "The run's configuration has no 'job'. Did you mean 'reads'? It must be "
            '{"job": {…}} with the inputs: mode, reads, threads.',
        ),
        (
            {"job": {"reads": {"class": "File", "path": "/etc/shadow"}}},
            403,
            "Input 'reads': /etc/shadow may not be read, whatever a setting says: it is where the system has programs, "
            "settings or secrets.",
        ),
    ],
)
def test_what_is_refused_at_once_is_no_run(failed, conf, status, line):
    url = f"{API}/dags/{run_of('missing')}/dag_runs"
    answered, answer = curl(failed.host, url, user=failed.user, body=json.dumps({"run_id": "refused", "conf": conf}))
    assert (answered, json.loads(answer)["detail"]) == (status, line)
    assert failed.ask_api(f"dag_runs?dag_id={run_of('missing')}&run_id=refused") == {"dag_runs": []}


def test_folders_and_files_of_one_name_arrive(dag):
    """Each job of a scattered step makes some; those of another one are put into a folder by a step after it."""
    make = tool(
        'mkdir -p res/res && echo "$0" > res/res/log.txt && echo "$0" > log.txt',
        inputs={"word": {"type": "string", "inputBinding": {}}},
        outputs={
            "folder": {"type": "Directory", "outputBinding": {"glob": "res"}},
            "log": {"type": "File", "outputBinding": {"glob": "log.txt"}},
        },
    )
    scattered = {"run": make, "scatter": "word", "in": {"word": "words"}, "out": ["folder", "log"]}
    gather = {
        "class": "ExpressionTool",
        "requirements": JAVASCRIPT,
        "inputs": {"folders": "Directory[]", "logs": "File[]"},
        "outputs": {"all": "Directory"},
        "expression": "${return {all: {class: 'Directory', basename: 'all', listing: "
        "inputs.folders.concat(inputs.logs)}};}",
    }
    dag.write(
        {
            "class": "Workflow",
            "requirements": {"ScatterFeatureRequirement": {}},
            "inputs": {"words": "string[]"},
            "outputs": {
                "folders": {"type": "Directory[]", "outputSource": "make/folder"},
                "logs": {"type": "File[]", "outputSource": "make/log"},
                "all": {"type": "Directory", "outputSource": "gather/all"},
            },
            "steps": {
                "make": scattered,
                "more": scattered,
                "gather": {"run": gather, "in": {"folders": "more/folder", "logs": "more/log"}, "out": ["all"]},
            },
        }
    )
    dag.trigger({"job": {"words": ["a", "b", "c"]}})
    assert dag.ended() == "success", dag.log("CWLJobGatherer")
    folder = f"/var/lib/airflow/cwl/outputs/{dag.dag_id}/run"
    found = dag.host.check_output(f"cd {folder} && grep -r --exclude=workflow_report.json . | sort").splitlines()
    numbers = {"a": "", "b": "_2", "c": "_3"}
    made = [(f"res{number}/res/log.txt", word) for word, number in numbers.items()]
    made += [(f"log.txt{number}", word) for word, number in numbers.items()]
    assert sorted(found) == sorted(f"{above}{path}:{word}" for path, word in made for above in ("", "all/"))
    report = dag.report()
    assert [each["path"] for each in report["folders"]] == [f"{folder}/res{number}" for number in numbers.values()]
    assert [each["path"] for each in report["logs"]] == [f"{folder}/log.txt{number}" for number in numbers.values()]
