"""What one host does for all is not decided by what was found on that host: others may be new, or it alone may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
FILES = sorted([*PROJECT.glob("roles/*/tasks/**/*.yml"), *PROJECT.glob("playbooks/**/*.yml")])


class Loader(yaml.SafeLoader):
    """Reads Ansible's tags as nothing."""


Loader.add_multi_constructor("!", lambda *_: None)


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    """Return what a file does, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from tasks(each)
    elif isinstance(value, dict):
        yield value
        for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from tasks(value.get(key))


def conditions(task: dict[str, Any]) -> str:
    """Return when a task runs."""
    when = task.get("when", [])
    return "\n".join(map(str, when)) if isinstance(when, list) else str(when)


def decided_by_one(path: Path) -> list[str]:
    """Return the tasks that one host does by what it alone has found."""
    everything = list(tasks(yaml.load(path.read_text(encoding="utf-8"), Loader)))  # nosec B506  # a safe one
    each = [task["register"] for task in everything if task.get("register") and not task.get("run_once")]
    return [
        f"{path.relative_to(PROJECT)}: {task.get('name')}"
        for task in everything
        if task.get("run_once")
        # What is quoted is asked of hostvars, and what has [item] is about any host.
        and re.search(rf"(?<!')\b({'|'.join(each) or '(?!)'})\b(?!\.\w+\[item\])", conditions(task))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_all_hosts_decide_what_one_does(path: Path) -> None:
    """The first host decides nothing for the others."""
    assert decided_by_one(path) == []
