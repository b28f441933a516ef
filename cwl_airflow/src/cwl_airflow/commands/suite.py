"""Run a suite of CWL tests, in the format of cwltest, through the CWL API of this host, and compare the outputs.

Each test is sent with its files, runs as a DAG of its own, and is removed again. A test that must fail passes when its
document is refused or its run fails. The exit code is 1 when a test did not pass.
"""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..rest import LOCAL_API, LOCAL_URL

if TYPE_CHECKING:
    from ..conformance.suite import SuiteTest
    from ..conformance.tester import Outcome


class UsageError(Exception):
    """The command cannot begin; the message names the option and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cwl-airflow test``."""
    parser.add_argument(
        "--suite", type=Path, required=True, help="path of the suite, for instance conformance_tests.yaml"
    )
    parser.add_argument("--range", metavar="NUMBERS", help="tests to run, like 1,3-6,9 (default: all)")
    parser.add_argument("--api", default=LOCAL_API, help="URL of the CWL API (default: %(default)s)")
    parser.add_argument("--url", default=LOCAL_URL, help="Airflow's api-server (default: %(default)s)")
    parser.add_argument(
        "--user", help="user of Airflow who may add documents (default: the administrator, whose login this host has)"
    )
    parser.add_argument(
        "--password-file", metavar="FILE", help="the user's password, - for standard input (default: ask for it)"
    )
    parser.add_argument(
        "-j", "--jobs", type=int, default=4, metavar="NUMBER", help="tests at a time (default: %(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=1200, help="of a test, in seconds (default: %(default)s)")
    parser.add_argument("--junit-xml", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--spin", action="store_true", help="show the spinner even where there is no terminal")


def run(options: argparse.Namespace) -> int:
    """Run the tests; exit code 1 when one did not pass, 2 when they cannot begin."""
    # Only now: what reads suites takes a second.
    from ..rest import RestError

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _run(options)
    except (UsageError, RestError, OSError) as error:
        print(f"cwl-airflow test: error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    from ..conformance.junit import write_junit
    from ..conformance.tester import Tester
    from ..conformance.wes import WesClient
    from ..rest import AirflowClient

    tests = _choose_tests(options)
    login = _read_login(options)
    # Before hundreds of tests fail for the same reason.
    WesClient(options.api, *login).check_login()
    AirflowClient(options.url, *login).get("dags", limit=1)
    tester = Tester(lambda: WesClient(options.api, *login), lambda: AirflowClient(options.url, *login), options.timeout)
    outcomes: list[Outcome] = []
    try:
        with _progress(len(tests), options.spin) as (begins, ends):
            for outcome in tester.run(tests, options.jobs, begins):
                outcomes.append(outcome)
                ends(outcome)
    finally:
        if options.junit_xml:
            write_junit(outcomes, options.suite.stem, options.junit_xml)
    wrong = sorted((outcome.test for outcome in outcomes if not outcome.passed), key=lambda test: test.number)
    print(f"{len(tests) - len(wrong)} of {len(tests)} tests passed")
    if wrong:
        print("did not pass:", ", ".join(f"{test.number} {test.name}" for test in wrong))
    return int(bool(wrong))


def _choose_tests(options: argparse.Namespace) -> list[SuiteTest]:
    """Return the tests to run.

    :raises UsageError: there are none, or something else cannot be as it is said.
    """
    from ..conformance.suite import SuiteError, choose, read_suite

    if options.jobs < 1:
        raise UsageError(f"--jobs {options.jobs}: give 1 or more")
    if options.junit_xml:
        # Now, and not when hundreds of tests have run.
        try:
            options.junit_xml.open("a").close()
        except OSError as error:
            raise UsageError(
                f"--junit-xml {options.junit_xml}: {error.strerror}: name a file that can be written"
            ) from error
    try:
        tests = read_suite(options.suite)
    except SuiteError as error:
        raise UsageError(f"--suite {options.suite}: {error}") from error
    try:
        return choose(tests, options.range)
    except SuiteError as error:
        raise UsageError(f"--range {options.range}: {error}") from error


def _read_login(options: argparse.Namespace) -> tuple[str, str]:
    """Return user and password.

    :raises UsageError: there are none.
    """
    from ..configuration import administrator_file, read_administrator

    if not options.user:
        if options.password_file:
            raise UsageError(f"--password-file {options.password_file}: it needs --user")
        try:
            return read_administrator()
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"{administrator_file()} has no login ({error}): run sudo cwl-airflow test, or name a user with --user"
            ) from error
    try:
        if options.password_file == "-":  # nosec B105  # standard input
            password = sys.stdin.read()
        elif options.password_file:
            password = Path(options.password_file).read_text(encoding="utf-8")
        else:
            password = getpass.getpass(f"Password of {options.user}: ")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        given = f"--password-file {options.password_file}" if options.password_file else f"--user {options.user}"
        raise UsageError(f"{given}: the password cannot be read: {error or 'use --password-file'}") from error
    return options.user, password.rstrip("\r\n")


@contextmanager
def _progress(total: int, spin: bool) -> Iterator[tuple[Callable[[SuiteTest], None], Callable[[Outcome], None]]]:
    """Show how tests come along: a line for each that ends and, on a terminal, a spinner with those that run.

    Give what is to be called with a test that begins, and with what became of one.

    :param total: how many tests there are.
    :param spin: whether there is a spinner even without a terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # Where nobody looks, lines are as long as they are.
    console = Console(force_terminal=True if spin else None, markup=False, highlight=False, soft_wrap=True)
    columns = SpinnerColumn(), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    running: dict[int, str] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=total)

        def begins(test: SuiteTest) -> None:
            running[test.number] = test.name
            progress.update(task, description=", ".join(list(running.values())))

        def ends(outcome: Outcome) -> None:
            running.pop(outcome.test.number, None)
            progress.update(task, advance=1, description=", ".join(list(running.values())))
            console.print(describe(outcome))

        yield begins, ends


def describe(outcome: Outcome) -> str:
    """Say in a line what became of a test, and in some more why it did not pass."""
    from ..example_runs import last_lines

    test = outcome.test
    head = f"{'passed' if outcome.passed else 'FAILED'}  {test.number} {test.name} ({outcome.seconds:.1f} s)"
    return head if outcome.passed else f"{head}:\n{last_lines(outcome.message.splitlines())}"
