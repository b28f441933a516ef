"""The client of Airflow's REST API against a real HTTP server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_api import LOGIN, AirflowApi, log_answer, serve, tasks_answer
from cwl_airflow.rest import AirflowClient, DeadlineExceeded, NotFound, RestError, RunFailed
from hypothesis import given
from hypothesis import strategies as st

from cwl_airflow import rest

RUN = "/dags/a/dagRuns/run"
NO_WAIT = rest.RETRIES.new(backoff_factor=0)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowApi]:
    monkeypatch.setattr(rest, "PAUSE", 0.01)
    with serve() as server:
        yield server


@pytest.fixture
def client(api: AirflowApi) -> AirflowClient:
    return AirflowClient(f"{api.url}/", "admin", "secret", NO_WAIT)


def later(seconds: float = 60) -> float:
    return time.monotonic() + seconds


def test_who_asks_is_told(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /dags/a", (200, {"dag_id": "a"}))
    assert client.get("dags/a", limit=1) == {"dag_id": "a"}
    assert api.requests == [("GET /dags/a", {"limit": ["1"]})]
    assert api.headers[0]["Authorization"] == "Bearer token-1"
    client.get("dags/a")
    assert api.logins == [{"username": "admin", "password": "secret"}]


def test_a_token_that_has_expired_is_renewed(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /dags/a", (200, {}), (401, {"detail": "Token Expired"}), (200, {}))
    assert client.has_dag("a")
    assert client.has_dag("a")
    assert [headers["Authorization"] for headers in api.headers] == [f"Bearer token-{number}" for number in (1, 1, 2)]


def test_a_token_that_is_not_good_any_more_is_renewed_once(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /dags/a", (401, {"detail": "Token Expired"}))
    with pytest.raises(RestError, match=r"401 .*Token Expired"):
        client.has_dag("a")
    assert len(api.logins) == 2


def test_a_login_that_is_refused(api: AirflowApi, client: AirflowClient) -> None:
    api.answer(LOGIN, (401, {"detail": "Invalid credentials"}))
    with pytest.raises(RestError, match=r"POST http://127.0.0.1:\d+/auth/token: 401 .*Invalid credentials"):
        client.has_dag("a")
    assert api.requests == []


def test_a_login_of_netrc_is_not_used(
    api: AirflowApi, client: AirflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api.answer("GET /dags/a", (200, {}))
    assert client.has_dag("a")
    assert api.headers[0]["Authorization"] == "Bearer token-1"


def test_names_are_quoted(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /dags/a%2Fb/dagRuns/manual__2026%2B1%3F", (200, {"state": "queued"}))
    assert client.get_run_state("a/b", "manual__2026+1?") == "queued"


def test_what_is_not_there(api: AirflowApi, client: AirflowClient) -> None:
    assert not client.has_dag("a")
    with pytest.raises(NotFound, match="404"):
        client.get_run_state("a", "run")
    assert api.questions() == ["GET /dags/a", f"GET {RUN}"]  # and is not asked for again


def test_a_refusal_is_told(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("DELETE /dags/a", (403, {"title": "Forbidden", "detail": "x" * 1000}))
    with pytest.raises(RestError, match=r"DELETE http://127.0.0.1:\d+/api/v2/dags/a: 403 .*Forbidden") as error:
        client.delete_dag("a")
    assert len(str(error.value)) < 600
    assert len(api.requests) == 1


@pytest.mark.parametrize("failure", [(500, {}), (502, "bad gateway"), (503, {}), None])
def test_what_a_server_cannot_answer_is_asked_again(
    api: AirflowApi, client: AirflowClient, failure: tuple[int, object] | None
) -> None:
    api.answer("GET /dags/a", failure, failure, (200, {}))
    assert client.has_dag("a")
    assert len(api.requests) == 3


def test_a_server_that_goes_on_failing(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /dags/a", (503, "restarting"))
    with pytest.raises(RestError, match="503 restarting"):
        client.has_dag("a")
    assert len(api.requests) == 1 + 4


def test_there_is_no_server() -> None:
    with pytest.raises(RestError, match=r"POST http://127.0.0.1:9/auth/token: .*refused"):
        AirflowClient("http://127.0.0.1:9", "a", "b", NO_WAIT).has_dag("a")


def test_it_waits_longer_from_time_to_time() -> None:
    """As long as a web server takes to restart."""
    retries, waits = rest.RETRIES, []
    for _ in range(4):
        retries = retries.increment("GET", "/", error=OSError())
        waits.append(retries.get_backoff_time())
    assert waits == [0, 2, 4, 8]


def test_trigger(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("POST /dags/a/dagRuns", (200, {}))
    client.trigger("a", "run", {"job": {"x": 1}})
    body = {"dag_run_id": "run", "logical_date": None, "conf": {"job": {"x": 1}}}
    assert api.requests == [("POST /dags/a/dagRuns", body)]


def test_a_run_that_is_there_is_not_triggered(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("POST /dags/a/dagRuns", (409, {"title": "Conflict"}))
    with pytest.raises(RestError, match="409"):
        client.trigger("a", "run", {})


def test_a_run_is_triggered_although_the_first_answer_was_lost(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("POST /dags/a/dagRuns", None, (409, {"title": "Conflict"}))
    client.trigger("a", "run", {})
    assert len(api.requests) == 2


def test_a_run_is_ended(api: AirflowApi, client: AirflowClient) -> None:
    api.answer(f"PATCH {RUN}", (200, {}))
    client.set_run_state("a", "run", "failed")
    assert api.requests == [(f"PATCH {RUN}", {"state": "failed"})]
    api.answer("DELETE /dags/a", (204, ""))
    client.delete_dag("a")


def test_it_waits_for_a_dag(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /dags/a", (404, {}), (404, {}), (200, {}))
    other = {"filename": "other.py", "stack_trace": "no"}
    api.answer("GET /importErrors", (200, {"import_errors": [other]}))
    client.wait_for_dag("a", "a.py", later())
    assert api.questions() == ["GET /dags/a", "GET /importErrors"] * 2 + ["GET /dags/a"]
    assert api.requests[1][1] == {"limit": ["100"], "order_by": ["-import_error_id"]}


def test_a_dag_that_cannot_be_read(api: AirflowApi, client: AirflowClient) -> None:
    errors = [{"filename": "b.py", "stack_trace": "no"}, {"filename": "a.py", "stack_trace": "step 'x' fails"}]
    api.answer("GET /importErrors", (200, {"import_errors": errors}))
    with pytest.raises(RestError, match=r"^step 'x' fails$"):
        client.wait_for_dag("a", "a.py", later())


def test_a_dag_that_does_not_come(api: AirflowApi, client: AirflowClient) -> None:
    api.answer("GET /importErrors", (200, {"import_errors": []}))
    with pytest.raises(DeadlineExceeded, match=r"Airflow did not read a\.py in time"):
        client.wait_for_dag("a", "a.py", later(0.05))


def test_it_waits_for_a_run(api: AirflowApi, client: AirflowClient) -> None:
    api.answer(f"GET {RUN}", (200, {"state": "queued"}), (200, {"state": "running"}), (200, {"state": "success"}))
    client.wait_for_run("a", "run", later())
    assert api.questions() == [f"GET {RUN}"] * 3


def test_a_run_that_takes_too_long(api: AirflowApi, client: AirflowClient) -> None:
    api.answer(f"GET {RUN}", (200, {"state": "running"}))
    with pytest.raises(DeadlineExceeded, match="The run took too long"):
        client.wait_for_run("a", "run", later(0.05))


def test_a_run_that_fails_says_how_its_tasks_ended(api: AirflowApi, client: AirflowClient) -> None:
    tasks = [
        {"task_id": "good", "state": "success", "try_number": 1, "map_index": -1},
        {"task_id": "bad.jobs", "state": "failed", "try_number": 2, "map_index": 3},
        {"task_id": "never", "state": "failed", "try_number": 0, "map_index": -1},
    ]
    api.answer(f"GET {RUN}", (200, {"state": "failed"}))
    api.answer(f"GET {RUN}/taskInstances", tasks_answer(tasks))
    api.answer(f"GET {RUN}/taskInstances/bad.jobs/logs/2", log_answer(*(f"line {n}" for n in range(100))))
    api.answer(f"GET {RUN}/taskInstances/never/logs/0", log_answer("killed"))
    with pytest.raises(RunFailed) as error:
        client.wait_for_run("a", "run", later())
    expected = "bad.jobs failed:\n" + "\n".join(f"line {n}" for n in range(60, 100)) + "\nnever failed:\nkilled"
    assert str(error.value) == expected
    assert api.requests[2][1] == {"map_index": ["3"], "full_content": ["true"]}


def test_a_run_that_fails_without_a_task(api: AirflowApi, client: AirflowClient) -> None:
    api.answer(f"GET {RUN}", (200, {"state": "failed"}))
    api.answer(f"GET {RUN}/taskInstances", tasks_answer([]))
    with pytest.raises(RunFailed, match=r"^The run failed$"):
        client.wait_for_run("a", "run", later())


def test_a_dag_file_of_a_folder_that_cannot_be_read(api: AirflowApi, client: AirflowClient) -> None:
    errors = [
        {"filename": "ab/dag.py", "stack_trace": "no"},
        {"filename": "a/dag.py", "stack_trace": "yes"},
    ]
    api.answer("GET /importErrors", (200, {"import_errors": errors}))
    assert client.find_import_error("a") == "yes"
    assert client.find_import_error("a/other.py") is None


def test_failed_tasks_come_in_the_order_in_which_they_failed(api: AirflowApi, client: AirflowClient) -> None:
    ends = {"a": "2026-11-27T00:00:02", "b": "2026-11-27T00:00:01", "c": None}
    tasks = [{"task_id": name, "state": "failed", "end_date": end} for name, end in ends.items()]
    api.answer(f"GET {RUN}/taskInstances", tasks_answer([*tasks, {"task_id": "d", "state": "success"}]))
    assert [task["task_id"] for task in client.get_failed_tasks("a", "run")] == ["c", "b", "a"]


def test_tasks_are_asked_for_until_all_are_there(api: AirflowApi, client: AirflowClient) -> None:
    pages = [[{"task_id": "a"}, {"task_id": "b"}], [{"task_id": "c"}]]
    api.answer(f"GET {RUN}/taskInstances", *((200, {"task_instances": page, "total_entries": 3}) for page in pages))
    assert [task["task_id"] for task in client.get_tasks("a", "run")] == ["a", "b", "c"]
    assert [question["offset"] for _, question in api.requests] == [["0"], ["2"]]


def test_tasks_that_are_removed_meanwhile_are_not_waited_for(api: AirflowApi, client: AirflowClient) -> None:
    api.answer(f"GET {RUN}/taskInstances", (200, {"task_instances": [], "total_entries": 3}))
    assert client.get_tasks("a", "run") == []


def test_of_a_log_count_the_lines_before_airflows_ending() -> None:
    error = {"exc_type": "StepFailed", "exc_value": "a: why\nin a second line", "frames": [{"lineno": 1}]}
    log = [
        "start",
        {"event": "::group::x"},
        {"event": "a file of Airflow's", "level": "info"},
        {"event": "the reason", "level": "error"},
        "",
        {"event": "Task failed with exception", "error_detail": [error, {"exc_type": "ItsCause"}]},
        {"event": "::endgroup::"},
        {"event": "the end", "level": "info"},
        {"event": rest.ENDING},
        "after",
    ]
    assert rest.log_end(log) == [
        "start", "the reason", "Task failed with exception", "StepFailed: a: why", "in a second line", "the end",
    ]  # fmt: skip


def test_of_a_log_the_last_lines_count() -> None:
    lines = [f"line {number}" for number in range(2 * rest.SHOWN_LOG)]
    assert rest.log_end(["\n".join(lines), rest.ENDING, "bye"]) == lines[-rest.SHOWN_LOG :]
    assert rest.log_end(lines) == lines[-rest.SHOWN_LOG :]


@pytest.mark.parametrize(
    ("trace", "text"),
    [
        ("tool.cwl: not CWL", "tool.cwl: not CWL"),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\nmodule.Error: a.cwl:1:2: what\n'
            "            is wrong\n",
            "module.Error: a.cwl:1:2: what\n            is wrong",
        ),
        (
            'Traceback (most recent call last):\n  File "a.py"\nFirst: a\n\nDuring handling …\n\n'
            'Traceback (most recent call last):\n  File "a.py"\nSecond: b\n',
            "Second: b",
        ),
    ],
)
def test_of_a_traceback_is_told_what_was_raised(trace: str, text: str) -> None:
    assert rest.raised_text(trace) == text


@pytest.mark.parametrize("log", [[], ["\n \n"], ["::endgroup::"], [{}]])
def test_an_empty_log_has_no_lines(log: list[Any]) -> None:
    assert rest.log_end(log) == []


@given(st.lists(st.text()))
def test_the_end_of_a_log_is_of_the_log_and_no_longer_than_the_limit(log: list[str]) -> None:
    end = rest.log_end(log)
    assert len(end) <= rest.SHOWN_LOG
    assert all(any(line in message.splitlines() for message in log) for line in end)
