"""How Ansible was given a password to log in with."""

from __future__ import annotations

import pytest
from ansible import context
from ansible.utils.context_objects import CLIArgs
from connection_passwords import connection_passwords

NONE = {"ansible_password": "", "ansible_ssh_pass": ""}


@pytest.mark.parametrize(
    ("variables", "options", "named"),
    [
        (NONE, {}, []),
        (NONE, {"ask_pass": False, "connection_password_file": None}, []),
        (NONE | {"ansible_ssh_pass": "secret"}, {}, ["ansible_ssh_pass"]),
        (NONE, {"ask_pass": True}, ["--ask-pass"]),
        (NONE, {"connection_password_file": "/x"}, ["--connection-password-file"]),
    ],
)
def test_what_gives_a_password_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: dict[str, object], named: list[str]
) -> None:
    monkeypatch.setattr(context, "CLIARGS", CLIArgs(options))
    assert connection_passwords(variables) == named
