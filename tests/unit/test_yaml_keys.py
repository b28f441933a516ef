"""Ansible fills in values, and no names: a template there would be a name with braces."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
FILES = subprocess.run(
    ["git", "ls-files", "--cached", "*.yml"], cwd=PROJECT, capture_output=True, text=True, check=True
).stdout.splitlines()


def names(content: Any) -> Iterator[str]:
    """Return all names in what YAML says."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield str(name)
            yield from names(value)
    if isinstance(content, list):
        for each in content:
            yield from names(each)


@pytest.mark.parametrize("file", FILES)
def test_no_name_is_a_template(file: str) -> None:
    content = yaml.safe_load((PROJECT / file).read_text(encoding="utf-8"))
    assert [name for name in names(content) if "{{" in name] == []
