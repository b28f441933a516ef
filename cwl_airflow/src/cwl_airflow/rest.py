"""Airflow's REST API: trigger runs, wait for them, and find out what went wrong with them.

Source: https://airflow.apache.org/docs/apache-airflow/3.3.2/stable-rest-api-ref.html
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

#: The api-server of a host where nothing else is said.
LOCAL_URL = "http://127.0.0.1:8080"
#: The same of the CWL API.
LOCAL_API = "http://127.0.0.1:8081"
#: Below the URL of the api-server: its API, where a user and password give a token for that, and this package's pages.
API_PATH, LOGIN_PATH, PAGES_PATH = "/api/v2", "/auth/token", "/cwl"
#: How much of a list the API gives at once, at most.
PAGE = 100
ACTIVE_RUN_STATES = ("queued", "running")
#: For how long a request may take, in seconds.
TIMEOUT = 60
#: Seconds between two questions whether something has ended.
PAUSE = 0.5
#: Answers of a server that is restarted or overloaded, after 0, 2, 4 and 8 seconds.
RETRIES = Retry(
    total=4, backoff_factor=1, status_forcelist=range(500, 600), allowed_methods=None, raise_on_status=False
)
#: How much of an answer is shown, in characters, and of a log, in lines.
SHOWN_ANSWER, SHOWN_LOG = 500, 40
#: What Airflow writes into the log of a task after what the task did, and after why it failed.
ENDING = "::group::Post Execute"


class RestError(Exception):
    """The API cannot be reached, or did not do what it was asked; the message says why."""


class NotFound(RestError):
    """The API does not know what it was asked for."""


class RunFailed(Exception):
    """A run failed; the message has the end of the log of each failed task."""


class DeadlineExceeded(Exception):
    """What was waited for took too long."""


def server_url(tasks_url: str | None) -> str:
    """Return the URL of the api-server.

    :param tasks_url: of its API for tasks, ``[core] execution_api_server_url``; none where that is not set.
    """
    return (tasks_url or LOCAL_URL).removesuffix("/").removesuffix("/execution")


class AirflowClient:
    """Airflow's REST API, as one user."""

    def __init__(
        self, url: str, user: str, password: str, retries: Retry = RETRIES, pause: float | None = None
    ) -> None:
        """Take where it is and who asks; nothing is sent yet.

        :param url: of the api-server.
        :param pause: seconds between two questions whether something has ended, by default `PAUSE`.
        """
        self._server = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._token: str | None = None
        self._pause = PAUSE if pause is None else pause
        self._session = requests.Session()
        self._session.auth = self._authorize
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retries))

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return what the API answers. What fails for want of a server is tried again for a while.

        :param path: below that of the API.
        :raises NotFound: it does not know what it was asked for.
        :raises RestError: it cannot be reached, or refuses.
        """
        return check_answer(self._send(method, f"{API_PATH}/{path}", params=params, json=json, headers=headers))

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        if self._token is None:
            self._log_in()
        answer = self._ask(method, self._server + path, **arguments)
        if answer.status_code != 401:
            return answer
        self._log_in()  # the token has expired
        return self._ask(method, self._server + path, **arguments)

    def _ask(self, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=TIMEOUT, **arguments)
        except requests.RequestException as error:
            raise RestError(f"{method} {url}: {error}") from error

    def _log_in(self) -> None:
        """Get a token, which is good for as long as ``[api_auth] jwt_expiration_time`` says."""
        self._token = None
        answer = check_answer(self._ask("POST", self._server + LOGIN_PATH, json=self._login))
        self._token = str(answer.json()["access_token"])

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token to a request, in place of what a ``~/.netrc`` says."""
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def get(self, path: str, **params: str | int) -> Any:
        """Return the JSON that the API answers.

        :param path: below that of the API.
        :param params: of the query.
        :raises NotFound: it does not know what it was asked for.
        :raises RestError: it cannot be reached, or refuses.
        """
        return self.request("GET", path, params=params).json()

    def get_page(self, path: str) -> Any:
        """Return the JSON that what Airflow's pages show of CWL is made of.

        :param path: below that of these pages.
        :raises RestError: it cannot be reached, or refuses.
        """
        return check_answer(self._send("GET", f"{PAGES_PATH}/{path}")).json()

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether Airflow knows a DAG, whose file is there."""
        try:
            return not self.get(dag_path(dag_id)).get("is_stale")
        except NotFound:
            return False

    def find_import_error(self, path: str, since: float = 0) -> str | None:
        """Return why Airflow could not read a DAG file, of the 100 newest errors; none if there is none.

        :param path: of the file, or of a folder that it is in, below that of the DAG files.
        :param since: when it was written, in seconds since 1970: an error of before is not one of it.
        """
        errors = self.get("importErrors", limit=PAGE, order_by="-import_error_id")["import_errors"]
        found = (
            str(error["stack_trace"])
            for error in errors
            if PurePath(error["filename"]).is_relative_to(path) and seconds_of(error.get("timestamp")) >= since
        )
        return next(map(raised_text, found), None)

    def wait_for_dag(self, dag_id: str, path: str, deadline: float, since: float = 0) -> None:
        """Wait until Airflow has read a DAG file.

        :param path: of the file, or of a folder that it is in, below that of the DAG files.
        :param deadline: until when, by `time.monotonic`.
        :param since: see `find_import_error`.
        :raises RestError: it cannot be read; the message is Airflow's.
        :raises DeadlineExceeded: it is too late.
        """
        while not self.has_dag(dag_id):
            if error := self.find_import_error(path, since):
                raise RestError(error)
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"Airflow did not read {path} in time")
            time.sleep(self._pause)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run of a DAG.

        :raises RestError: it cannot be started, for instance as there is one of that name.
        """
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        answer = self._send("POST", f"{API_PATH}/{dag_path(dag_id)}/dagRuns", json=body)
        # The answer to the first request was lost, and the run is the one that it started.
        if not (answer.status_code == 409 and was_retried(answer)):
            check_answer(answer)

    def get_run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.get(run_path(dag_id, run_id))["state"])

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as failed or successful, which ends what it runs."""
        self.request("PATCH", run_path(dag_id, run_id), json={"state": state})

    def delete_dag(self, dag_id: str) -> None:
        """Remove a DAG with its runs; refused while a task runs."""
        self.request("DELETE", dag_path(dag_id))

    def wait_for_run(self, dag_id: str, run_id: str, deadline: float, watch: Callable[[], None] = lambda: None) -> None:
        """Wait until a run has succeeded.

        :param watch: is called each time that it has not yet.
        :param deadline: until when, by `time.monotonic`.
        :raises RunFailed: it failed, with the end of the log of each failed task.
        :raises DeadlineExceeded: it is too late.
        """
        while (state := self.get_run_state(dag_id, run_id)) in ACTIVE_RUN_STATES:
            if time.monotonic() > deadline:
                raise DeadlineExceeded("The run took too long")
            watch()
            time.sleep(self._pause)
        if state != "success":
            raise RunFailed("\n".join(self.read_failures(dag_id, run_id)) or "The run failed")

    def get_tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a run, as the API describes them."""
        tasks: list[dict[str, Any]] = []
        while True:
            path = f"{run_path(dag_id, run_id)}/taskInstances"
            answer = self.get(path, limit=PAGE, offset=len(tasks), order_by="id")
            tasks += answer["task_instances"]
            if not answer["task_instances"] or len(tasks) >= answer["total_entries"]:
                return tasks

    def get_failed_tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the failed tasks of a run, the one that failed first at the beginning."""
        failed = [task for task in self.get_tasks(dag_id, run_id) if task["state"] == "failed"]
        return sorted(failed, key=lambda task: str(task.get("end_date") or ""))

    def read_failures(self, dag_id: str, run_id: str) -> list[str]:
        """Return the end of the log of each failed task of a run."""
        return [
            "\n".join([f"{task['task_id']} failed:", *self.read_log_end(dag_id, run_id, task)])
            for task in self.get_failed_tasks(dag_id, run_id)
        ]

    def read_log_end(self, dag_id: str, run_id: str, task: Mapping[str, Any], lines: int = SHOWN_LOG) -> list[str]:
        """Return the last lines of the log of a task, see `log_end`.

        :param task: as the API describes it.
        :param lines: how many at most.
        """
        return log_end(self._get_log(dag_id, run_id, task, task["try_number"]), lines)

    def read_log(self, dag_id: str, run_id: str, task: Mapping[str, Any], attempt: int | None = None) -> list[str]:
        """Return the lines of the log of a task.

        :param task: as the API describes it.
        :param attempt: which try, by default the last one.
        """
        messages = self._get_log(dag_id, run_id, task, attempt or task["try_number"])
        return [line for message in messages for line in message_lines(message)]

    def _get_log(self, dag_id: str, run_id: str, task: Mapping[str, Any], attempt: int) -> Any:
        name = quote(task["task_id"], safe="")
        path = f"{run_path(dag_id, run_id)}/taskInstances/{name}/logs/{attempt}"
        return self.get(path, map_index=task["map_index"], full_content="true")["content"]


def check_answer(answer: requests.Response) -> requests.Response:
    """Return an answer that is no error.

    :raises NotFound: the API does not know what it was asked for.
    :raises RestError: it refuses.
    """
    if answer.ok:
        return answer
    kind = NotFound if answer.status_code == 404 else RestError
    raise kind(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:SHOWN_ANSWER]}")


def log_end(messages: Sequence[str | Mapping[str, Any]], lines: int = SHOWN_LOG) -> list[str]:
    """Return the lines of a task's log that say why it failed: the last ones before Airflow's own ending.

    :param messages: as the API describes them.
    :param lines: how many at most.
    """
    told: list[str] = []
    grouped = False
    for of, line in ((message, line) for message in messages for line in message_lines(message)):
        if line.startswith(ENDING):
            break
        if line.startswith(("::group::", "::endgroup::")):
            grouped = line.startswith("::group::")
        elif line.strip() and not (grouped and is_news(of)):
            told.append(line)
    return told[-lines:]


def is_news(message: str | Mapping[str, Any]) -> bool:
    """Tell whether a message says what goes on, and nothing that is wrong: the web page folds up groups of them."""
    return not isinstance(message, str) and message.get("level", "info") == "info" and not message.get("error_detail")


def raised_text(stack_trace: str) -> str:
    """Return what a traceback of Python says that was raised, and not where."""
    raised = stack_trace.rpartition("Traceback (most recent call last):\n")[2].splitlines()
    return "\n".join(itertools.dropwhile(lambda line: line.startswith(" "), raised)).strip()


def message_lines(message: str | Mapping[str, Any]) -> list[str]:
    """Return what a message of a log says, line by line; of an error what it says, and not where it came from."""
    if isinstance(message, str):
        return message.splitlines()
    raised = (message.get("error_detail") or [])[:1]  # its causes come after it
    errors = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in raised]
    return [line for text in (str(message.get("event", "")), *errors) for line in text.splitlines()]


def was_retried(answer: requests.Response) -> bool:
    """Tell whether an answer is that to a request which was sent more than once."""
    retries = answer.raw.retries
    return bool(retries and retries.history)


def seconds_of(moment: str | None) -> float:
    """Return a time of the API in seconds since 1970; 0 for none."""
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() if moment else 0


def dag_path(dag_id: str) -> str:
    """Return the path of a DAG below that of the API."""
    return f"dags/{quote(dag_id, safe='')}"


def run_path(dag_id: str, run_id: str) -> str:
    """Return the path of a run below that of the API."""
    return f"{dag_path(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def run_page(dag_id: str, run_id: str) -> str:
    """Return the path of the page of a run below that of Airflow's pages."""
    return f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
