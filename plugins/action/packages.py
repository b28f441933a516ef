"""Install packages of the distribution, with what is the same everywhere here; `ansible.builtin.apt` does it.

What is installed is seen by `dpkg-query` in a hundredth of a second. `apt` opens its cache for that, which takes the
host a second of CPU each time, and roles ask a dozen times.
"""

from __future__ import annotations

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
        return {**result, **self._execute_module("ansible.builtin.apt", options, task_vars=task_vars)}

    def _are_installed(self, names: list[str]) -> bool:
        """Tell whether packages are installed; of a version, a pattern or what nobody knows `apt` has to say it."""
        if any(set(name) & set("*?[") for name in names):
            return False
        command = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}\\n", *names]
        found = self._low_level_execute_command(shlex.join(command))
        states = found["stdout"].splitlines()
        return (
            found["rc"] == 0 and len(states) == len(set(names)) and {state.strip() for state in states} <= {"ii", "hi"}
        )
