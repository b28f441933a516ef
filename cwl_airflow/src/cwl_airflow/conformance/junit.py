"""The results of tests as JUnit's XML, which programs for continuous integration show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from junit_xml import TestCase, TestSuite, to_xml_report_file

from .tester import Outcome


def write_junit(outcomes: Sequence[Outcome], suite: str, file: Path) -> None:
    """Write the results of tests into a file.

    :param suite: what the suite is called.
    :raises OSError: the file cannot be written.
    """
    cases = []
    for outcome in sorted(outcomes, key=lambda each: each.test.number):
        test = outcome.test
        case = TestCase(
            test.description, classname=test.name, elapsed_sec=outcome.seconds, category=", ".join(test.tags) or None
        )
        if not outcome.passed:
            lines = outcome.message.splitlines() or ["failed"]
            case.add_failure_info(lines[0], outcome.message)
        cases.append(case)
    with file.open("w", encoding="utf-8") as stream:
        to_xml_report_file(stream, [TestSuite(suite, cases)], encoding="utf-8")
