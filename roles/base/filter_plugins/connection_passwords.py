"""Tell whether Ansible logs in to a host with a password."""

from __future__ import annotations

from collections.abc import Mapping

from ansible import context


def connection_passwords(given: Mapping[str, object]) -> list[str]:
    """Name what gives this run's connections a password.

    :param given: variables of the host that may hold one, by name.
    :returns: the variables that do, and the options of Ansible (or their settings) that ask for one or read a file.
    """
    options = {"ask_pass": "--ask-pass", "connection_password_file": "--connection-password-file"}
    return [
        *(name for name, value in given.items() if value),
        *(option for key, option in options.items() if context.CLIARGS.get(key)),
    ]


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"connection_passwords": connection_passwords}
