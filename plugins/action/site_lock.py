"""Keep two from changing a site at once: the second is told who holds the lock, and nothing is changed."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

Holder = dict[str, Any]

#: Gone after a reboot of the host, as what held it may be.
PATH = "/run/cwl-airflow-site.lock"
REFUSAL = (
    "{user}@{host} is changing this site (process {process} there): wait until that has ended. "
    "If it was interrupted, run it again there, or remove {path} on {on}."
)

#: The process whose lock the plays of a playbook that it runs hold with it (run_playbook).
OUTER = "CWL_AIRFLOW_SITE_LOCK"

#: Which field of /proc/<process>/stat, after the name in brackets, is the start in ticks since the boot (proc(5)).
START = 19


def start_of(process: int) -> str:
    """Return when a process of this machine started, in ticks since the boot; nothing if that cannot be read."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[START]
    except OSError:
        return ""


def controller() -> Holder:
    """Return what tells this machine from others, and its processes since its boot from others of it."""
    machine = Path("/etc/machine-id")
    return {
        "machine": machine.read_text(encoding="utf-8").strip() if machine.exists() else socket.gethostname(),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip(),
        "processes": os.readlink("/proc/self/ns/pid"),
    }


def identify(process: int) -> Holder:
    """Return who holds a lock that a process of this machine takes.

    :param process: what the lock ends with.
    """
    return {
        **controller(),
        "host": socket.gethostname(),
        "user": getpass.getuser(),
        "process": process,
        "start": start_of(process),
    }


def has_ended(holder: Holder) -> bool:
    """Tell whether a holder's process is known to have ended; of another machine's nothing is known."""
    here = controller()
    if holder.get("machine") != here["machine"]:
        return False
    if holder.get("boot") != here["boot"]:
        return True
    if holder.get("processes") != here["processes"]:
        return False
    with contextlib.suppress(PermissionError):  # it is there, and another user's
        try:
            os.kill(holder["process"], 0)
        except ProcessLookupError:
            return True
    start = start_of(holder["process"])
    return bool(start) and start != holder["start"]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible is not typed
    """Ansible's way to run this on the controller, for each host."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the lock, or give it back (``state: free``); fail if another one holds it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.args.get("state") == "free" and OUTER in os.environ:
            return result  # it is given back by who took it
        # Each task has a process of its own, below the one that runs the playbook.
        me = identify(int(os.environ.get(OUTER, os.getppid())))
        asked = {"path": PATH, "state": "held", **self._task.args, "holder": me}
        answer = self._execute_module("lock_file", asked, task_vars=task_vars)
        there = answer.get("holder")
        if there not in (None, me) and has_ended(there):
            answer = self._execute_module("lock_file", {**asked, "replaces": there}, task_vars=task_vars)
            there = answer.get("holder")
        result |= answer
        if there not in (None, me):
            host = self._task.delegate_to or (task_vars or {})["inventory_hostname"]
            result |= {"failed": True, "msg": REFUSAL.format(**there, path=PATH, on=host)}
        return result
