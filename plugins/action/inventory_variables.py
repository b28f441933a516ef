"""Refuse variables of a site's inventory that would change nothing, and say which of the wiring's it sets itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import vars_loader

#: As many as fit into a message that is read.
SHOWN = 8


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """Return the known name that is most like another one, if any is.

    :param name: the other one.
    :param known: those to choose from.
    :param cutoff: how alike they must be, from 0 to 1.
    """
    return next(iter(difflib.get_close_matches(name, known, 1, cutoff)), "")


def refused(
    names: Collection[str], given: Collection[str], roles: Collection[str], known: Mapping[str, str]
) -> Iterator[str]:
    """Describe the variables that would change nothing.

    :param names: what the host has from its inventory and from the command line.
    :param given: those of them that have another value than the wiring's.
    :param roles: names of the roles.
    :param known: what stands in the way of each variable that somebody knows; nothing if a site may set it.
    """
    role = re.compile(f"({'|'.join(roles)})_")
    others = [name for name in known if not role.match(name)]
    for name in sorted(names):
        if name in known:
            if known[name] and name in given:
                yield f"{name} {known[name]}"
        elif role.match(name):
            like = nearest(name, known)
            yield f"{name} is no variable of a role{f': did you mean {like}?' if like else ''}"
        # Without a role's name only what is all but equal: a site has variables of its own.
        elif not name.startswith("__") and (like := nearest(name, others, 0.85)):
            yield f"{name} is known to nobody: did you mean {like}?"


def mistyped(name: str, value: Any, kind: str) -> str:
    """Describe a variable with a value of another type than its role takes; nothing where it fits, or is not known yet.

    Ansible would take a text for the list of its characters, and name what fails for that later.

    :param kind: as argument specs name types.
    """
    if value is None or kind not in TYPES or (isinstance(value, str) and ("{{" in value or "{%" in value)):
        return ""
    fits, fix = TYPES[kind]
    return "" if fits(value) else f"{name} is {value!r}: give {fix}"


def _is_number(value: Any, kind: Callable[[Any], Any]) -> bool:
    try:
        return not isinstance(value, (bool, Mapping, list)) and kind(value) == float(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _is_switch(value: Any) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


#: By type what fits, and what to give.
TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "list": (lambda value: isinstance(value, list), "a list, like [first, second]"),
    "dict": (lambda value: isinstance(value, Mapping), "a mapping, like {name: value}"),
    "int": (lambda value: _is_number(value, int), "a whole number (int)"),
    "float": (lambda value: _is_number(value, float), "a number (float)"),
    "bool": (_is_switch, "true or false (bool)"),
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible is not typed
    """Ansible's way to run this on the controller, for each host."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``given``: by host, the variables of roles and wiring that its inventory or the command line sets."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        site = vars_loader.get("site")
        wiring, defaults = site.wiring(self._loader), site.defaults(self._loader)
        hostvars = (task_vars or {})["hostvars"]
        raw = {host: hostvars.raw_get(host) for host in hostvars}
        of_site = defaults | wiring | {"project_dir": site.project}
        given = {
            host: [name for name, value in of_site.items() if variables.get(name, value) != value]
            for host, variables in raw.items()
        }
        types = site.options(self._loader)
        known = dict.fromkeys([*types, *of_site, "site_address"], "")
        known |= dict.fromkeys(site.internals(self._loader), "is a role's own and cannot be set")
        known |= {
            name: f"is made by the wiring: {f'set {instead} in its place' if instead else 'remove it'}"
            for name, instead in wiring["__reserved"].items()
        }
        known |= {name: f"is gone: {reason}" for name, reason in wiring["__gone"].items()}
        host = (task_vars or {})["inventory_hostname"]
        own = [*given[host], *(raw[host].keys() - of_site.keys())]
        errors = list(refused(raw[host].keys(), own, site.roles(), known))
        errors += filter(None, (mistyped(name, raw[host][name], types.get(name, "")) for name in sorted(own)))
        if errors:
            more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
            result |= {"failed": True, "msg": f"Variables of {host}: " + "; ".join(errors[:SHOWN] + more) + "."}
        else:
            result["given"] = given
        return result
