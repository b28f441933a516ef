"""How Ansible was given a password to log in with."""

from __future__ import annotations

import pytest
from ansible import context
from ansible.utils.context_objects import CLIArgs
from password_login import FilterModule, password_login


@pytest.mark.parametrize(
    ("variable", "options", "has"),
    [
        ("", {}, False),
        ("", {"ask_pass": False, "connection_password_file": None}, False),
        ("secret", {}, True),
        ("", {"ask_pass": True}, True),
        ("", {"connection_password_file": "/x"}, True),
    ],
)
def test_a_password_is_noticed(
    monkeypatch: pytest.MonkeyPatch, variable: str, options: dict[str, object], has: bool
) -> None:
    monkeypatch.setattr(context, "CLIARGS", CLIArgs(options))
    assert password_login(variable) is has


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters() == {"password_login": password_login}
