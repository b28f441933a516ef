"""Run a playbook from a task, so that another task can undo what it did: a play has no rescue for another play."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.action import ActionBase

#: The process whose lock of the site the playbook holds with it (OUTER of site_lock.py).
OUTER = "CWL_AIRFLOW_SITE_LOCK"
#: Of prctl(2).
PR_SET_PDEATHSIG = 1
#: Options with which a playbook would do a part only, and what they are without it.
PARTS = {"subset": None, "tags": ("all",), "skip_tags": (), "check": False, "step": False, "start_at_task": None}
#: Nobody can answer a playbook that a task runs: Ansible's names, the options, and what to give in their place.
QUESTIONS = (
    ("ask_pass", "--ask-pass", "--connection-password-file"),
    ("become_ask_pass", "--ask-become-pass", "--become-password-file"),
    ("ask_vault_pass", "--ask-vault-password", "--vault-password-file"),
)


def refused(options: Mapping[str, Any], own: Collection[str] = ()) -> Iterator[str]:
    """Describe the options of the command line that a playbook cannot take on.

    :param options: all of them, as Ansible names them.
    :param own: those of `PARTS` that the playbook gets in another way.
    """
    for name, nothing in PARTS.items():
        if name in own:
            continue
        if options.get(name, nothing) != nothing:
            shown = "limit" if name == "subset" else name.replace("_", "-")
            yield f"--{shown} would leave out a part of it: run it without."
    for name, shown, instead in QUESTIONS:
        if options.get(name):
            yield f"{shown} asks in between: use {instead}."
    for secret in options.get("vault_ids") or ():
        if secret.rpartition("@")[2] in ("prompt", "prompt_ask_vault_pass"):
            yield f"--vault-id {secret} asks in between: name a file after the @."


def command(
    arguments: Sequence[str],
    playbooks: Sequence[str],
    playbook: str,
    variables: Mapping[str, Any],
    more: Sequence[str] = (),
) -> list[str]:
    """Return the command that runs another playbook with the same options.

    :param arguments: the command that runs now.
    :param playbooks: those of its arguments that are playbooks.
    :param playbook: the other one.
    :param variables: what it gets beside the variables of the command line.
    :param more: further options, which win.
    """
    options = [each for each in arguments if each not in playbooks]
    return [sys.executable, *options, *more, f"--extra-vars={json.dumps(variables)}", playbook]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible is not typed
    """Ansible's way to run this on the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run ``playbook`` with ``variables``, showing what it says; fail if it fails.

        With ``limit`` and ``tags`` it is for these hosts, whatever the command line says of hosts, and these tags only.
        Without ``playbook`` it only refuses what it would refuse with one.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        playbook = self._task.args.get("playbook")
        vault_ids = [*(context.CLIARGS.get("vault_ids") or ()), *C.DEFAULT_VAULT_IDENTITY_LIST]
        limit, tags = self._task.args.get("limit"), self._task.args.get("tags")
        errors = list(refused({**context.CLIARGS, "vault_ids": vault_ids}, ["subset"] if limit else []))
        if errors:
            return result | {"failed": True, "msg": "\n".join(errors)}
        if not playbook:
            return result
        more = [f"--limit={limit}"] * bool(limit) + [f"--tags={tags}"] * bool(tags)
        argv = command(sys.argv, context.CLIARGS["args"], playbook, self._task.args.get("variables", {}), more)
        # Whoever runs the playbook may be killed: then this process gets SIGTERM, and with it all that it has started.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        with subprocess.Popen(
            argv,
            # Each task has a process of its own, below the one that runs the playbook.
            env={OUTER: str(os.getppid()), **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                self._display.display(line.rstrip("\n"))
        if process.returncode:
            result |= {"failed": True, "msg": f"{playbook} has failed; what it said stands above."}
        return result | {"changed": True}
