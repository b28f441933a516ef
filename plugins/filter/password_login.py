"""Tell whether Ansible logs in to a host with a password."""

from __future__ import annotations

from ansible import context


def password_login(variable: str) -> bool:
    """Tell whether this run's connections have a password.

    :param variable: the password that the host's variables have, if any. One that the command line or a setting asks
        for does not reach the conditions of tasks.
    """
    return bool(variable or context.CLIARGS.get("ask_pass") or context.CLIARGS.get("connection_password_file"))


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"password_login": password_login}
