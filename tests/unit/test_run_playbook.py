"""A playbook that a task runs gets the options of the one that runs."""

from __future__ import annotations

import sys

import pytest
import run_playbook
import site_lock
from run_playbook import command, refused


def test_it_gets_the_same_options_and_more_variables() -> None:
    given = ["/bin/ansible-playbook", "-i", "inventories/mylab", "-e", "a=1", "playbooks/upgrade.yml", "-v"]
    assert command(given, ["playbooks/upgrade.yml"], "/project/site.yml", {"b": "two words"}) == [
        sys.executable,
        *["/bin/ansible-playbook", "-i", "inventories/mylab", "-e", "a=1", "-v"],
        '--extra-vars={"b": "two words"}',
        "/project/site.yml",
    ]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"subset": "one"}, "--limit would leave out a part of it"),
        ({"tags": ("airflow",)}, "--tags would leave"),
        ({"skip_tags": ("airflow",)}, "--skip-tags would leave"),
        ({"check": True}, "--check would leave"),
        ({"start_at_task": "Airflow"}, "--start-at-task would leave"),
        ({"ask_vault_pass": True}, "--ask-vault-password asks in between: use --vault-password-file."),
        ({"vault_ids": ("a@secret.txt", "b@prompt")}, "--vault-id b@prompt asks in between"),
        ({"become_ask_pass": True}, "--ask-become-pass asks in between: use --become-password-file."),
    ],
)
def test_options_that_it_cannot_take_on_are_refused(option: dict[str, object], said: str) -> None:
    whole = {"subset": None, "tags": ("all",), "skip_tags": (), "check": False, "ask_vault_pass": False}
    assert not list(refused(whole))
    (text,) = refused(whole | option)
    assert text.startswith(said)


def test_one_for_other_hosts_may_be_run_for_some() -> None:
    given = ["/bin/ansible-playbook", "site.yml", "--limit", "new"]
    assert command(given, ["site.yml"], "/project/site.yml", {}, ["--limit=old"])[-3:] == [
        "--limit=old",
        "--extra-vars={}",
        "/project/site.yml",
    ]
    assert list(refused({"subset": "new"}, ["subset"])) == []


def test_it_holds_the_lock_of_who_runs_it() -> None:
    assert run_playbook.OUTER == site_lock.OUTER
