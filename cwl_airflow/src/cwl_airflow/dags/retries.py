"""Which failures are tried again: what the host did, always; what the tool did, if the DAG says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy, conf
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from .failures import StepFailed

#: Seconds before a lost task is tried again: the first time, and how many times longer each time.
PAUSE, GROWTH = 10, 3
#: Seconds that a pause of Airflow's own is at most, which grows with the number of the try, cleared ones among them.
LONGEST_PAUSE = 60


class StepLost(StepFailed):
    """A task failed, as a part of the host went away; the message says in one line which."""


def is_lost(error: BaseException) -> bool:
    """Tell whether an error says that a part of the host went away, and nothing of what the task does."""
    if isinstance(error, AirflowRuntimeError):
        status = (error.error.detail or {}).get("status_code")
        return error.error.error == ErrorType.API_SERVER_ERROR and (status is None or status >= 500)
    return isinstance(error, StepLost)


class LostTaskRetryPolicy(RetryPolicy):
    """Tries again what was lost. What failed by what it does is only tried again as often as its DAG says."""

    def __init__(self, own: int, lost: int) -> None:
        """Take the numbers.

        :param own: how often the DAG says that a task is tried again.
        :param lost: how often a task is that was lost.
        """
        self.own = own
        self.lost = lost

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide what becomes of a try that failed (called by Airflow in the task's process).

        :param max_tries: number of the last try.
        """
        first = first_try(max_tries, self.own + self.lost)
        failures = getattr(context["task"], "failures", None) if context else None
        if failures is None:  # an operator of the user's own, or one that did not get as far as noting it
            failures = try_number - first + (not is_lost(exception))
        if is_lost(exception):
            return RetryDecision.retry(pause_before(try_number - first - failures + 1), "a part of the host went away")
        return RetryDecision.default() if failures <= self.own else RetryDecision.fail("it would fail again")

    def serialize(self) -> dict[str, Any]:
        """Return what is kept of the policy: only tasks ask it."""
        return {"own": self.own, "lost": self.lost}


def first_try(max_tries: int, retries: int) -> int:
    """Return the number of the first try since a task was last cleared, from 1.

    :param max_tries: number of the last one but one, as Airflow counts them.
    :param retries: of the task.
    """
    return max(max_tries - retries, 0) + 1


def pause_before(retry: int) -> timedelta:
    """Return how long to wait before a lost task is tried again.

    :param retry: for which time, from 1.
    """
    return timedelta(seconds=PAUSE * GROWTH ** (max(retry, 1) - 1))


def retry_arguments(default_args: dict[str, Any], lost: int) -> dict[str, Any]:
    """Return the arguments with which Airflow tries lost tasks again; none where the DAG has a policy of its own.

    :param default_args: of the DAG.
    :param lost: how often a lost task is tried again.
    """
    if "retry_policy" in default_args:
        return {}
    own = default_args.get("retries")
    own = int(conf.getint("core", "default_task_retries", fallback=0) if own is None else own)
    # The scheduler, which knows no policy, takes these for a task whose process says nothing more.
    pauses: dict[str, Any] = {
        "retry_delay": timedelta(seconds=PAUSE),
        "retry_exponential_backoff": float(GROWTH),
        "max_retry_delay": timedelta(seconds=LONGEST_PAUSE),
    }
    return {
        **({} if pauses.keys() & default_args.keys() else pauses),
        "retries": own + lost,
        "retry_policy": LostTaskRetryPolicy(own, lost),
    }
