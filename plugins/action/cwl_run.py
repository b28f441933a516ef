"""Ansible action: run CWL workflows through Airflow's REST API and show how they come along."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

#: States in which Airflow leaves a DAG run alone.
ENDED = ("success", "failed")
#: The status that ansible.builtin.uri gives to an answer that did not come.
NO_ANSWER = -1
#: How many lines of a failed task's log are shown.
LOG_LINES = 30


def resolve_paths(value: Any, base: str) -> Any:
    """Make the relative paths of a job absolute.

    :param value: the job object, or a part of it.
    :param base: folder on the host in which the job's relative paths start.
    :returns: a copy of the job.
    """
    if isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            value = dict(value)
            for key in ("path", "location"):
                path = value.get(key)
                if isinstance(path, str) and "://" not in path and not path.startswith("/"):
                    value[key] = f"{base}/{path}"
        return {key: resolve_paths(item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_paths(item, base) for item in value]
    return value


def own_error(log: str) -> list[str]:
    """Pick the lines of a task's log that say why it failed: the last ones before Airflow's own ending.

    :param log: the log as Airflow's REST API gives it.
    :returns: at most `LOG_LINES` lines.
    """
    lines = [line for line in log.splitlines() if line.strip() and "::endgroup::" not in line]
    for index, line in enumerate(lines):
        if "Marking task as FAILED" in line or "Marking task as UP_FOR_RETRY" in line:
            return lines[max(0, index - LOG_LINES) : index]
    return lines[-LOG_LINES:]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible is not typed
    """Trigger, follow and wait for DAG runs.

    Arguments: ``url``, ``user`` and ``password`` of the webserver as the host reaches it; ``folders``, the
    workflows' folders on the controller, each with a ``job.yml`` and named like its DAG; ``home``, the folder
    on the host that has the same ones; ``run_id``; ``timeout`` and ``interval`` in seconds.
    """

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        super().run(tmp, task_vars)
        self._vars = task_vars or {}
        arguments = self._task.args
        run_id: str = arguments["run_id"]
        self._deadline = time.monotonic() + float(arguments.get("timeout", 600))
        interval = float(arguments.get("interval", 2))
        began = time.monotonic()
        waiting = {Path(folder).name: Path(folder) for folder in arguments["folders"]}
        for dag_id, folder in waiting.items():
            job = yaml.safe_load((folder / "job.yml").read_text(encoding="utf-8"))
            self._trigger(dag_id, run_id, resolve_paths(job, f"{arguments['home']}/{dag_id}"))
        shown: dict[str, str] = {}
        states: dict[str, str] = {}
        seconds: dict[str, float] = {}
        while waiting:
            for dag_id in list(waiting):
                path = f"/api/v1/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
                tasks = self._get(f"{path}/taskInstances")["task_instances"]
                done = sum(task["state"] in ("success", "skipped") for task in tasks)
                running = ", ".join(task["task_id"] for task in tasks if task["state"] == "running")
                state = self._get(path)["state"]
                line = (
                    f"{dag_id}: {state}, {done} of {len(tasks)} tasks done{', running ' + running if running else ''}"
                )
                if shown.get(dag_id) != line:
                    shown[dag_id] = line
                    display.display(f"  {time.monotonic() - began:5.1f} s  {line}")
                if state in ENDED:
                    states[dag_id] = state
                    seconds[dag_id] = round(time.monotonic() - began, 1)
                    del waiting[dag_id]
                    if state == "failed":
                        return self._failure(dag_id, run_id, path, tasks)
            if waiting and time.monotonic() > self._deadline:
                return {"failed": True, "msg": f"Not done in time: {'; '.join(shown[dag_id] for dag_id in waiting)}"}
            if waiting:
                time.sleep(interval)
        return {"changed": True, "run_id": run_id, "states": states, "seconds": seconds}

    def _trigger(self, dag_id: str, run_id: str, job: Any) -> None:
        body = {"dag_run_id": run_id, "conf": {"job": job}}
        path = f"/api/v1/dags/{quote(dag_id, safe='')}/dagRuns"
        unanswered = False
        while True:
            result = self._call(path, method="POST", body=body)
            status = result.get("status")
            if status == 200 or (status == 409 and unanswered):
                return
            unanswered = unanswered or status == NO_ANSWER
            # The scheduler has not seen a DAG file that is new.
            if status not in (404, NO_ANSWER) or time.monotonic() > self._deadline:
                errors = self._get("/api/v1/importErrors").get("import_errors", [])
                raise AnsibleActionFail(
                    f"{dag_id} could not be triggered: {result.get('content') or result.get('msg')} "
                    + " ".join(f"{error['filename']}: {error['stack_trace']}" for error in errors)
                )
            time.sleep(2)

    def _failure(self, dag_id: str, run_id: str, path: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        parts = [f"{dag_id} failed (run {run_id})."]
        for task in (task for task in tasks if task["state"] == "failed"):
            log = self._call(f"{path}/taskInstances/{quote(task['task_id'], safe='')}/logs/{task['try_number']}")
            parts.append(f"Task {task['task_id']}:")
            parts += own_error(str(log.get("content", "")))
        return {"failed": True, "msg": "\n".join(parts)}

    def _get(self, path: str) -> dict[str, Any]:
        result = self._call(path, accept="application/json")
        # A host under load, or one whose webserver restarts, answers later.
        while result.get("status") == NO_ANSWER and time.monotonic() < self._deadline:
            time.sleep(2)
            result = self._call(path, accept="application/json")
        if result.get("status") != 200:
            raise AnsibleActionFail(f"{path}: {result.get('msg')} {result.get('content', '')}")
        answer: dict[str, Any] = result["json"]
        return answer

    def _call(self, path: str, method: str = "GET", body: Any = None, accept: str = "text/plain") -> dict[str, Any]:
        """Call the API from the host itself: the webserver may listen on its loopback only."""
        arguments: dict[str, Any] = {
            "url": self._task.args["url"] + path,
            "method": method,
            "url_username": self._task.args["user"],
            "url_password": self._task.args["password"],
            "force_basic_auth": True,
            "return_content": True,
            "status_code": [200, 400, 401, 403, 404, 409, 500],
            "headers": {"Accept": accept if body is None else "application/json"},
            "timeout": 30,
        }
        if body is not None:
            arguments |= {"body": json.dumps(body), "body_format": "json"}
        result: dict[str, Any] = self._execute_module("ansible.builtin.uri", arguments, task_vars=self._vars)
        return result
