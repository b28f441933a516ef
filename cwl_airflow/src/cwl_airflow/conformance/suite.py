"""The tests of a suite in cwltest's format.

Source: https://github.com/common-workflow-language/cwltest
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwltest.utils import load_and_validate_tests, shortname

#: How much of what is wrong with a suite is shown, in characters.
SHOWN = 700


class SuiteError(Exception):
    """There is no such suite or test; the message says what is there."""


@dataclass(frozen=True)
class SuiteTest:
    """A test of a suite."""

    #: Its place in the suite, from 1.
    number: int
    name: str
    description: str
    #: The document, and which of its processes; nothing for the main one.
    document: Path
    process: str
    #: The file of the job; none for no inputs.
    job: Path | None
    #: What the document must give.
    output: Mapping[str, Any]
    #: Whether it must not run.
    should_fail: bool
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int, entry: Mapping[str, Any]) -> SuiteTest:
        """Return a test as cwltest reads it.

        :raises SuiteError: its document or its job is no file.
        """
        description = " ".join(str(entry.get("doc", "")).split())
        name = shortname(str(entry["id"])) if entry.get("id") else str(entry.get("label") or description)
        document, process = _local(number, entry["tool"])
        job = _local(number, entry["job"])[0] if entry.get("job") else None
        return cls(
            number=number,
            name=name,
            description=description or name,
            document=document,
            process=process,
            job=job,
            output=entry.get("output") or {},
            should_fail=bool(entry.get("should_fail")),
            tags=tuple(entry.get("tags") or ()),
        )


def _local(number: int, uri: str) -> tuple[Path, str]:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise SuiteError(f"Test {number} of the suite: {uri} is no file")
    return Path(unquote(parts.path)), parts.fragment


def read_suite(path: Path) -> list[SuiteTest]:
    """Return the tests of a suite.

    :raises SuiteError: it cannot be read, or is no suite.
    """
    if not path.is_file():
        raise SuiteError(f"{path} is no file, or not for this user to see")
    try:
        entries, _ = load_and_validate_tests(str(path.absolute()))
    except Exception as error:  # schema-salad raises what its parts raise
        # In columns, of which the first one repeats the path.
        reason = " ".join(str(error).split())[:SHOWN]
        raise SuiteError(f"{path} is no suite in cwltest's format: {reason}") from error
    return [SuiteTest.of(number, entry) for number, entry in enumerate(entries, 1)]


def choose(tests: list[SuiteTest], wanted: str | None) -> list[SuiteTest]:
    """Return some tests of a suite, in its order.

    :param wanted: their numbers, like ``1,3-6,9``; none for all.
    :raises SuiteError: it is not like that, or there is no such test.
    """
    if wanted is None:
        return tests
    numbers: set[int] = set()
    for part in wanted.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if not found:
            raise SuiteError(f"{part!r} is neither a number nor a range: write them like 1,3-6,9")
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= len(tests):
            raise SuiteError(f"{part.strip()} is not in the suite, which has the tests 1 to {len(tests)}")
        numbers.update(range(first, last + 1))
    return [test for test in tests if test.number in numbers]
