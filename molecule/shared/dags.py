"""DAGs of small documents that the tests write on the host."""

from __future__ import annotations

import json
import re
import shlex
import time

from api import ADMIN, AIRFLOW, ask, curl
from cwl_airflow.rest import message_lines

DAGS = "/var/lib/airflow/dags"
TMP = "/var/lib/airflow/cwl/tmp"
IMAGE = {"DockerRequirement": {"dockerPull": "docker.io/library/debian:trixie-slim"}}


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


def queued_messages(host, queue):
    """Return how many messages a queue of the broker has, those that a worker has taken among them."""
    listed = host.check_output("rabbitmqctl --quiet --formatter json list_queues --vhost airflow name messages")
    return next(each["messages"] for each in json.loads(listed) if each["name"] == queue)


def kill_worker(host):
    """Kill the worker, and wait until it takes tasks again."""

    def takes_tasks():
        listed = host.check_output("rabbitmqctl --quiet --formatter json list_consumers --vhost airflow")
        return any(each["queue_name"] == "default" for each in json.loads(listed))

    host.check_output("systemctl kill --signal=KILL airflow-worker")
    wait_for("end of the worker", lambda: not takes_tasks(), 30)
    wait_for("worker", takes_tasks, 60)


def running_tasks(host):
    """Return the ids of the processes that are tasks of Airflow's."""
    return host.run("pgrep -f '^airflow worker [-]-'").stdout.split()


def containers(host, pattern="."):
    """Return the containers that run, by their commands."""
    listed = host.run("docker ps --no-trunc --format '{{.Command}}'").stdout
    return [line for line in listed.splitlines() if re.search(pattern, line)]


class Dag:
    """A DAG of a document that the test writes."""

    def __init__(self, host, dag_id):
        """Name the DAG."""
        self.host = host
        self.dag_id = dag_id
        self.url = f"{AIRFLOW}/dags/{dag_id}"

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

    def known(self):
        """Wait until Airflow has read the DAG file."""
        wait_for("DAG", lambda: ask(self.host, "GET", self.url, missing=True), 60)

    def trigger(self, conf, run_id="run"):
        """Start a run."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        wait_for("DAG", lambda: ask(self.host, "POST", f"{self.url}/dagRuns", body, missing=True), 30)

    def state(self):
        """Return the state of the run."""
        return ask(self.host, "GET", f"{self.url}/dagRuns/run")["state"]

    def clear(self, *tasks):
        """Clear tasks of the run that failed, and what comes after them; all that failed if none is named."""
        body = {"dry_run": False, "dag_run_id": "run", "only_failed": True, "include_downstream": True}
        ask(self.host, "POST", f"{self.url}/clearTaskInstances", body | ({"task_ids": list(tasks)} if tasks else {}))

    def ended(self, seconds=120):
        """Wait until the run has ended, and return its state."""
        return wait_for("run", lambda: (state := self.state()) in ("success", "failed") and state, seconds)

    def tasks(self):
        """Return the states of the tasks by id and index."""
        tasks = ask(self.host, "GET", f"{self.url}/dagRuns/run/taskInstances", missing=True) or {"task_instances": []}
        return {
            (task["task_id"], str(task["map_index"]) if task["map_index"] >= 0 else ""): task["state"]
            for task in tasks["task_instances"]
        }

    def logs(self, task):
        """Return the folder with the logs of a task, one for each try."""
        return f"/var/lib/airflow/logs/dag_id={self.dag_id}/run_id=run/task_id={task}"

    def log(self, task, attempt=1):
        """Return the log of a task, what is wrong with its level before it."""
        file = f"{self.logs(task)}/attempt={attempt}.log"
        messages = [json.loads(line) for line in self.host.check_output(f"cat '{file}'").splitlines()]
        levels = [f"{message['level'].upper()} " if message["level"] == "error" else "" for message in messages]
        return "\n".join(
            level + "\n".join(message_lines(message)) for level, message in zip(levels, messages, strict=True)
        )

    def report(self):
        """Return what the run reports: its outputs and their statistics."""
        return json.loads(
            self.host.check_output(f"cat /var/lib/airflow/cwl/outputs/{self.dag_id}/run/workflow_report.json")
        )

    def mark_failed(self):
        """Mark the run as failed over REST, as the web page does."""
        ask(self.host, "PATCH", f"{self.url}/dagRuns/run", {"state": "failed"}, missing=True)

    def remove(self):
        """Remove all that the DAG left; a test that failed may have left a task that runs."""
        if "running" in self.tasks().values():
            self.mark_failed()
        # A task that is told to end removes its container by a note in the run's folder.
        wait_for("end", lambda: not running_tasks(self.host), 60)
        self.host.run(f"rm -f {DAGS}/{self.dag_id}.py {DAGS}/{self.dag_id}.cwl")
        curl(self.host, self.url, "--request", "DELETE", user=ADMIN)
        self.host.run(f"rm -rf {TMP}/{self.dag_id} /var/lib/airflow/cwl/outputs/{self.dag_id}")
