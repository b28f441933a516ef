"""DAGs of small documents that the tests write on the host."""

from __future__ import annotations

import json
import shlex
import time

DAGS = "/var/lib/airflow/dags"
TMP = "/var/lib/airflow/cwl/tmp"
IMAGE = {"DockerRequirement": {"dockerPull": "docker.io/library/debian:bookworm-slim"}}


def tool(script, **more):
    """Return a tool that runs a script."""
    return {"class": "CommandLineTool", "arguments": ["sh", "-c", script], "inputs": {}, "outputs": {}, **more}


def wait_for(what, found, seconds):
    """Ask until something is found, and return it."""
    began = time.monotonic()
    while not (value := found()):
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.5)
    return value


class Dag:
    """A DAG of a document that the test writes."""

    def __init__(self, host, dag_id):
        """Name the DAG."""
        self.host = host
        self.dag_id = dag_id

    def write(self, document, before="", arguments="", default_args="", **cwl):
        """Write the document and the DAG file.

        :param before: lines of Python before the DAG is made.
        :param arguments: more arguments of the DAG, each with a comma after it.
        :param default_args: more of these, likewise.
        :param cwl: settings of the engine.
        """
        text = json.dumps({"cwlVersion": "v1.2", **document})
        file = f"{DAGS}/{self.dag_id}"
        dag = (
            f"from cwl_airflow.extensions.cwldag import CWLDAG\n{before}\n"
            f"dag = CWLDAG(workflow={file + '.cwl'!r}, dag_id={self.dag_id!r}, {arguments} "
            f"default_args={{'cwl': {cwl!r}, {default_args}}})\n"
        )
        self.host.check_output(f"printf %s {shlex.quote(text)} > {file}.cwl")
        self.host.check_output(f"printf %s {shlex.quote(dag)} > {file}.py")

    def trigger(self, conf):
        """Start the run."""
        command = f"airflow dags trigger {self.dag_id} --run-id run --conf {shlex.quote(json.dumps(conf))}"
        wait_for("DAG", lambda: self.host.run(command).rc == 0, 60)

    def state(self):
        """Return the state of the run."""
        return self.json(f"dags list-runs --dag-id {self.dag_id}")[0]["state"]

    def ended(self, seconds=120):
        """Wait until the run has ended, and return its state."""
        return wait_for("run", lambda: (state := self.state()) in ("success", "failed") and state, seconds)

    def json(self, command):
        """Return what an Airflow command prints."""
        return json.loads(self.host.check_output(f"airflow {command} --output json"))

    def tasks(self):
        """Return the states of the tasks by id and index."""
        tasks = self.json(f"tasks states-for-dag-run {self.dag_id} run")
        return {(task["task_id"], task.get("map_index") or ""): task["state"] for task in tasks}

    def log(self, task, attempt=1):
        """Return the log of a task."""
        return self.host.check_output(
            f"cat '/var/lib/airflow/logs/dag_id={self.dag_id}/run_id=run/task_id={task}/attempt={attempt}.log'"
        )

    def report(self):
        """Return what the run reports: its outputs and their statistics."""
        return json.loads(
            self.host.check_output(f"cat /var/lib/airflow/cwl/outputs/{self.dag_id}/run/workflow_report.json")
        )

    def mark_failed(self):
        """Mark the run as failed over REST, as the web page does."""
        script = (
            "from cwl_airflow_extras.checks import setting; from cwl_airflow_extras.runner import Airflow; "
            "user, _, password = setting('celery', 'flower_basic_auth').partition(':'); "
            "Airflow('http://127.0.0.1:8080', user, password)"
            f".ask('PATCH', 'dags/{self.dag_id}/dagRuns/run', missing=True, json={{'state': 'failed'}})"
        )
        self.host.check_output(
            f". /etc/default/airflow; export AIRFLOW_CONFIG; /opt/airflow/bin/python -c {shlex.quote(script)}"
        )

    def remove(self):
        """Remove all that the DAG left; a test that failed may have left a task that runs."""
        if self.host.run(f"airflow tasks states-for-dag-run {self.dag_id} run | grep -w running").rc == 0:
            self.mark_failed()
            time.sleep(20)
        self.host.run(f"rm -f {DAGS}/{self.dag_id}.py {DAGS}/{self.dag_id}.cwl")
        self.host.run(f"airflow dags delete --yes {self.dag_id}")
        self.host.run(f"rm -rf {TMP}/{self.dag_id} /var/lib/airflow/cwl/outputs/{self.dag_id}")
