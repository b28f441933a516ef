"""Install packages of the distribution, with what is the same everywhere here; `ansible.builtin.apt` does it.

What is installed is seen by `dpkg-query` in a hundredth of a second. `apt` opens its cache for that, which takes the
host a second of CPU each time, and roles ask a dozen times.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from ansible.plugins.action import ActionBase

DOCUMENTATION = """
module: packages
short_description: Install packages of the distribution
options:
  name:
    description: Their names, as C(ansible.builtin.apt) takes them.
    type: list
    elements: str
    required: true
  dpkg_options:
    description: As of C(ansible.builtin.apt).
    type: str
  policy_rc_d:
    description: As of C(ansible.builtin.apt).
    type: int
  update_cache:
    description: Read the index of packages first, however old it is, as there are new repositories.
    type: bool
    default: false
"""

#: What apt says of a package that its index does not have.
UNKNOWN = "No package matching"
#: Nothing but what is asked for, from an index that is at most an hour old.
DEFAULTS = {"install_recommends": False, "update_cache": True, "cache_valid_time": 3600}
OPTIONS = {
    "name": {"type": "list", "elements": "str", "required": True},
    "dpkg_options": {"type": "str"},
    "policy_rc_d": {"type": "int"},
    "update_cache": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible is not typed
    """Ansible's way to run it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Install those of the packages that are not."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(OPTIONS)
        given = {name: value for name, value in arguments.items() if value is not None}
        if given.pop("update_cache"):
            given["cache_valid_time"] = 0
        elif self._are_installed(given["name"]):
            return {**result, "changed": False}
        options = {**DEFAULTS, **given}
        done = self._execute_module("ansible.builtin.apt", options, task_vars=task_vars)
        # An index that was read before a repository was added, by a run that was interrupted then.
        if done.get("failed") and UNKNOWN in str(done.get("msg")):
            done = self._execute_module("ansible.builtin.apt", {**options, "cache_valid_time": 0}, task_vars=task_vars)
        return {**result, **done}

    def _are_installed(self, names: list[str]) -> bool:
        """Tell whether packages are installed, and not only for others that need them (`apt autoremove` removes those).

        Of a version, a pattern or what nobody knows `apt` has to say it.
        """
        if any(re.search(r"[^a-z0-9.+:-]", name) for name in names):
            return False
        if not names:
            return True
        found = self._read("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\\n", *names)
        states = dict(line.split() for line in found.splitlines())
        if len(states) != len(set(names)) or not set(states.values()) <= {"ii", "hi"}:
            return False
        stanzas = self._read("cat", "/var/lib/apt/extended_states").split("\n\n")
        marked = {line for stanza in stanzas if "Auto-Installed: 1" in stanza for line in stanza.splitlines()}
        return marked.isdisjoint(f"Package: {name}" for name in states)

    def _read(self, *command: str) -> str:
        """Return what a command says, nothing if it fails."""
        done = self._low_level_execute_command(shlex.join(command))
        return str(done["stdout"]) if done["rc"] == 0 else ""
