"""Run tests of a suite on this host, some at a time, and remove what they made."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from ..configuration import read_option
from ..expected_outputs import differences
from ..gate.places import ATTACHMENTS
from ..rest import ACTIVE_RUN_STATES, AirflowClient, NotFound, RestError
from .request import make_request
from .suite import SuiteTest
from .wes import RunRefused, WesClient

#: Seconds between two looks at a run.
PAUSE = 1.0
#: How often it is tried to remove the DAG of a run, which Airflow refuses while a task of it ends.
TRIES = 10


class _Interrupted(Exception):
    """The tests are to end."""


@dataclass(frozen=True)
class Outcome:
    """What became of a test."""

    test: SuiteTest
    passed: bool
    #: From its start to its end, in seconds.
    seconds: float
    #: Why it did not pass; of a test that must fail, how it failed.
    message: str = ""


@dataclass
class Tester:
    """What runs tests on this host."""

    #: Return a client for a thread.
    make_wes: Callable[[], WesClient]
    make_airflow: Callable[[], AirflowClient]
    #: For how long a test may take, in seconds.
    timeout: float
    _stop: threading.Event = field(default_factory=threading.Event)
    _own: threading.local = field(default_factory=threading.local)

    def run(self, tests: Sequence[SuiteTest], at_a_time: int, begins: Callable[[SuiteTest], None]) -> Iterator[Outcome]:
        """Run tests, and return what became of each as it ends. When this is interrupted, their runs end.

        :param at_a_time: how many.
        :param begins: takes a test that begins, in any thread.
        """
        with ThreadPoolExecutor(at_a_time) as pool:
            futures = [pool.submit(self._run_one, test, begins) for test in tests]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _run_one(self, test: SuiteTest, begins: Callable[[SuiteTest], None]) -> Outcome:
        """Run a test with the clients of this thread."""
        if not hasattr(self._own, "clients"):
            self._own.clients = self.make_wes(), self.make_airflow()
        begins(test)
        began = time.monotonic()
        passed, message = self._try(test, *self._own.clients)
        return Outcome(test, passed, round(time.monotonic() - began, 1), message)

    def _try(self, test: SuiteTest, wes: WesClient, airflow: AirflowClient) -> tuple[bool, str]:
        """Return whether a test passes, and what there is to say."""
        try:
            run_id = wes.submit(make_request(test))
        except RunRefused as error:
            return test.should_fail, str(error)
        except (RestError, OSError, ValueError) as error:
            return False, str(error)
        try:
            return self._judge(test, run_id, wes, airflow)
        except (RestError, OSError, ValueError) as error:
            return False, str(error)
        finally:
            remove_run(airflow, run_id)

    def _judge(self, test: SuiteTest, run_id: str, wes: WesClient, airflow: AirflowClient) -> tuple[bool, str]:
        state = self._wait(run_id, airflow)
        if state in ACTIVE_RUN_STATES:
            return False, f"It did not end in {self.timeout:g} s"
        if state != "success":
            why = "\n".join(airflow.read_failures(run_id, run_id)) or "The run failed, but none of its tasks"
            return test.should_fail, why
        if test.should_fail:
            return False, "It succeeded, and must fail"
        problems = differences(wes.get_outputs(run_id), test.output)
        return not problems, "\n".join(problems)

    def _wait(self, run_id: str, airflow: AirflowClient) -> str:
        """Return the state of a run when it has ended, or took too long.

        :raises _Interrupted: the tests are to end.
        """
        deadline = time.monotonic() + self.timeout
        while (state := airflow.get_run_state(run_id, run_id)) in ACTIVE_RUN_STATES:
            if time.monotonic() > deadline:
                break
            if self._stop.wait(PAUSE):
                raise _Interrupted
        return state


def remove_run(airflow: AirflowClient, run_id: str) -> None:
    """End a run of WES, and remove its DAG, its files and its outputs."""
    with contextlib.suppress(RestError):
        if airflow.get_run_state(run_id, run_id) in ACTIVE_RUN_STATES:
            airflow.set_run_state(run_id, run_id, "failed")
    (Path(read_option("core", "dags_folder")) / f"{run_id}.py").unlink(missing_ok=True)
    for _ in range(TRIES):
        try:
            airflow.delete_dag(run_id)
            break
        except NotFound:
            break
        except RestError:
            time.sleep(PAUSE)
    tmp, outputs = (Path(read_option("cwl", name)) for name in ("tmp_folder", "outputs_folder"))
    for folder in (tmp / ATTACHMENTS / run_id, tmp / run_id, outputs / run_id):
        shutil.rmtree(folder, ignore_errors=True)
