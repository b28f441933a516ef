"""What a site has unless its inventory says otherwise: the roles' defaults, and over them the wiring.

They become variables of the inventory's group `all`, which lose to whatever a site writes, in whichever file. The
group_vars of a playbook would win over an inventory's group_vars/all.yml
(https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html#understanding-variable-precedence).
An inventory without the groups of a site gets `project_dir` only, so that a role alone is wired to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.inventory.group import Group
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.vars import BaseVarsPlugin
from ansible.template import trust_as_template

DOCUMENTATION = """
name: site
short_description: The roles' defaults and the wiring
description: Variables of a site that everything in its inventory wins over.
options:
  stage:
    description: They belong to the inventory as it is read, not to a task.
    type: str
    choices: [inventory]
    default: inventory
"""

PROJECT = Path(__file__).resolve().parents[2]
GROUPS = frozenset({"database", "broker", "webserver", "scheduler", "worker", "flower", "cwl_api", "proxy"})
#: The value of a secret's variable: what is in its file, or what stands in for it.
SECRET = "lookup('ansible.builtin.file', credentials_dir ~ '/{file}', errors='ignore') | default({missing}, true)"  # nosec B105


def read(loader: DataLoader, pattern: str) -> dict[str, Any]:
    """Return the variables of files of the project, later ones over earlier ones.

    :param loader: Ansible's reader of files.
    :param pattern: their path in the project, with `*`.
    """
    found: dict[str, Any] = {}
    for path in sorted(PROJECT.glob(pattern)):
        found |= loader.load_from_file(str(path), cache="all", unsafe=True, trusted_as_template=True) or {}
    return found


class VarsModule(BaseVarsPlugin):  # type: ignore[misc]  # Ansible is not typed
    """Ansible's way to find variables of an inventory. What else it says is about the project's own files."""

    project = str(PROJECT)

    def get_vars(self, loader: DataLoader, path: str, entities: Any, cache: bool = True) -> dict[str, Any]:
        """Return the variables of the group `all`, but those that the inventory's own files give it."""
        super().get_vars(loader, path, entities)
        result: dict[str, Any] = {}
        for entity in entities if isinstance(entities, list) else [entities]:
            if not isinstance(entity, Group) or entity.name != "all":
                continue
            result["project_dir"] = self.project
            if GROUPS & {group.name for group in entity.get_descendants()}:
                # What a role computes is its own: another host, in hostvars, could not follow what it is computed from.
                constant = {name: value for name, value in self.defaults(loader).items() if "{{" not in str(value)}
                result |= constant | self.wiring(loader)
            result = {name: value for name, value in result.items() if name not in entity.vars}
        return result

    @staticmethod
    def defaults(loader: DataLoader) -> dict[str, Any]:
        """Return the defaults of all roles."""
        return read(loader, "roles/*/defaults/main.yml")

    @staticmethod
    def wiring(loader: DataLoader) -> dict[str, Any]:
        """Return the wiring, with a variable for each secret of its table."""
        found = read(loader, "wiring/*.yml")
        for file, secret in found["credentials"].items():
            missing = "__credential_none" if "value" in secret else "''"
            found[secret["variable"]] = trust_as_template("{{ " + SECRET.format(file=file, missing=missing) + " }}")
        return found

    @staticmethod
    def roles() -> list[str]:
        """Return the names of the roles."""
        return sorted(path.parents[1].name for path in PROJECT.glob("roles/*/meta/main.yml"))

    @classmethod
    def options(cls, loader: DataLoader) -> dict[str, str]:
        """Return the variables that the roles take, with their types."""
        specs = [read(loader, f"roles/{role}/meta/argument_specs.yml") for role in cls.roles()]
        options = [spec["argument_specs"]["main"]["options"] for spec in specs]
        return {name: each.get("type", "str") for of_role in options for name, each in of_role.items()}

    @staticmethod
    def internals(loader: DataLoader) -> list[str]:
        """Return the variables that roles have for themselves."""
        return list(read(loader, "roles/*/vars/main.yml"))
