"""Which locked Python requirements the package index contradicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from lock import FilterModule, lock_differences, lock_requirements

LOCK = r"""# This file was made by a tool: not==a-requirement
--only-binary :all:
one==1.0 \
    --hash=sha256:aa \
    --hash=sha256:bb
    # via
    #   two==9
Two-2[extra]==2.0 ; python_full_version < '3.11' \
    --hash=sha256:cc
"""
ONE, TWO = "one==1.0", "Two-2[extra]==2.0 ; python_full_version < '3.11'"
AIRFLOW = Path(__file__).parents[2] / "files/airflow/requirements.txt"


def test_requirements_are_one_per_line_and_have_no_hashes() -> None:
    assert lock_requirements(LOCK) == f"{ONE}\n{TWO}"
    assert lock_requirements("") == ""
    assert lock_requirements("--hash=sha256:aa\n# nothing is required") == ""


@pytest.mark.parametrize(
    ("index", "contradicted"),
    [
        (LOCK, []),
        (LOCK.replace("sha256:cc", "sha256:cc --hash=sha256:dd"), []),  # a file that came later
        (LOCK.replace("sha256:bb", "sha256:be"), [ONE]),
        (LOCK.replace("sha256:cc", "sha512:cc"), [TWO]),
        (LOCK.replace("one==1.0", "one==1.1"), [ONE]),
        ("", [ONE, TWO]),
    ],
)
def test_what_the_index_does_not_know_is_named(index: str, contradicted: list[str]) -> None:
    assert lock_differences(LOCK, index) == contradicted


def test_a_requirement_without_hashes_proves_nothing() -> None:
    bare = "one==1.0  # no hash\n"
    assert lock_requirements(bare) == ONE
    assert lock_differences(bare, bare) == lock_differences(bare, LOCK) == [ONE]


def test_the_lock_of_the_hosts_is_read_whole() -> None:
    text = AIRFLOW.read_text(encoding="utf-8")
    required = [line.removesuffix(" \\") for line in text.splitlines() if line[:1].isalnum()]
    assert lock_requirements(text).splitlines() == required
    assert lock_differences(text, text) == []
    assert lock_differences(text, "") == required


def test_ansible_finds_the_filters() -> None:
    assert FilterModule().filters() == {"lock_requirements": lock_requirements, "lock_differences": lock_differences}
