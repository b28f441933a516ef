"""Which failures are tried again."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from cwl_airflow.dags.failures import StepFailed
from cwl_airflow.dags.retries import LostTaskRetryPolicy, StepLost, first_try, is_lost, retry_arguments


def api_error(status: int | None, kind: ErrorType = ErrorType.API_SERVER_ERROR) -> AirflowRuntimeError:
    return AirflowRuntimeError(ErrorResponse(error=kind, detail={"status_code": status}))


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (StepLost("the engine went away"), True),
        (StepFailed("exit status 1"), False),
        (ValueError("no such input"), False),
        (OSError(28, "No space left on device"), False),
        (api_error(None), True),
        (api_error(500), True),
        (api_error(503), True),
        (api_error(404), False),
        (api_error(409), False),
        (api_error(None, ErrorType.VARIABLE_NOT_FOUND), False),
        (AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)), True),
    ],
)
def test_what_the_host_did_is_told_from_what_the_task_did(error: Exception, lost: bool) -> None:
    assert is_lost(error) is lost


def decide(own: int, error: Exception, number: int, failures: int | None) -> Any:
    policy = LostTaskRetryPolicy(own=own, lost=2)
    return policy.evaluate(error, number, own + 2, {"task": SimpleNamespace(failures=failures)})


@pytest.mark.parametrize(
    ("own", "number", "failures", "action"),
    [
        (0, 1, 1, RetryAction.FAIL),
        (0, 3, 1, RetryAction.FAIL),  # two were lost before
        (1, 1, 1, RetryAction.DEFAULT),
        (1, 2, 1, RetryAction.DEFAULT),  # the first one was lost
        (1, 2, 2, RetryAction.FAIL),
        (0, 1, None, RetryAction.FAIL),  # it is not known, so all count
        (1, 1, None, RetryAction.DEFAULT),
        (1, 2, None, RetryAction.FAIL),
    ],
)
def test_a_failing_tool_is_tried_as_often_as_the_dag_says(
    own: int, number: int, failures: int | None, action: RetryAction
) -> None:
    assert decide(own, StepFailed("exit status 1"), number, failures).action == action


def test_the_pause_before_a_lost_task_is_tried_again_grows() -> None:
    pauses = []
    for number in (1, 2, 3):
        decision = decide(0, StepLost("the engine went away"), number, 0)
        assert decision.action == RetryAction.RETRY
        pauses.append(decision.retry_delay)
    assert pauses == [timedelta(seconds=seconds) for seconds in (10, 30, 90)]
    # A try that failed by what it did is none that was lost.
    assert decide(1, StepLost("the engine went away"), 2, 1).retry_delay == timedelta(seconds=10)
    assert LostTaskRetryPolicy(0, 2).evaluate(StepLost(""), 1, 2).retry_delay == timedelta(seconds=10)


def test_a_cleared_task_begins_anew() -> None:
    assert [first_try(max_tries, 2) for max_tries in (0, 2, 3, 7)] == [1, 1, 2, 6]


def test_a_dag_keeps_what_it_says() -> None:
    made = retry_arguments({}, 2)
    assert (made["retries"], made["retry_delay"], made["retry_exponential_backoff"]) == (2, timedelta(seconds=10), 3.0)
    made = retry_arguments({"retries": 1, "retry_delay": timedelta(0)}, 2)
    assert made["retries"] == 3
    assert (made["retry_policy"].own, made["retry_policy"].lost) == (1, 2)
    assert made["retry_policy"].serialize() == {"own": 1, "lost": 2}
    assert "retry_delay" not in made
    assert retry_arguments({"retries": None}, 0)["retries"] == 0
    assert retry_arguments({"retry_policy": LostTaskRetryPolicy(0, 0)}, 2) == {}
